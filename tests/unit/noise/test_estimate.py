"""The noise for a fit, from what the scan has."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import NoiseError, OptionError

SHAPE = (48, 36, 2)
ONCE = [0, 10, 20, 40, 80, 200, 400, 800]


def scan(bvals=ONCE, **options):
    return ik.simulate.phantom(shape=SHAPE, bvals=bvals, seed=3, **options).dwi


def without_air(dwi):
    """The scan as scanners write it that set air to 0."""
    signal = np.where(dwi.mask[..., None], dwi.signal, 0.0)
    return ik.DWI(signal, dwi.acquisition.bvals, mask=dwi.mask)


@pytest.mark.parametrize(
    ("dwi", "sources"),
    [
        (scan([0, 0, 0, *ONCE]), {"auto": "repeats", "repeats": "repeats", "air": "background"}),
        (scan(), {"auto": "background", "air": "background", "residuals": None}),
        (without_air(scan()), {"auto": None, "residuals": None}),
    ],
    ids=["repeats", "air", "neither"],
)
def test_what_the_scan_has(dwi, sources):
    found = {source: ik.noise.for_fit(dwi, source) for source in sources}
    assert {source: noise and noise.source for source, noise in found.items()} == sources


@pytest.mark.parametrize(("source", "dwi"), [("repeats", scan()), ("air", without_air(scan()))])
def test_what_it_does_not_have_is_an_error(source, dwi):
    with pytest.raises(NoiseError):
        ik.noise.for_fit(dwi, source)


def test_an_unknown_source_lists_the_known():
    with pytest.raises(
        OptionError, match="auto, repeats, air, mppca, residuals, a number or a map"
    ):
        ik.fit(scan(), sigma="repeat")


def test_fit_and_compare_use_it():
    dwi = scan([0, 0, 0, *ONCE])
    noise = ik.noise.from_repeats(dwi)
    named, given = (
        ik.fit(dwi, method="segmented", sigma=sigma, uncertainty="curvature")
        for sigma in ("repeats", noise)
    )
    np.testing.assert_array_equal(named.maps["D_sd"], given.maps["D_sd"])
    assert named.settings.noise == given.settings.noise
    assert named.settings.noise.source == "repeats"
    own = ik.fit(dwi, method="segmented", sigma="residuals", uncertainty="curvature")
    assert own.settings.sigma is None
    assert not np.array_equal(own.maps["D_sd"], named.maps["D_sd"], equal_nan=True)
    chosen = [
        ik.compare(dwi, models=["monoexp", "sivim"], sigma=s).chosen for s in ("repeats", noise)
    ]
    np.testing.assert_array_equal(*chosen)
