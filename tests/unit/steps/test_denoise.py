import sys

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import InputError, NoiseError, OptionError
from ivimkit.noise.mppca import patches_of, separate_noise, without_gaps
from ivimkit.noise.remaining import RemainingNoise

SHAPE = (30, 30, 4)


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(shape=SHAPE, snr=25, texture=ik.simulate.Texture())


@pytest.fixture(scope="module")
def clean(made):
    return ik.simulate.phantom(shape=SHAPE, snr=None, texture=ik.simulate.Texture()).dwi


@pytest.fixture(scope="module")
def denoised(made):
    return ik.preprocess(made.dwi, "denoise")


def test_noise_becomes_less_and_is_remembered(made, clean, denoised):
    inside = made.dwi.mask
    before = np.sqrt(np.mean((made.dwi.signal - clean.signal)[inside] ** 2))
    after = np.sqrt(np.mean((denoised.dwi.signal - clean.signal)[inside] ** 2))
    assert after < 0.6 * before
    (record,) = denoised.records
    assert denoised.dwi.history.noise == "changed"
    assert record.numbers["sigma"] == pytest.approx(made.sigma, rel=0.1)
    assert record.versions["dipy"]
    assert "% of its variance is left" in record.summary


def test_the_error_that_is_left_is_told_without_the_truth(made, clean, denoised):
    found = RemainingNoise.from_numbers(denoised.records[0].numbers["remaining_noise"])
    inside = made.dwi.mask
    error = (denoised.dwi.signal - clean.signal)[inside] / made.sigma
    number = found.class_of(denoised.dwi.signal[inside])
    share = np.bincount(number, minlength=len(found.classes)) / len(number)
    told = np.einsum("c,cij->ij", share, found.covariances)
    true = error.T @ error / len(error)
    assert np.trace(told) == pytest.approx(np.trace(true), rel=0.25)
    assert np.linalg.eigvalsh(told)[-1] == pytest.approx(np.linalg.eigvalsh(true)[-1], rel=0.25)


def test_what_is_left_survives_json_and_selection(denoised):
    numbers = denoised.records[0].numbers["remaining_noise"]
    found = RemainingNoise.from_numbers(numbers)
    assert found.to_numbers() == numbers
    signals = denoised.dwi.signal[denoised.dwi.mask].astype(float)
    some = [0, 3, 5, 8, 12]
    part = found.of_volumes(some)
    assert part.n_volumes == 5
    alike = part.class_of(signals[:, some]) == found.class_of(signals)
    assert alike.mean() > 0.8
    with pytest.raises(NoiseError, match="damaged numbers"):
        RemainingNoise.from_numbers({**numbers, "classes": [[1.0]]})


def test_missing_values_stay_missing(made):
    part = made.dwi.signal[4:18, 2:15]
    signal = part.copy()
    signal[6, 6, 2, 4] = np.nan
    weights = np.ones(signal.shape)
    weights[7, 6, 2, 5] = 0.0
    signal[7, 6, 2, 5] = 1e5
    dwi = ik.DWI(signal, made.dwi.acquisition, value_weights=weights)
    filled, missing = without_gaps(dwi)
    assert missing.sum() == 2
    assert filled[6, 6, 2, 4] == pytest.approx(part[6, 6, 2, 4], rel=0.3)
    found = ik.preprocess(dwi, "denoise").dwi
    assert np.isnan(found.signal[6, 6, 2, 4])
    assert found.signal[7, 6, 2, 5] == np.float32(1e5)
    assert np.array_equal(found.value_weights, weights)
    near = found.signal[7, 7, 2, 5]
    assert near == pytest.approx(part[7, 7, 2, 5], abs=5 * made.sigma)


def test_chunks_of_rows_do_not_show(made, monkeypatch):
    signal = made.dwi.signal[8:28, 6:20, :4].astype(float)
    patches = patches_of(signal.shape[:3], signal.shape[-1])
    shares = []
    whole = separate_noise(signal, patches)
    monkeypatch.setattr("ivimkit.noise.mppca._CHUNK_ROWS", 7)
    parts = separate_noise(signal, patches, progress=shares.append)
    np.testing.assert_allclose(parts.signal, whole.signal, rtol=1e-10)
    np.testing.assert_allclose(parts.sigma, whole.sigma, rtol=1e-10)
    assert len(shares) == 3
    assert shares[-1] == 1.0


def test_voxels_outside_the_mask_keep_their_values(made):
    dwi = made.dwi.with_mask(made.region("liver"))
    found = ik.preprocess(dwi, "denoise:radius=1").dwi
    outside = ~dwi.mask
    assert np.array_equal(found.signal[outside], dwi.signal[outside])


def test_patches_need_more_voxels_than_volumes():
    assert patches_of((20, 20, 20), 26).radius == (1, 1, 1)
    assert patches_of((20, 20, 20), 52).radius == (2, 2, 2)
    assert patches_of((20, 20, 2), 13).radius == (2, 2, 0)
    with pytest.raises(OptionError, match=r"27 voxels; expected more .*Give radius 2"):
        patches_of((20, 20, 20), 52, 1)
    with pytest.raises(InputError, match="is too small"):
        patches_of((3, 3, 1), 13)
    with pytest.raises(InputError, match="no neighbours"):
        patches_of((500,), 13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "nlmeans"}, "expected one of mppca, patch2self"),
        ({"radius": 0}, "radius is 0; expected auto, or a whole number"),
        ({"radius": "x"}, "radius is 'x'"),
        ({"radius": True}, "radius is True"),
        ({"method": "patch2self", "radius": 2}, "expected it with mppca only"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(OptionError, match=message):
        ik.steps.Denoise(**options)


def test_a_scan_that_is_not_as_acquired_is_refused(made, denoised):
    with pytest.raises(OptionError, match="has had step denoise already"):
        ik.preprocess(denoised.dwi, "denoise")
    with pytest.raises(InputError, match="expected one as acquired"):
        ik.steps.Denoise().check(denoised.dwi)
    with pytest.raises(NoiseError, match="the scan has had denoise"):
        ik.noise.from_mppca(denoised.dwi)


def test_patch2self_needs_directions(made):
    with pytest.raises(InputError, match="shell b = 80 has 0 known directions"):
        ik.preprocess(made.dwi, "denoise:method=patch2self")


def _many_directions(shape=(20, 16, 3), snr=25):
    """A scan of two shells with twelve directions each; with the one without noise."""
    bvals = [0, 0, *[500] * 12, *[1000] * 12]
    at = np.arange(12) + 0.5
    azimuth, height = np.pi * (1 + 5**0.5) * at, 1 - 2 * at / 12
    flat = np.sqrt(1 - height**2)
    around = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), height], axis=1)
    acquisition = ik.Acquisition(bvals, np.concatenate([np.zeros((2, 3)), around, around]))
    scans = [ik.simulate.phantom(shape=shape, bvals=bvals, snr=one).dwi for one in (snr, None)]
    return [ik.DWI(scan.signal, acquisition, mask=scan.mask) for scan in scans]


def test_patch2self_removes_noise_and_no_signal():
    pytest.importorskip("sklearn")
    dwi, clean = _many_directions()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    found = ik.preprocess(dwi, "denoise:method=patch2self")
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    before, after = ((one.signal - clean.signal)[dwi.mask] for one in (dwi, found.dwi))
    assert np.sqrt(np.mean(after**2)) < 0.6 * np.sqrt(np.mean(before**2))
    assert abs(after.mean()) < abs(before.mean()) + 1.0
    (record,) = found.records
    assert "Fadnavis" in record.references[0]
    assert record.versions["scikit-learn"]
    assert found.dwi.history.noise == "changed"
    again = ik.preprocess(dwi, "denoise:method=patch2self").dwi
    assert np.array_equal(again.signal, found.dwi.signal)


def test_patch2self_needs_voxels_and_scikit_learn(monkeypatch):
    dwi, _ = _many_directions()
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(InputError, match=r"scikit-learn cannot be loaded.*pip install"):
        ik.preprocess(dwi, "denoise:method=patch2self")
    small = ik.DWI(dwi.signal[:10, :10, :1], dwi.acquisition)
    with pytest.raises(InputError, match="100 voxels and 26 volumes; expected 10 voxels or more"):
        ik.preprocess(small, "denoise:method=patch2self")


def test_a_scan_without_noise_or_tissue():
    with pytest.raises(NoiseError, match="no patch of the scan has noise"):
        ik.preprocess(ik.DWI(np.ones((8, 8, 8, 4)), [0, 100, 400, 800]), "denoise")
    air = ik.simulate.add_noise(np.zeros((8, 8, 8, 4)), sigma=10.0, seed=1)
    with pytest.raises(NoiseError, match="hardly any voxel"):
        ik.preprocess(ik.DWI(air, [0, 100, 400, 800]), "denoise")


def test_noise_from_mppca_for_a_fit(made):
    found = ik.noise.for_fit(made.dwi, "mppca")
    assert found.sigma == pytest.approx(made.sigma, rel=0.1)
    assert str(found).endswith("from principal components of patches (MPPCA)")
    assert ik.noise.estimate(made.dwi, "mppca").sigma == found.sigma
    with pytest.raises(NoiseError, match="Use another source"):
        ik.noise.from_mppca(ik.DWI(np.ones((50, 4)), [0, 100, 400, 800]))
    with pytest.raises(NoiseError, match="no patch of the scan has noise"):
        ik.noise.from_mppca(ik.DWI(np.zeros((8, 8, 8, 4)), [0, 100, 400, 800]))


def test_without_dipy(made, monkeypatch):
    for place in ("ivimkit.noise.mppca", "ivimkit.extend.preprocessing_step"):
        monkeypatch.setattr(f"{place}.find_spec", lambda name: None)
    with pytest.raises(InputError, match="expected the extra preprocess"):
        ik.noise.from_mppca(made.dwi)
    with pytest.raises(InputError, match="dipy is not installed; expected the extra preprocess"):
        ik.preprocess(made.dwi, "denoise")


def test_air_is_not_taken_for_tissue(made):
    everywhere = made.dwi.with_mask(None)
    assert ik.noise.from_mppca(everywhere).sigma == pytest.approx(made.sigma, rel=0.05)
    (record,) = ik.preprocess(everywhere, "denoise").records
    assert record.numbers["sigma"] == pytest.approx(made.sigma, rel=0.05)
