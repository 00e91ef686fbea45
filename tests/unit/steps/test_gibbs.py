import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import InputError, OptionError


def _ringing(n=32):
    """A bright square whose k-space ends at half of what it needs."""
    fine = np.zeros((4 * n, 4 * n))
    fine[n : 3 * n, n : 3 * n] = 1000.0
    k = np.fft.fftshift(np.fft.fft2(fine))
    cut = slice(2 * n - n // 2, 2 * n + n // 2)
    image = np.abs(np.fft.ifft2(np.fft.ifftshift(k[cut, cut]))) / 16
    return np.stack([image, 0.5 * image], axis=-1)[:, :, None, :].repeat(2, axis=2)


def _scan(**sidecar):
    return ik.DWI(_ringing(), [0, 500], sidecar=sidecar)


def _ripple(signal):
    return signal[10:22, 10:22, 0, 0].std()


def test_ringing_becomes_less_and_is_remembered():
    dwi = _scan(PartialFourier=1)
    made = ik.preprocess(dwi, "gibbs")
    assert _ripple(made.dwi.signal) < 0.5 * _ripple(dwi.signal)
    assert made.dwi.history.noise == "interpolated"
    assert made.records[0].numbers == {
        "partial_fourier": 1.0,
        "partial_fourier_source": "PartialFourier is 1 in its JSON sidecar",
    }


def test_the_axis_of_the_slices_can_be_another():
    dwi = _scan(PartialFourier=1)
    turned = ik.DWI(np.moveaxis(dwi.signal, 2, 0), [0, 500], sidecar={"PartialFourier": 1})
    want = ik.preprocess(dwi, "gibbs").dwi.signal
    found = ik.preprocess(turned, "gibbs:slice_axis=0").dwi.signal
    np.testing.assert_allclose(np.moveaxis(found, 0, 2), want, rtol=1e-6)


def test_missing_values_stay_missing():
    signal = _ringing()
    signal[5, 5, 1, 1] = np.nan
    dwi = ik.DWI(signal, [0, 500], sidecar={"PartialFourier": 1})
    found = ik.preprocess(dwi, "gibbs").dwi.signal
    assert np.isnan(found[5, 5, 1, 1])
    assert np.isfinite(found).sum() == found.size - 1


def test_partial_fourier_is_refused():
    for sidecar, told in (
        ({"PartialFourier": 0.75}, r"PartialFourier is 0\.75 in its JSON sidecar"),
        ({"PartialFourier": 1, "PartialFourierEnabled": "YES"}, "PartialFourierEnabled is YES"),
        ({"PartialFourierEnabled": "NO", "ScanOptions": "FS_PFP"}, "ScanOptions is FS_PFP"),
        ({"PartialFourier": 1, "PercentSampling": 80}, "PercentSampling is 80"),
        (
            {"PartialFourier": 0.75, "PartialFourierSource": "Partial Fourier (0018,9081)"},
            r"from Partial Fourier \(0018,9081\) in its DICOM headers",
        ),
    ):
        with pytest.raises(InputError, match=rf"{told}.*Leave step gibbs out"):
            ik.preprocess(_scan(**sidecar), "gibbs")
    ik.steps.Gibbs().check(_scan(PartialFourierEnabled="NO", PercentSampling=100))
    with pytest.raises(InputError, match=r"does not say whether .*gibbs:partial_fourier=1"):
        ik.preprocess(_scan(), "gibbs")
    with pytest.raises(InputError, match="does not say"):
        ik.preprocess(_scan(PartialFourier="yes"), "gibbs")
    assert ik.preprocess(_scan(PartialFourier=0.75), "gibbs:partial_fourier=1").records


def test_what_is_not_an_image_is_refused():
    with pytest.raises(InputError, match="are not images"):
        ik.preprocess(ik.DWI(np.ones((50, 2)), [0, 500]), "gibbs:partial_fourier=1")
    with pytest.raises(InputError, match="8 voxels or more"):
        ik.preprocess(_scan(PartialFourier=1), "gibbs:slice_axis=1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partial_fourier": 0.3}, r"0\.5 to 1"),
        ({"partial_fourier": "half"}, r"'half'; expected the share"),
        ({"slice_axis": 3}, "expected 0, 1 or 2"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(OptionError, match=message):
        ik.steps.Gibbs(**options)


def test_auto_never_takes_it():
    assert not ik.steps.Gibbs().decide(_scan(PartialFourier=1)).taken
    assert not ik.steps.Denoise().decide(_scan()).taken
