"""ivimkit fit: every option changes the outcome that it documents."""

from __future__ import annotations

import numpy as np
import pytest

from ivimkit import io, organs, uncertainty
from ivimkit.simulate import B13 as B
from ivimkit.status import FitStatus
from tolerances import SINGLE_PRECISION


def test_result_beside_the_scan(run, scan):
    result = run("fit", scan, "--no-figures")
    folder = scan.parent / "dwi_ivim"
    expected = {"S0", "f", "D_star", "D", "ADC", "fD_star", "rmse", "r2", "status"}
    assert expected <= {path.name.removesuffix(".nii.gz") for path in folder.glob("*.nii.gz")}
    assert f"maps in {folder}" in result.stdout.replace("\n", "")
    fitted = io.load_result(folder)
    assert fitted.model.name == "biexp"
    assert fitted.method.name == "varpro"
    assert fitted.provenance.bvals == list(B)
    # Progress in plain lines, as this is no terminal.
    assert "100%  864 of 864 voxels" in result.stderr


def test_closing_table(run, scan, folder):
    text = run("fit", scan, "--mask", folder / "mask.nii.gz", "--no-figures").stdout
    result = io.load_result(folder / "dwi_ivim")
    n = int(result.mask.sum())
    median = 1e3 * np.nanmedian(result.maps["D"])
    q25, q75 = 1e3 * np.nanpercentile(result.maps["D"], [25, 75])
    row = next(line.split() for line in text.splitlines() if line.startswith("D "))
    assert row == ["D", "10⁻³", "mm²/s", f"{median:#.3g}", f"{q25:#.3g}", f"{q75:#.3g}", str(n)]
    counts = result.counts()
    assert f"{counts['OK']} " in next(li for li in text.splitlines() if li.startswith("OK"))
    assert "Outside the mask, not fitted." in text
    assert f"{n} voxels in " in text
    assert "voxels/s on " in text
    assert max(map(len, text.splitlines())) <= 80 or str(folder) in text


def test_provenance_tells_the_command_line(run, scan, folder):
    run("fit", scan, "--out", folder / "my result", "--no-figures", "-q")
    result = io.load_result(folder / "my result")
    settings, provenance = result.settings, result.provenance
    assert settings.call == f"ivimkit fit {scan} --out '{folder}/my result' --no-figures -q"
    assert settings.organ is None
    assert settings.reading.b_unit == "s/mm2"
    assert {source["role"] for source in provenance.sources} == {"scan", "bvals"}


# ------------------------------------------------------------------------------- the scan


def test_bval(fit, folder):
    (folder / "other.txt").write_text("\n".join(str(b + 1) for b in B))
    assert fit("--bval", folder / "other.txt").provenance.bvals == [b + 1 for b in B]


def test_bvec_and_average(fit, folder, made):
    signal = np.concatenate([made.dwi.signal, 0.5 * made.dwi.signal], axis=-1)
    other = type(made.dwi)(signal, [*B, *B], made.dwi.affine)
    io.save_scan(other, folder / "two.nii.gz")
    directions = np.zeros((26, 3))
    directions[:13, 0] = directions[13:, 1] = 1.0
    np.savetxt(folder / "directions.txt", directions)
    options = {"scan": folder / "two.nii.gz"}
    geometric = fit("--bvec", folder / "directions.txt", **options).maps["S0"]
    arithmetic = fit("--bvec", folder / "directions.txt", "--average", "arithmetic", **options)
    unknown = fit(**options)
    inside = geometric > 0
    assert arithmetic.settings.average == "arithmetic"
    assert np.median(geometric[inside]) < np.median(arithmetic.maps["S0"][inside])
    np.testing.assert_array_equal(unknown.maps["D"], arithmetic.maps["D"])
    assert "bvecs" in {source["role"] for source in arithmetic.provenance.sources}


def test_average_none(fit, folder, made):
    twice = type(made.dwi)(np.repeat(made.dwi.signal, 2, axis=-1), np.repeat(B, 2))
    io.save_scan(twice, folder / "twice.nii.gz")
    assert fit(scan=folder / "twice.nii.gz").provenance.counts == [2.0] * 13
    apart = fit("--average", "none", scan=folder / "twice.nii.gz")
    assert apart.provenance.counts == [1.0] * 26


def test_mask(fit, usual, folder, made):
    np.testing.assert_array_equal(fit("--mask", folder / "mask.nii.gz").mask, made.dwi.mask)
    assert usual.mask.all()


def test_b_unit(fit, run, scan, folder):
    (folder / "ms.bval").write_text(" ".join(str(b / 1000) for b in B))
    assert "--b-unit" in run("fit", scan, "--bval", folder / "ms.bval", code=2).stderr
    result = fit("--bval", folder / "ms.bval", "--b-unit", "ms/um2")
    np.testing.assert_allclose(result.provenance.bvals, B, rtol=1e-12)


def test_options_are_in_the_unit_of_the_b_values(fit, folder):
    (folder / "ms.bval").write_text(" ".join(str(b / 1000) for b in B))

    def options(factor):
        return [
            *("--method", "trr", "--bmax", 600 / factor, "--bmin", 5 / factor),
            *("--option", f"split_b_D={250 / factor}", "--option", f"split_b_S0={100 / factor}"),
            *("--adc-bvalues", f"{200 / factor},{400 / factor}", "--tolerance", 2 / factor),
        ]

    usual = fit(*options(1))
    other = fit("--bval", folder / "ms.bval", "--b-unit", "ms/um2", *options(1000))
    for name in ("D", "f", "ADC"):
        np.testing.assert_allclose(other.maps[name], usual.maps[name], rtol=1e-8)
    assert usual.method == other.method
    assert usual.settings.adc_bvals == other.settings.adc_bvals
    one, two = (result.settings.reading for result in (usual, other))
    assert (one.bmin, one.bmax, one.tolerance) == (two.bmin, two.bmax, two.tolerance)


def test_b_values_and_volumes_on_the_command_line(fit, usual, folder):
    (folder / "dwi.bval").rename(folder / "elsewhere.txt")
    written = fit("--bval", ",".join(f"{b:g}" for b in B))
    np.testing.assert_array_equal(written.maps["D"], usual.maps["D"])
    assert io.load_fitted_scan(written).acquisition.bvals.tolist() == list(B)
    (folder / "dwi.bval").write_text(" ".join(f"{b:g}" for b in B))
    (folder / "volumes.txt").write_text("0\n2\n4\n6\n8\n10\n12")
    some, same = fit("--volumes", folder / "volumes.txt"), fit("--volumes", "0-12:2")
    np.testing.assert_array_equal(some.maps["D"], same.maps["D"])
    assert some.acquisition.n_volumes == 7


def test_stack(run, usual, folder, made):
    paths = [folder / f"b{b:04d}.nii.gz" for b in B]
    for k, path in enumerate(paths):
        io.save_map(made.dwi.signal[..., k], path, made.dwi.geometry)
    bval = folder / "dwi.bval"
    run("fit", *paths, "--stack", "--bval", bval, "--out", folder / "stacked", "--no-figures")
    stacked = io.load_result(folder / "stacked")
    np.testing.assert_array_equal(stacked.maps["D"], usual.maps["D"])
    assert stacked.settings.reading.stack is True


def test_several_3d_files_without_stack(run, folder, made):
    path = folder / "b0.nii.gz"
    io.save_map(made.dwi.signal[..., 0], path, made.dwi.geometry)
    assert "is a single 3-D image" in run("fit", path, code=2).stderr


# -------------------------------------------------------------------------- which volumes


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (("--bvals", "0,20,80,200,800"), [0, 20, 80, 200, 800]),
        (("--volumes", "0-5,12"), [0, 10, 20, 40, 80, 110, 800]),
        (("--bmin", "10", "--bmax", "300"), [b for b in B if 10 <= b <= 300]),
    ],
)
def test_selection(fit, options, kept):
    result = fit(*options)
    assert result.provenance.bvals == kept
    for option in options[::2]:
        assert getattr(result.settings.reading, option.removeprefix("--")) is not None


def test_tolerance(fit, folder):
    near = [0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 797, 800]
    (folder / "near.bval").write_text(" ".join(map(str, near)))
    assert fit("--bval", folder / "near.bval").provenance.counts[-1] == 2.0
    exact = fit("--bval", folder / "near.bval", "--tolerance", "0")
    assert exact.provenance.bvals == near


# ----------------------------------------------------------------------- model and method


@pytest.mark.parametrize(
    ("model", "names"),
    [("monoexp", {"S0", "ADC"}), ("sivim", {"S0", "f", "D"})],
)
def test_model(fit, model, names):
    result = fit("--model", model)
    assert result.model.name == model
    assert names <= set(result.maps)


def test_noise_of_magnitudes(fit):
    estimated = fit("--option", "noise=rician")
    coils = fit("--option", "noise=chi", "--option", "coils=4", "--sigma", "12.5")
    assert estimated.method.options() == {"noise": "rician", "coils": 1, "robust": False}
    assert coils.method.options() == {"noise": "chi", "coils": 4, "robust": False}
    assert np.isfinite(estimated.maps["sigma"]).any()
    assert np.nanmax(np.abs(coils.maps["sigma"] - 12.5)) < 1e-5


def test_method_options(fit):
    three = fit("--method", "segmented")
    two = fit("--method", "segmented", "--option", "steps=2")
    assert (three.method.name, three.method.steps, two.method.steps) == ("segmented", 3, 2)
    assert not np.array_equal(three.maps["f"], two.maps["f"])
    one_stage = fit("--method", "trr", "--option", "two_stage=no", "--option", "split_b_D=300")
    assert one_stage.method.name == "trr"
    assert one_stage.method.options() == {
        "split_b_D": 300.0,
        "split_b_S0": 200.0,
        "two_stage": False,
    }
    split = fit("--method", "segmented", "--b-split", "100")
    assert split.method.b_split == 100
    by_name = fit("--method", "segmented", "--option", "b_split=100")
    assert by_name.method == split.method
    assert not np.array_equal(split.maps["D"], three.maps["D"])


@pytest.fixture
def muscle_at_150(monkeypatch):
    """A preset whose threshold is not the default one."""
    muscle = organs.get("muscle")
    other = type(muscle)(**{**vars(muscle), "b_split": 150.0})
    monkeypatch.setattr(organs, "get", lambda name: other)
    return other


def test_organ(fit, muscle_at_150):
    result = fit("--organ", "muscle", "--method", "segmented")
    assert result.model["D_star"].start == muscle_at_150.means["D_star"]
    assert result.model["f"].display == muscle_at_150.display["f"]
    assert result.model["D"].upper == 5e-3
    assert result.method.b_split == 150.0
    assert result.settings.organ == "muscle"


def test_organ_gives_way_to_what_is_named(fit, muscle_at_150):
    options = ("--organ", "muscle", "--method", "segmented", "--start", "D_star=0.04")
    result = fit(*options, "--b-split", "110")
    assert result.method.b_split == 110.0
    assert result.model["D_star"].start == 0.04


def test_organ_leaves_an_adc_alone(fit, muscle_at_150):
    result = fit("--organ", "muscle", "--model", "monoexp", "--method", "loglinear")
    assert result.method.b_split is None
    assert fit("--organ", "muscle", "--model", "sivim", "--method", "loglinear").method.b_split


def test_bounds(fit):
    result = fit("--bounds", "D=0:0.9e-3", "--bounds", "f=0.05:0.5")
    assert (result.model["D"].lower, result.model["D"].upper) == (0.0, 0.9e-3)
    assert np.nanmax(result.maps["D"]) == pytest.approx(0.9e-3)
    assert np.nanmin(result.maps["f"]) == pytest.approx(0.05)
    assert "D_AT_UPPER_BOUND" in result.counts()


def test_fix_to_a_number(fit):
    result = fit("--fix", "D_star=0.02")
    values = result.maps["D_star"][np.isfinite(result.maps["D_star"])]
    np.testing.assert_allclose(values, 0.02, rtol=1e-6)


def test_fix_to_a_map(fit, folder, made):
    known = np.where(made.dwi.mask, np.linspace(0.5e-3, 2e-3, made.dwi.mask.size).reshape(
        made.dwi.mask.shape), np.nan)  # fmt: skip
    io.save_map(known, folder / "known.nii.gz", made.dwi.geometry)
    result = fit("--fix", f"D={folder / 'known.nii.gz'}", "--mask", folder / "mask.nii.gz")
    fitted = np.isfinite(result.maps["D"])
    assert fitted.sum() > 100
    np.testing.assert_allclose(result.maps["D"][fitted], known[fitted], rtol=1e-6)


def test_start(fit):
    options = ("--method", "trr", "--option", "two_stage=no")
    low = fit(*options, "--start", "D_star=0.003")
    assert low.model["D_star"].start == 0.003
    assert fit(*options).model["D_star"].start != 0.003


def test_weights(fit, usual, folder):
    listed = ",".join(["1"] * 11 + ["0", "2"])
    result = fit("--weights", listed)
    assert result.provenance.counts[-2:] == [0.0, 2.0]
    (folder / "weights.txt").write_text(listed.replace(",", "\n"))
    from_file = fit("--weights", folder / "weights.txt")
    np.testing.assert_array_equal(from_file.maps["D"], result.maps["D"])
    assert not np.array_equal(usual.maps["D"], result.maps["D"])


def test_the_noise_is_estimated_from_what_is_named(fit, run, scan, made):
    measured = fit("--uncertainty", "curvature", "--sigma", "air").settings
    assert (measured.noise.source, measured.sigma) == (
        "background",
        pytest.approx(made.sigma, rel=0.1),
    )
    assert fit("--sigma", "residuals").settings.sigma is None
    said = run("fit", scan, "--sigma", "auto", "--no-figures", "--mask", "auto")
    assert "noise: sigma" in said.output
    assert "from the background" in said.output
    missing = run("compare", scan, "--sigma", "repeats", code=2)
    assert "no b-value and direction was measured twice" in missing.stderr
    wrong = run("fit", scan, "--sigma", "repeat", code=2)
    assert "12.5 or map.nii.gz, or one of auto, repeats, air, mppca, residuals" in wrong.stderr


def test_uncertainty_and_sigma(fit, usual, folder, made):
    assert "D_sd" not in usual.maps
    one = fit("--uncertainty", "curvature", "--sigma", "10")
    two = fit("--uncertainty", "curvature", "--sigma", "20")
    clear = (one.status == 0) & np.isfinite(one.maps["D_sd"])
    assert clear.sum() > 100
    np.testing.assert_allclose(two.sd["D"][clear], 2.0 * one.sd["D"][clear], rtol=1e-5)
    assert one.settings.sigma == 10.0
    assert one.settings.estimator.name == "curvature"
    assert list(one.sd)[:4] == ["S0", "f", "D_star", "D"]
    io.save_map(np.full(made.dwi.shape, 20.0), folder / "sigma.nii.gz", made.dwi.geometry)
    mapped = fit("--uncertainty", "curvature", "--sigma", folder / "sigma.nii.gz")
    assert mapped.settings.sigma == "map"
    np.testing.assert_allclose(mapped.sd["D"], two.sd["D"], rtol=1e-5)


@pytest.mark.parametrize("name", sorted({*uncertainty.names()} - {"curvature"}))
def test_every_other_uncertainty(fit, folder, made, name):
    some = made.dwi.mask & (np.arange(made.dwi.mask.size).reshape(made.dwi.shape) % 5 == 0)
    io.save_map(some.astype(np.uint8), folder / "some.nii.gz", made.dwi.geometry)
    result = fit("--uncertainty", name, "--mask", folder / "some.nii.gz")
    assert list(result.sd)[:4] == ["S0", "f", "D_star", "D"]
    assert result.settings.estimator.name == name


def test_adc_bvalues(fit, usual):
    high = fit("--adc-bvalues", "200,400,800")
    assert np.nanmedian(high.maps["ADC"]) < np.nanmedian(usual.maps["ADC"])
    np.testing.assert_array_equal(high.maps["D"], usual.maps["D"])
    assert high.settings.adc_bvals == (200, 400, 800)


# ------------------------------------------------------------------- output, the machine


def test_threads_and_device(fit):
    one, two = fit("--threads", "1"), fit("--threads", "2", "--device", "cpu")
    assert (one.provenance.threads, two.provenance.threads) == (1, 2)
    assert one.provenance.device == two.provenance.device == "cpu"
    np.testing.assert_array_equal(one.maps["D"], two.maps["D"])


def test_precision(fit, usual):
    double, single = usual, fit("--precision", "float32")
    assert (double.settings.precision, single.settings.precision) == ("float64", "float32")
    clear = (single.status == 0) & (double.status == 0)
    assert clear.sum() >= 0.95 * (double.status == 0).sum() > 0
    assert (single.maps["S0"] != double.maps["S0"])[clear].any()
    for name in double.model.names:
        np.testing.assert_allclose(
            single.maps[name][clear], double.maps[name][clear], rtol=SINGLE_PRECISION
        )


@pytest.mark.drawn
def test_figures_are_drawn_and_replaced(run, folder, made):
    scan = folder / "some.nii.gz"
    io.save_scan(type(made.dwi)(made.dwi.signal[6:14, 6:12, :1], B), scan)
    run("fit", scan, "--organ", "liver", "-q")
    figures = folder / "some_ivim" / "figures"
    assert {p.name for p in figures.iterdir()} == {"maps.png", "status.png", "histograms.png"}
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in figures.iterdir())
    (figures / "mine.png").write_text("kept")
    run("fit", scan, "--overwrite", "--no-figures", "-q")
    assert [path.name for path in figures.iterdir()] == ["mine.png"]
    (figures / "mine.png").unlink()
    run("fit", scan, "--overwrite", "--no-figures", "-q")
    assert not figures.exists()


def test_overwrite(run, scan, folder):
    run("fit", scan, "--no-figures", "--bmax", "400", "-q")
    before = (folder / "dwi_ivim" / "fit.json").read_bytes()
    assert "--overwrite" in run("fit", scan, "--no-figures", code=2).stderr
    assert (folder / "dwi_ivim" / "fit.json").read_bytes() == before
    run("fit", scan, "--no-figures", "--overwrite", "-q")
    assert io.load_result(folder / "dwi_ivim").provenance.bvals == list(B)


def test_existing_result_is_seen_before_the_fit(run, scan, folder, monkeypatch):
    run("fit", scan, "--no-figures", "-q")
    monkeypatch.setattr("ivimkit.cli.jobs.fit_batch.fit_with_also", _never)
    monkeypatch.setattr("ivimkit.io.load", _never)
    assert "already contains results" in run("fit", scan, "--no-figures", code=2).stderr


def _never(*args, **kwargs):
    raise AssertionError("this was not to be called")


def test_quiet_prints_errors_only(run, scan, folder):
    few = ("--bvals", "0,40,110,400,800")
    result = run("fit", scan, *few, "--no-figures", "--quiet")
    assert result.stdout + result.stderr == ""
    result = run("fit", scan, "--no-figures", "--quiet", code=2)
    assert result.stderr.startswith("error: ")


def test_warnings_are_sentences(run, scan):
    result = run("fit", scan, "--bvals", "0,40,110,400,800", "--no-figures")
    assert "warning: 5 distinct b-values; expected 8 or more" in result.stderr
    assert "Warning" not in result.stderr


def test_verbose(run, scan, folder):
    text = run("fit", scan, "--no-figures", "-v", "--method", "segmented").stderr
    assert "loaded in" in text
    assert "24 x 18 x 2 voxels, 864 of them to fit" in text
    assert "b (volumes): 0 (1), 10 (1), 20 (1)" in text
    assert "model biexp: S(b) = " in text
    assert "D: 0 to 0.005 mm^2/s, start 0.001" in text
    assert "method segmented: b_split=200.0, steps=3" in text
    assert "saved in" in text


def test_status_of_voxels_that_cannot_be_fitted(fit, folder, made):
    signal = made.dwi.signal.copy(order="F")
    signal[0, 0, 0] = np.nan
    signal[1, 0, 0, :] = 0.0
    io.save_scan(type(made.dwi)(signal, B), folder / "bad.nii.gz")
    result = fit(scan=folder / "bad.nii.gz")
    assert result.status[0, 0, 0] == FitStatus.NON_FINITE
    assert result.status[1, 0, 0] == FitStatus.NO_SIGNAL


# ------------------------------------------------------------------------------ real scan


def test_prostate(run, shared_data, tmp_path):
    data = shared_data / "prostate"
    for region in ("tumor", "pz"):
        mask, out = data / f"roi_{region}.nii.gz", tmp_path / region
        options = ("--bmax", "1000", "--organ", "prostate", "--no-figures", "-q")
        run("fit", data / "dwi.nii.gz", "--mask", mask, "--out", out, *options)
    tumour, zone = (io.load_result(tmp_path / name) for name in ("tumor", "pz"))
    assert tumour.provenance.bvals[-1] == 1000
    assert np.nanmedian(tumour.maps["D"]) < np.nanmedian(zone.maps["D"])


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_fit(run, scan, folder, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("no picture")

    monkeypatch.setattr("ivimkit.cli.jobs.plot_files.draw_result", broken)
    result = run("fit", scan, "-q", code=1)
    assert "ZeroDivisionError: no picture" in result.stderr
    assert io.load_result(folder / "dwi_ivim").maps["D"].shape == (24, 18, 2)
    assert not (folder / "dwi_ivim" / "figures").exists()
