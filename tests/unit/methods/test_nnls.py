"""Spectra: against SciPy, against the conditions of the minimum, and against their options."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

import ivimkit as ik
from ivimkit.engine import Task, run
from ivimkit.errors import FileFormatError, OptionError, ShapeError
from ivimkit.fitting.regularisation import with_weight
from ivimkit.fitting.spectra import amplitudes_of
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.kernels.spectrum.penalty import difference_matrix
from ivimkit.methods._spectrum_writing import for_weighing
from tolerances import CLOSED_FORM

B = np.array([0.0, 5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800])
TRIEXP = ik.models.get("triexp")
SIGMA = 15.0
SAME_AS_SCIPY = 1e-8


def tissue(n, seed=0, sigma=SIGMA):
    """Signals of three compartments with Gaussian noise."""
    rng = np.random.default_rng(seed)
    low, high = np.array([p.usual for p in TRIEXP.parameters[1:]]).T
    params = np.column_stack([np.full(n, 1000.0), rng.uniform(low, high, (n, low.size))])
    clean = ik.simulate.signals(TRIEXP, params, B)
    return clean + rng.normal(0.0, sigma, clean.shape)


def method(**options):
    return ik.methods.NNLS(**{"regularisation": 0.3, **options})


def spectra(signal, own, model=TRIEXP, weight=None):
    reader = ik.DWI(signal, B, average="none").voxels()
    weight = np.ones(B.size) if weight is None else weight
    return amplitudes_of(reader, B, weight, model, own, threads=1)


def augmented(own, weight=None, model=TRIEXP):
    """The matrix of the least-squares problem with the penalty as further rows."""
    rates = own.bins_of(model, B).rates
    root = np.ones(B.size) if weight is None else np.sqrt(weight)
    penalty = own.mu * difference_matrix(own.order, rates.size)
    return np.vstack([root[:, None] * np.exp(-np.outer(B, rates)), penalty])


# Both ways of solution: bins above 0, and bins at 0 (from about mu = 0.07 on).
@settings(max_examples=25)
@given(
    st.sampled_from([0.0, 1e-3, 0.03, 0.08, 0.5, 5.0]),
    st.sampled_from([0, 1, 2]),
    st.integers(10, 90),
    st.integers(0, 2**16),
    st.sampled_from([0.0, 3.0, 400.0]),
)
def test_amplitudes_are_those_of_scipy_and_meet_the_conditions(mu, order, bins, seed, sigma):
    own = method(regularisation=mu, order=order, bins=bins)
    weight = np.random.default_rng(seed).integers(1, 4, B.size).astype(float)
    signal = tissue(3, seed, sigma)
    found = spectra(signal, own, weight=weight)
    matrix = augmented(own, weight)
    zeros = np.zeros(len(matrix) - B.size)
    for row, x in zip(signal, found, strict=True):
        right = np.concatenate([np.sqrt(weight) * row, zeros])
        residual = right - matrix @ x
        if mu > 0.0:  # Without a penalty, neighbouring decays are the same to rounding.
            expected = nnls(matrix, right)[0]
            np.testing.assert_allclose(x, expected, atol=SAME_AS_SCIPY * expected.max())
        best = nnls(matrix, right)[1]
        assert np.linalg.norm(residual) <= best * (1 + SAME_AS_SCIPY) + 1e-9
        # Karush, Kuhn and Tucker: no slope upwards at 0, and none at all above 0.
        slope = matrix.T @ residual
        size = SAME_AS_SCIPY * np.abs(matrix.T @ right).max()
        assert (x >= 0.0).all()
        assert slope.max() <= size
        assert np.abs(slope[x > 0.0]).max(initial=0.0) <= size


def test_maps_are_what_the_windows_of_the_spectrum_say():
    own, signal = method(), tissue(40)
    result = ik.fit(signal, B, model="triexp", method=own, threads=1)
    found = spectra(signal, own)
    bins = own.bins_of(TRIEXP, B)
    logs, total = np.log(bins.rates), found.sum(axis=1)
    np.testing.assert_allclose(result.maps["S0"], total, rtol=CLOSED_FORM)
    names = [("D", None), ("D_inter", "f_inter"), ("D_fast", "f_fast")]
    for k, (rate, fraction) in enumerate(names):
        inside = slice(bins.first[k], bins.first[k + 1])
        share = found[:, inside].sum(axis=1)
        seen = share > 0.0
        assert seen.any()
        weights = found[seen, inside] / share[seen, None]
        mean = (weights * logs[inside]).sum(axis=1)
        spread = (weights * (logs[inside] - mean[:, None]) ** 2).sum(axis=1)
        np.testing.assert_allclose(result.maps[rate][seen], np.exp(mean), rtol=CLOSED_FORM)
        np.testing.assert_allclose(
            result.maps[f"{rate}_width"][seen], np.sqrt(spread), rtol=1e-6, atol=1e-9
        )
        if fraction is not None:
            np.testing.assert_allclose(result.maps[fraction], share / total, atol=CLOSED_FORM)
            np.testing.assert_array_equal(
                result.maps[f"{rate}_flow"], result.maps[fraction] * result.maps[rate]
            )
    away = signal - found @ np.exp(-np.outer(bins.rates, B))
    rmse = np.sqrt((away**2).mean(axis=1))
    np.testing.assert_allclose(result.maps["spectrum_rmse"], rmse, rtol=CLOSED_FORM)


def test_peaks_of_a_spectrum_are_as_many_as_its_map_says():
    result = ik.fit(tissue(60), B, model="triexp", method=method(regularisation=0.05), threads=1)
    peaks = [result.spectrum((k,)).peaks for k in range(60)]
    assert [len(own) for own in peaks] == result.maps["n_peaks"].tolist()
    assert len(set(map(len, peaks))) > 1
    for own in peaks:
        assert list(own) == sorted(own, key=lambda peak: peak.rate)
        assert sum(peak.fraction for peak in own) <= 1.0 + CLOSED_FORM
        assert all(peak.low <= peak.rate <= peak.high and peak.width >= 0.0 for peak in own)


def test_spectrum_of_a_region_is_that_of_its_mean_signal():
    signal = tissue(8).reshape(2, 4, B.size)
    result = ik.fit(ik.DWI(signal, B), model="triexp", method=method(), threads=1)
    region = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)
    found = result.spectrum(region)
    expected = spectra(signal[0, :2].mean(axis=0)[None], method())[0]
    np.testing.assert_allclose(found.amplitudes, expected, rtol=CLOSED_FORM, atol=1e-9)
    np.testing.assert_allclose(
        found.signal(B), np.exp(-np.outer(B, found.rates)) @ expected, rtol=CLOSED_FORM
    )
    assert [one.name for one in found.windows] == ["D", "D_inter", "D_fast"]
    with pytest.raises(OptionError, match=r"there is no voxel \(2, 0\)"):
        result.spectrum((2, 0))
    with pytest.raises(ShapeError):
        result.spectrum(np.ones(3))
    other = ik.fit(signal, B, method="varpro", threads=1)
    with pytest.raises(OptionError, match="method varpro has no spectrum"):
        other.spectrum((0, 0))


# ------------------------------------------------------------------------------ the weight


def test_every_rule_finds_a_weight_of_its_own_and_says_so():
    signal = tissue(60)
    found = {}
    for rule in ("gcv", "lcurve", "discrepancy"):
        own = method(regularisation=rule, order=0)
        result = ik.fit(signal, B, model="triexp", method=own, sigma=SIGMA, threads=1)
        found[rule] = result.method.mu
        assert result.provenance.chosen == {"regularisation": f"{rule}, 60 voxels"}
        again = ik.fit(signal, B, model="triexp", method=result.method, sigma=SIGMA, threads=1)
        np.testing.assert_array_equal(again.maps["f_fast"], result.maps["f_fast"])
        assert not again.provenance.chosen
    assert len(set(found.values())) == 3
    # Residuals as large as the noise, within a step of the median.
    at = ik.fit(
        signal, B, model="triexp", method=method(regularisation=found["discrepancy"], order=0)
    )
    assert np.median(at.maps["spectrum_rmse"]) == pytest.approx(SIGMA, rel=0.03)


def test_the_weight_depends_neither_on_order_nor_on_unit_nor_on_threads():
    signal = tissue(700)
    options = {"model": "triexp", "method": method(regularisation="gcv", order=0)}
    first = ik.fit(signal, B, threads=1, **options)
    shuffled = np.random.default_rng(1).permutation(700)
    second = ik.fit(8.0 * signal[shuffled], B, threads=2, **options)
    assert first.method == second.method
    assert first.provenance.chosen == {"regularisation": "gcv, 500 voxels"}
    np.testing.assert_array_equal(first.maps["D"][shuffled], second.maps["D"])


def test_discrepancy_needs_the_noise():
    with pytest.raises(OptionError, match=r"'discrepancy'.*sigma is not known.*--sigma auto"):
        ik.fit(tissue(3), B, model="triexp", method=method(regularisation="discrepancy"))


def test_a_weight_is_found_where_no_voxel_can_be_fitted():
    result = ik.fit(np.full((2, B.size), np.nan), B, model="triexp", method="nnls")
    assert result.method.mu > 0.0
    assert np.isnan(result.maps["D"]).all()


def test_effective_parameters_are_the_trace_of_the_influence_matrix():
    signal = tissue(4)
    reader = ik.DWI(signal, B, average="none").voxels()
    for mu in (0.02, 0.5):  # By bins above 0, and by bins at 0.
        own = method(regularisation=mu)
        task = Task(TRIEXP, for_weighing(own, mu, influence=True), np.ones(B.size))
        values = run(reader, B[None], [task], threads=1, device="cpu")[0][0][:, -3:]
        x = spectra(signal, own)
        matrix = augmented(own)
        for row, (square, roughness, influence) in enumerate(values):
            above = matrix[:, x[row] > 0.0]
            hat = above[: B.size] @ np.linalg.solve(above.T @ above, above[: B.size].T)
            assert influence == pytest.approx(np.trace(hat), rel=1e-6)
            rest = np.concatenate([signal[row], np.zeros(len(matrix) - B.size)]) - matrix @ x[row]
            assert square == pytest.approx((rest[: B.size] ** 2).sum(), rel=1e-6)
            assert mu**2 * roughness == pytest.approx((rest[B.size :] ** 2).sum(), rel=1e-6)


def test_other_methods_have_no_weight_to_find():
    scan = ik.DWI(tissue(3), B)
    sample = TrainingSample(scan.voxels(), B, np.ones(B.size), TRIEXP, np.full(1, np.nan))
    varpro = ik.methods.get("varpro")
    assert with_weight(varpro, sample) == (varpro, {})


# ------------------------------------------------------------------------------ the windows


def test_windows_replace_the_bounds_of_the_rates():
    own = method(windows=(0.005, 0.05))
    result = ik.fit(tissue(30), B, model="triexp", method=own, threads=1)
    bounds = [(result.model[name].lower, result.model[name].upper) for name in ("D", "D_inter")]
    assert bounds == [(0.0, 0.005), (0.005, 0.05)]
    for name in ("D", "D_inter", "D_fast"):
        parameter = result.model[name]
        assert (result.maps[name] >= parameter.lower).all()
        assert (result.maps[name] <= parameter.upper).all()
    other = ik.fit(tissue(30), B, model="triexp", method=method(), threads=1)
    assert (other.maps["f_inter"] != result.maps["f_inter"]).any()


def test_bins_end_where_the_protocol_or_the_option_says():
    rates = method().bins_of(TRIEXP, B).rates
    loss, rest = np.exp(-rates[0] * B[-1]), np.exp(-rates[-1] * B[1])
    assert rates.size == 60
    assert 0.85 < loss < 0.95
    # The fastest decay of the model is slower than what b = 5 can tell apart.
    assert rates[-1] < TRIEXP["D_fast"].upper
    assert rest > 0.05
    narrow = method(lowest=4e-4, highest=0.2).bins_of(TRIEXP, B).rates
    assert narrow[0] > 4e-4
    assert narrow[-1] < 0.2
    steps = np.diff(np.log(narrow))
    assert steps.max() < 1.2 * steps.min()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"regularisation": "best"}, "expected gcv, lcurve, discrepancy, or a number >= 0"),
        ({"regularisation": -0.1}, "regularisation is -0.1"),
        ({"order": 3}, "expected one of 0, 1, 2"),
        ({"bins": 9}, "a whole number from 10 to 300"),
        ({"bins": 60.5}, "a whole number from 10 to 300"),
        ({"lowest": 0.0}, "lowest is 0.0"),
        ({"highest": 3.0}, "at most 1.*Divide"),
        ({"lowest": 0.1, "highest": 0.01}, "expected lowest < highest"),
        ({"windows": (0.02, 0.01)}, "ascending edges"),
        ({"windows": "some"}, "windows is 'some'; expected"),
        ({"windows": ()}, "expected bounds, or edges"),
        ({"windows": 0.3}, "expected bounds, or edges"),
        ({"keep_spectrum": "yes"}, "expected yes or no"),
    ],
)
def test_options_out_of_range_are_refused(options, why):
    with pytest.raises(OptionError, match=why):
        ik.methods.NNLS(**options)


def test_options_of_a_command_line_are_text():
    made = ik.methods.get("nnls", regularisation="0.2", windows="0.004, 0.03")
    assert made == ik.methods.NNLS(regularisation=0.2, windows=(0.004, 0.03))
    assert ik.methods.get("nnls", regularisation="lcurve").learns
    with pytest.raises(OptionError, match="windows is 'a'; expected a rate"):
        ik.methods.get("nnls", windows="a,0.02")
    with pytest.raises(OptionError, match="found from a scan"):
        _ = ik.methods.get("nnls").mu


@pytest.mark.parametrize(
    ("model", "options", "why"),
    [
        ("kurtosis", {}, "model kurtosis is not one. Use one of biexp, monoexp, triexp"),
        (
            "triexp",
            {"windows": (0.01,)},
            "expected the edges between the rates D, D_inter, D_fast",
        ),
        ("triexp", {"windows": (0.01, 0.9)}, "expected edges between 0 and 0.5"),
        ("biexp", {"lowest": 0.1}, "leaves no bin in the window of D"),
        ("biexp", {"highest": 1e-3}, "leaves no bin in the window of D_star"),
        (ik.models.get("biexp").with_fixed(D_star=0.02), {}, "D_star is fixed.*Leave D_star free"),
        (ik.models.get("biexp").with_bounds(f=(0, 0.5)), {}, "can bound rates only.*Leave f free"),
        (
            ik.models.get("biexp").with_bounds(D=(1e-3, 5e-3), D_star=(1e-4, 0.1)),
            {},
            "overlap too much.*option windows",
        ),
    ],
)
def test_models_without_windows_are_refused(model, options, why):
    with pytest.raises(OptionError, match=why):
        ik.fit(tissue(2), B, model=model, method=method(**options))


def test_an_uncertainty_that_knows_nothing_of_the_penalty_is_refused():
    for name, why in (("curvature", "that of the sum of squares alone"), ("profile", "bootstrap")):
        with pytest.raises(OptionError, match=why):
            ik.fit(tissue(2), B, model="triexp", method=method(), uncertainty=name)


# ---------------------------------------------------------------------------- saved spectra


def test_kept_spectra_are_saved_and_need_no_scan(tmp_path):
    signal = tissue(6).reshape(3, 2, B.size)
    mask = np.array([[1, 1], [1, 0], [1, 1]])
    own = method(keep_spectrum=True, windows=(0.004, 0.03))
    result = ik.fit(ik.DWI(signal, B, mask=mask), model="triexp", method=own, threads=1)
    ik.save(result, tmp_path / "out")
    loaded = ik.load_result(tmp_path / "out")
    assert loaded.method == own
    assert loaded.dwi is None
    kept, made = loaded.spectrum((1, 0)), result.spectrum((1, 0))
    np.testing.assert_array_equal(kept.rates, made.rates)
    np.testing.assert_allclose(kept.amplitudes, made.amplitudes, rtol=1e-6)
    assert kept.windows == made.windows
    assert np.isnan(loaded.spectrum((1, 1)).amplitudes).all()
    assert not loaded.spectrum((1, 1)).peaks
    sidecar = (tmp_path / "out" / "spectrum.json").read_text(encoding="utf-8")
    assert '"Rates"' in sidecar
    assert '"D_inter": [' in sidecar
    other = ik.fit(signal, B, model="triexp", method=method(keep_spectrum=True, bins=30))
    ik.save(other, tmp_path / "other")
    shutil.copy(tmp_path / "other" / "spectrum.nii.gz", tmp_path / "out")
    with pytest.raises(FileFormatError, match=r"spectrum.nii.gz has shape .*30\); expected .*60"):
        ik.load_result(tmp_path / "out")
    ik.save(ik.fit(ik.DWI(signal, B), method="varpro"), tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "spectrum.nii.gz").exists()


def test_without_kept_spectra_the_scan_is_needed(tmp_path):
    result = ik.fit(tissue(2), B, model="triexp", method=method(), threads=1)
    ik.save(result, tmp_path / "out")
    with pytest.raises(OptionError, match="does not include its scan"):
        ik.load_result(tmp_path / "out").spectrum((0,))
