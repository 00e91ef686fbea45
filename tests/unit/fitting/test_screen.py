"""The screen of volumes and values: what is left out, and what is not."""

import dataclasses

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.fitting.screen import MIN_DEGREES, MIN_VOXELS, screened
from ivimkit.status import FitStatus

pytestmark = [
    pytest.mark.filterwarnings("ignore::ivimkit.errors.ScanWarning"),
    pytest.mark.filterwarnings("ignore::ivimkit.errors.AcquisitionWarning"),
]

BIEXP = ik.models.get("biexp")
B = np.repeat([0, 10, 20, 40, 80, 150, 300, 500, 800.0], 3)
UNKNOWN = np.full(1, np.nan)
SIGMA = 40.0


def _signals(b=B, shape=(20, 20, 2), seed=0):
    random = np.random.default_rng(seed)
    n = int(np.prod(shape))
    params = np.stack(
        [
            1000 * random.uniform(0.7, 1.3, n),
            random.uniform(0.1, 0.35, n),
            random.uniform(0.03, 0.08, n),
            random.uniform(0.9e-3, 1.4e-3, n),
        ],
        axis=1,
    )
    clean = ik.simulate.signals("biexp", params, b).reshape(*shape, len(b))
    return clean, params.reshape(*shape, 4)


def _noisy(clean, seed=1):
    return ik.simulate.add_noise(clean, sigma=SIGMA, kind="rician", seed=seed)


def _screened(signal, b=B, sigma=UNKNOWN, model=BIEXP, **options):
    return screened(ik.DWI(signal, b, **options), model, sigma, threads=1)


@pytest.fixture(scope="module")
def spoiled():
    """A scan with two dropped volumes, one dropped slice and 2 % of odd values."""
    clean, _ = _signals()
    random = np.random.default_rng(2)
    odd = random.random(clean.shape) < 0.02
    signal = np.where(odd, clean * np.exp(random.choice([-1, 1], clean.shape) * 0.8), clean)
    signal[..., 13] *= 0.5
    signal[..., 20] *= random.uniform(0.3, 0.7, clean.shape[:3])
    signal[:, :, 1, 7] *= 0.6
    signal = _noisy(signal)
    return ik.DWI(signal, B), ik.DWI(_noisy(clean), B), odd


def test_volumes_slices_and_values_that_do_not_belong_are_left_out(spoiled):
    dwi, _, odd = spoiled
    for sigma in (UNKNOWN, np.full(1, SIGMA), np.full(dwi.n_voxels, SIGMA)):
        found, screening = screened(dwi, BIEXP, sigma, threads=1)
        assert screening.volumes_out.tolist() == [13, 20]
        assert screening.volumes_partly_out.tolist() == [7]
        np.testing.assert_array_equal(np.flatnonzero(screening.left_out[:, 7]), [1])
        assert screening.factor_of(13) == pytest.approx(0.5, abs=0.02)
        assert screening.factor_of(7) == pytest.approx(0.6, abs=0.02)
        kept = found.value_weights > 0
        assert not kept[..., [13, 20]].any()
        assert not kept[:, :, 1, 7].any()
        rest = np.delete(np.arange(B.size), [7, 13, 20])
        # Bright values at low b are far outside the noise; of the others few are left out.
        low = rest[B[rest] <= 80]
        assert (~kept[..., low])[odd[..., low]].mean() > 0.9
        assert (~kept[..., rest])[~odd[..., rest]].mean() < 0.002
        lost = (~kept).reshape(-1, 2, B.size)
        np.testing.assert_allclose(screening.shares, lost.mean(axis=0), atol=1e-12)
        assert screening.share_left_out == pytest.approx((~kept).mean())


@pytest.mark.parametrize(
    "method", [ik.methods.VarPro(robust=True), ik.methods.Bayes(prior="flat", robust=True)]
)
def test_the_fit_is_that_without_them(spoiled, method):
    dwi, clean, _ = spoiled
    truth, plain = (
        ik.fit(one, method=method.without_screen(), sigma=SIGMA) for one in (clean, dwi)
    )
    robust = ik.fit(dwi, method=method, sigma=SIGMA)
    for name in ("f", "D"):
        middle = np.nanmedian(truth.maps[name])
        assert abs(np.nanmedian(plain.maps[name]) / middle - 1) > 0.05
        assert abs(np.nanmedian(robust.maps[name]) / middle - 1) < 0.01
    assert robust.screening.volumes_out.tolist() == [13, 20]
    count = robust.maps["n_left_out"]
    np.testing.assert_array_equal(count, (robust.dwi.value_weights == 0).sum(axis=-1))
    assert robust.provenance.value_weights.left_out == int(count.sum())
    # Two of the three volumes of these shells are left.
    assert robust.dwi.fit_counts.tolist() == [3, 3, 3, 3, 2, 3, 2, 3, 3]
    weights = robust.value_weights
    again = ik.fit(dwi, method=method.without_screen(), sigma=SIGMA, weights=weights)
    for name in again.maps:
        np.testing.assert_array_equal(again.maps[name], robust.maps[name], err_msg=name)


@pytest.mark.parametrize(
    "b", [B, [0, 10, 20, 40, 80, 110, 140, 200, 300, 400, 600, 800], [0] + 4 * [50] + 9 * [800]]
)
def test_nothing_of_a_clean_scan_is_left_out(b):
    b = np.asarray(b, dtype=float)
    model = BIEXP if np.unique(b).size > 3 else ik.models.get("sivim")
    for seed in range(2):
        signal = _noisy(_signals(b, seed=seed)[0], seed=seed)
        found, screening = _screened(signal, b, model=model)
        assert not screening.left_out.any()
        assert screening.share_left_out < 0.001
        assert screening.sigma == pytest.approx(SIGMA, rel=0.15)
        if screening.share_left_out == 0:
            assert found.value_weights is None


def test_repeats_that_agree_are_the_fault_of_the_model_not_of_the_volumes():
    # Signal that the model does not have: too bright at one b-value, in all of its repeats.
    clean, _ = _signals()
    clean[..., B == 300] *= 1.25
    _, screening = _screened(_noisy(clean))
    assert not screening.left_out.any()


def test_a_b_value_that_is_hidden_is_named():
    b = np.array([0, 10, 20, 40, 80, 110, 150, 200, 300, 400, 500, 600, 800.0])
    signal = _signals(b)[0]
    signal[..., 9] *= 0.4
    _, screening = _screened(_noisy(signal), b)
    assert screening.volumes_out.tolist() == [9]
    assert screening.hidden_bvals.tolist() == [400]
    text = " ".join(screening.sentences())
    assert "Volume 9 (b = 400, signal × 0.4" in text
    assert "Nothing is left of b = 400 s/mm²" in text
    assert "No volume was repeated" in text


def test_a_scan_that_cannot_be_judged_is_left_as_it_is_and_says_why():
    signal = _noisy(_signals()[0])
    few = signal.reshape(-1, B.size)[: MIN_VOXELS - 1]
    found, screening = _screened(few)
    assert found.value_weights is None
    assert f"there are {MIN_VOXELS - 1} voxels, and {MIN_VOXELS} are needed" in screening.reason
    short = np.array([0, 50, 150, 300, 500, 800, 1000.0])
    assert short.size - BIEXP.n_free < MIN_DEGREES
    result = ik.fit(_noisy(_signals(short)[0]), short, method=ik.methods.VarPro(robust=True))
    assert not result.screening.is_judged
    assert result.screening.sentences() == [
        "The screen of volumes and values left out nothing: 7 volumes leave 3 degrees of freedom "
        "with model biexp, and 4 are needed to tell a value that does not belong."
    ]
    assert "n_left_out" not in result.maps
    with pytest.raises(OptionError, match="nothing to draw: 7 volumes"):
        ik.report.screening_panels(result.screening)


def test_single_values_are_not_judged_where_a_fit_follows_them():
    b = np.array([0, 10, 30, 60, 100, 200, 400, 800.0])
    signal = _noisy(_signals(b)[0])
    signal[3, 3, 0, 3] *= 3
    found, screening = _screened(signal, b)
    assert not screening.judges_values
    assert found.value_weights is None
    assert "Single values were not judged" in screening.sentences()[-1]


def test_given_weights_are_kept(spoiled):
    dwi, _, _ = spoiled
    weights = np.ones(dwi.signal.shape)
    weights[2, 2, 0, 5] = 0
    weights[3, 3, 0, 6] = 0.5
    found, screening = screened(dwi.with_weights(weights), BIEXP, UNKNOWN, threads=1)
    assert found.value_weights[2, 2, 0, 5] == 0
    assert found.value_weights[3, 3, 0, 6] == 0.5
    assert screening.volumes_out.tolist() == [13, 20]
    found, screening = screened(
        dwi.with_weights(np.where(np.arange(B.size) == 13, 0.0, 1.0)), BIEXP, UNKNOWN, threads=1
    )
    assert screening.volumes_out.tolist() == [20]
    assert found.fit_counts.tolist() == [3, 3, 3, 3, 2, 3, 3, 3, 3]


def test_the_screen_does_not_depend_on_threads(spoiled):
    dwi, _, _ = spoiled
    one, two = (screened(dwi, BIEXP, UNKNOWN, threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one[0].value_weights, two[0].value_weights)
    np.testing.assert_array_equal(one[1].factors, two[1].factors)


def test_too_few_b_values_in_a_voxel_are_a_status():
    b = np.array([0, 20, 50, 100, 400, 800.0])
    signal = _noisy(_signals(b, shape=(5,))[0])
    weights = np.ones(signal.shape)
    weights[1, :3] = 0
    weights[2] = 0
    result = ik.fit(signal, b, weights=weights)
    assert result.status.tolist()[1:3] == [FitStatus.TOO_FEW_BVALUES] * 2
    assert np.isnan([values[1:3] for values in result.maps.values()]).all()
    assert np.isfinite(result.params[[0, 3, 4]]).all()
    plain = ik.fit(signal, b)
    np.testing.assert_array_equal(plain.params[[0, 3, 4]], result.params[[0, 3, 4]])


def test_models_are_compared_on_the_same_values(spoiled):
    dwi, _, _ = spoiled
    found = ik.compare(dwi, models=["monoexp", "biexp"], method=ik.methods.VarPro(robust=True))
    one, two = found.results.values()
    assert one.dwi is two.dwi or np.array_equal(one.value_weights, two.value_weights)
    assert one.screening is two.screening
    assert one.method.robust
    assert two.screening.volumes_out.tolist() == [13, 20]


def test_other_methods_do_not_have_the_option():
    with pytest.raises(OptionError, match="method segmented has no option 'robust'"):
        ik.methods.get("segmented", robust=True)


def test_a_result_is_saved_and_loaded_with_what_was_left_out(spoiled, tmp_path):
    dwi, _, _ = spoiled
    ik.io.save_scan(dwi, tmp_path / "dwi.nii.gz")
    scan = ik.load(tmp_path / "dwi.nii.gz")
    result = ik.fit(scan, method=ik.methods.VarPro(robust=True))
    ik.save(result, tmp_path / "out")
    loaded = ik.load_result(tmp_path / "out", scan=True)
    for field in dataclasses.fields(result.screening):
        np.testing.assert_array_equal(
            getattr(loaded.screening, field.name), getattr(result.screening, field.name)
        )
    assert loaded.provenance == result.provenance
    assert loaded.method == result.method
    np.testing.assert_array_equal(loaded.value_weights, result.value_weights)
    np.testing.assert_array_equal(loaded.maps["n_left_out"], result.maps["n_left_out"])
    before, after = (ik.quality.residuals(one) for one in (result, loaded))
    np.testing.assert_allclose(after.mean, before.mean, atol=1e-3)
    assert before.volumes.size == B.size - 2
    # With the values that were left out, they would be tens of per cent.
    assert np.abs(before.by_volume).max() < 2
