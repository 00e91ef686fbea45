"""ivimkit plot: pictures of one result, and of several."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from ivimkit import io, report
from ivimkit.cli.jobs import plot_files


@pytest.fixture
def calls(monkeypatch):
    """Record the calls of the drawing functions; draw nothing."""
    made: dict[str, tuple] = {}

    def recorder(name):
        def record(*args, **kwargs):
            made[name] = (args, kwargs)
            return name

        return record

    def save_all(figures, dpi, folder):
        made["dpi"] = dpi
        for name in figures:
            (folder / name).write_text("drawn")

    drawing = ("map_panels", "status_panels", "histograms", "residual_panels")
    for name in (*drawing, "compare_methods", "voxel_plot"):
        monkeypatch.setattr(report, name, recorder(name))
    monkeypatch.setattr(plot_files, "_save_all", save_all)
    return made


def test_one_result(run, result):
    text = run("plot", result, "--voxel", "8,9,1").stdout
    figures = result / "figures"
    always = {"maps.png", "status.png", "histograms.png"}
    names = {*always, "residuals.png", "voxel_8_9_1.png"}
    assert {path.name for path in figures.iterdir()} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures.iterdir())
    assert str(figures / "voxel_8_9_1.png") in text.splitlines()


def test_several_results(run, result, other, folder, calls):
    run("plot", result, other, "--voxel", "8,9,1")
    assert {p.name for p in (folder / "comparison").iterdir()} == {
        "comparison.png",
        "voxel_8_9_1.png",
    }
    (results,), _ = calls["compare_methods"]
    assert list(results) == ["dwi_ivim", "other"]
    assert list(calls["voxel_plot"][0][1]) == ["dwi_ivim", "other"]
    run("plot", result, other, "--slice", "0", "--slice", "1", "--out", folder / "slices")
    assert (folder / "slices" / "comparison_1.png").exists()


def test_options(run, result, folder, calls):
    run(
        *("plot", result, "--out", folder / "pictures", "--slice", "1", "--maps", "D,f"),
        *("--range", "D=0:2e-3", "--labels", folder / "labels.nii.gz", "--dpi", "60", "-q"),
    )
    assert calls["dpi"] == 60
    keywords = calls["map_panels"][1]
    assert keywords["slices"] == [1]
    assert keywords["maps"] == ["D", "f"]
    assert keywords["limits"] == {"D": (0.0, 2e-3)}
    assert calls["histograms"][1]["labels"].array.shape == (24, 18, 2)
    assert list(calls["histograms"][1]["labels"])[:2] == ["1", "2"]
    assert calls["histograms"][1]["label_names"][2] == "2"
    assert calls["status_panels"][1]["slices"] == [1]
    assert (folder / "pictures" / "maps.png").exists()


def test_lesion(run, result, folder, made, calls, monkeypatch):
    mask = np.zeros((24, 18, 2), np.uint8)
    mask[6:9, 8:11, 1] = 1
    io.save_map(mask, folder / "lesion.nii.gz", made.dwi.geometry)
    asked = {}
    draw = report.lesion_panels

    def record(result, mask, **options):
        asked.update(options, mask=mask)
        return draw(result, mask, **options)

    monkeypatch.setattr(report, "lesion_panels", record)
    run("plot", result, "--lesion", folder / "lesion.nii.gz", "--range", "D=0:2e-3")
    assert (result / "figures" / "lesion.png").exists()
    np.testing.assert_array_equal(asked["mask"], mask > 0)
    assert asked["dwi"].shape == (24, 18, 2)
    assert asked["limits"] == {"D": (0.0, 2e-3)}
    assert asked["slice"] is None


def test_lesion_of_one_result_only(run, result, folder):
    options = ("--lesion", folder / "lesion.nii.gz")
    text = run("plot", result, result, *options, code=2).stderr
    assert "--lesion goes with one result" in " ".join(text.split())


def test_organ(run, result, calls):
    run("plot", result, "--organ", "liver", "--range", "D=0:3e-3")
    limits = calls["map_panels"][1]["limits"]
    assert limits["f"] == (0.0, 0.5)
    assert limits["D"] == (0.0, 3e-3)


def test_organ_of_the_fit(run, folder, calls):
    options = ("--organ", "liver", "--no-figures", "--out", folder / "liver", "-q")
    run("fit", folder / "dwi.nii.gz", *options)
    run("plot", folder / "liver")
    assert calls["map_panels"][1]["limits"]["f"] == (0.0, 0.5)


def test_scan_is_found_and_read_as_it_was_fitted(run, folder, calls):
    options = ("--bmax", "400", "--average", "arithmetic", "--mask", folder / "mask.nii.gz")
    run("fit", folder / "dwi.nii.gz", *options, "--no-figures", "--out", folder / "r", "-q")
    run("plot", folder / "r")
    dwi = calls["map_panels"][0][1]
    fitted = io.load_result(folder / "r")
    assert dwi.acquisition == fitted.acquisition
    assert dwi.average == "arithmetic"
    assert (dwi.mask == fitted.mask).all()


def test_stacked_scan_is_found(run, folder, made, calls):
    paths = [folder / f"b{k:02d}.nii.gz" for k in range(13)]
    for k, path in enumerate(paths):
        io.save_map(made.dwi.signal[..., k], path, made.dwi.geometry)
    options = ("--stack", "--bval", folder / "dwi.bval", "--out", folder / "r", "--no-figures")
    run("fit", *paths, *options, "-q")
    run("plot", folder / "r")
    assert calls["map_panels"][0][1].acquisition.n_volumes == 13


def test_scan_that_is_gone(run, result, folder, calls):
    (folder / "dwi.nii.gz").rename(folder / "moved.nii.gz")
    warned = run("plot", result).stderr
    assert "warning: no images next to the maps" in warned
    assert "no longer exists" in warned
    assert calls["map_panels"][0][1] is None
    error = run("plot", result, "--voxel", "8,9,1", code=2).stderr
    assert "Name the scan (--scan)" in error
    options = ("--scan", folder / "moved.nii.gz", "--bval", folder / "dwi.bval")
    run("plot", result, "--voxel", "8,9,1", *options)
    assert calls["map_panels"][0][1].acquisition.n_volumes == 13


def test_scan_that_has_changed(run, result, folder, made, calls):
    io.save_scan(made.dwi.select(bmax=400), folder / "dwi.nii.gz", overwrite=True)
    assert "has changed since" in run("plot", result).stderr


def test_scan_of_another_fit(run, result, folder, made, calls):
    other = made.dwi.select(bmax=400)
    io.save_scan(other, folder / "other.nii.gz")
    error = run("plot", result, "--scan", folder / "other.nii.gz", code=2).stderr
    assert "there is no b-value 600" in error


def test_scan_with_other_volumes(run, folder, made, result, calls):
    twice = type(made.dwi)(made.dwi.signal[..., [*range(13), 0]], [*made.dwi.acquisition.bvals, 0])
    io.save_scan(twice, folder / "more.nii.gz")
    error = run("plot", result, "--scan", folder / "more.nii.gz", code=2).stderr
    assert "has 14 volumes of the b-values that were fitted; expected 13" in error


def test_result_of_python(run, made, tmp_path, calls):
    import ivimkit

    io.save(ivimkit.fit(made.dwi), tmp_path / "r")
    assert "does not name the file it was made from" in run("plot", tmp_path / "r").stderr
    io.save_scan(made.dwi, tmp_path / "dwi.nii")
    run("plot", tmp_path / "r", "--scan", tmp_path / "dwi.nii", "-q")
    assert calls["map_panels"][0][1].acquisition.n_volumes == 13


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--voxel", "8,9"), "--voxel is '8,9'; expected three whole numbers"),
        (("--voxel", "8,9,7"), "there is no voxel (8, 9, 7)"),
        (("--slice", "9"), "there is no slice 9"),
        (("--maps", "Q"), "there is no map 'Q'"),
        (("--range", "Q=0:1"), "there is no map 'Q'"),
        (("--range", "D=1"), "--range is 'D=1'"),
        (("--organ", "heart"), "there is no organ 'heart'"),
        (("--labels", "nix.nii.gz"), "there is no file nix.nii.gz"),
        (("--dpi", "2"), "--dpi"),
    ],
)
def test_options_that_cannot_be_used(run, result, options, message):
    assert message in run("plot", result, *options, code=2).stderr
    assert not (result / "figures").exists()


def test_no_result(run, folder):
    assert "there is no fit.json in" in run("plot", folder, code=2).stderr
    shutil.rmtree(folder)
    assert "there is no fit.json in" in run("plot", folder, code=2).stderr


def test_several_masks(run, result, folder, made, calls):
    """Regions of later files are added; where masks overlap, the first one has the voxel."""
    geometry = made.dwi.geometry
    liver = made.region("liver")
    part = liver & (np.cumsum(liver).reshape(liver.shape) <= 5)
    for name, inside in (("part", part), ("liver", liver)):
        io.save_map(inside.astype(np.uint8), folder / f"{name}.nii.gz", geometry)
    files = ("--labels", folder / "part.nii.gz", "--labels", folder / "liver.nii.gz")
    run("plot", result, *files, "-q")
    labels = calls["histograms"][1]["labels"]
    assert calls["histograms"][1]["label_names"] == {1: "part", 2: "liver"}
    np.testing.assert_array_equal(labels.array, np.where(part, 1, np.where(liver, 2, 0)))


def test_what_is_not_reliable(run, result, folder, calls):
    for given, want in (
        ((), "fade"),
        (("--unreliable", "hide"), "hide"),
        (("--reliable",), "hide"),
    ):
        run("plot", result, "--out", folder / "pictures", "-q", *given)
        run("plot", result, result, "--out", folder / "both", "-q", *given)
        for name in ("map_panels", "histograms", "compare_methods"):
            assert calls[name][1]["unreliable"] == want
    run("plot", result, "--lesion", folder / "mask.nii.gz", "--unreliable", "show", "-q")
    error = run("plot", result, "--unreliable", "grey", code=2).stderr
    assert all(word in error for word in ("'grey' is not one of", "fade", "hide", "show"))


def test_figures_of_a_fit(run, folder, calls):
    run(
        "fit",
        folder / "dwi.nii.gz",
        "--mask",
        folder / "mask.nii.gz",
        "--unreliable",
        "hide",
        "-q",
    )
    assert calls["map_panels"][1]["unreliable"] == calls["histograms"][1]["unreliable"] == "hide"
