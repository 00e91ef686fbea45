"""Masks found in the scan, against the shapes of phantoms and the regions of real scans."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan import masks

ENOUGH = 0.95
"""Dice coefficient with the truth."""


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@cache
def made(kind, snr, biased):
    """Return a phantom in air, and where its tissue is with its holes filled.

    A biased one is nine times brighter on one side, and the noise is the same everywhere.
    """
    clean = ik.simulate.phantom(kind, shape=(96, 72, 3), bvals=(0, 100, 800), snr=None)
    signal = np.asarray(clean.dwi.signal, dtype=float)
    if biased:
        x, y = np.ogrid[-1 : 1 : signal.shape[0] * 1j, -1 : 1 : signal.shape[1] * 1j]
        signal *= np.exp(0.7 * x + 0.4 * y)[..., None, None]
    noisy = ik.simulate.add_noise(signal, sigma=1000 / snr, seed=1)
    truth = np.stack([ndimage.binary_fill_holes(t) for t in np.moveaxis(clean.dwi.mask, 2, 0)], 2)
    return ik.DWI(noisy, [0, 100, 800], geometry=clean.dwi.geometry), truth


@pytest.mark.parametrize(
    ("phantom", "snr", "biased"),
    [
        ("abdomen", 10, True),
        ("brain", 10, True),
        ("abdomen", 30, False),
        ("brain", 30, True),
        ("abdomen", 100, True),
        ("brain", 100, False),
    ],
)
def test_phantoms_in_air(phantom, snr, biased):
    dwi, truth = made(phantom, snr, biased)
    expected = "brain" if phantom == "brain" else "body"
    for kind in {"auto", "body", expected}:
        assert dice(masks.auto(dwi, kind), truth) > ENOUGH, kind
    assert masks.masked(dwi).mask_origin.startswith(f"auto ({expected}): mean image at b = 0")


def test_the_scale_of_the_signal_does_not_matter():
    dwi, _ = made("abdomen", 30, False)
    expected = masks.auto(dwi)
    for scale in (1e-20, 1e-3, 1e20):
        scaled = ik.DWI(dwi.signal * scale, dwi.acquisition, geometry=dwi.geometry)
        np.testing.assert_array_equal(masks.auto(scaled), expected)


@pytest.mark.parametrize("noise", [0.0, 40.0])
def test_bright_fluid_does_not_decide(noise):
    """A bladder twenty times brighter than the tissue around it."""
    x, y = np.ogrid[-1:1:80j, -1:1:80j]
    body, bladder = np.hypot(x, y) < 0.8, np.hypot(x, y) < 0.25
    image = np.where(bladder, 2e4, np.where(body, 1e3, 0.0))
    signal = np.stack([image, image / 2], -1)[:, :, None]
    if noise:
        signal = ik.simulate.add_noise(signal, sigma=noise, seed=0)
    assert dice(masks.auto(ik.DWI(signal, [0, 800]))[..., 0], body) > ENOUGH


def test_a_brain_loses_its_skull():
    """A ring of scalp around a brain, that a bridge of two voxels connects to it."""
    x, y = np.ogrid[-1:1:100j, -1:1:100j]
    r = np.hypot(x, y)
    brain, scalp = r < 0.6, (r > 0.75) & (r < 0.9)
    bridge = (np.abs(x) < 0.02) & (y > 0) & (r < 0.8)
    image = np.where(brain | scalp | bridge, 1000.0, 0.0)
    noisy = ik.simulate.add_noise(np.stack([image, image / 2], -1)[:, :, None], sigma=30, seed=0)
    dwi = ik.DWI(noisy, [0, 800], np.diag([2.0, 2.0, 5.0, 1.0]))
    assert dice(masks.auto(dwi)[..., 0], brain) > ENOUGH
    assert dice(masks.auto(dwi, "brain")[..., 0], brain) > ENOUGH
    assert dice(masks.auto(dwi, "body")[..., 0], r < 0.9) > ENOUGH


def test_without_air_there_is_nothing_to_leave_out():
    dwi, truth = made("brain", 30, False)
    inner = dwi.signal[36:60, 26:46]
    assert truth[36:60, 26:46].all()
    found = masks.masked(ik.DWI(inner, [0, 100, 800]))
    assert found.mask.all()
    assert "no air was found" in found.mask_origin


def test_nan_and_negative_values_are_air():
    dwi, truth = made("brain", 30, False)
    signal = np.array(dwi.signal)
    signal[:3], signal[-3:] = np.nan, -5
    assert dice(masks.auto(ik.DWI(signal, [0, 100, 800], geometry=dwi.geometry)), truth) > ENOUGH


def test_one_slice_with_two_axes():
    dwi, truth = made("brain", 30, False)
    found = masks.auto(ik.DWI(dwi.signal[:, :, 1], [0, 100, 800]))
    assert found.shape == truth.shape[:2]
    assert dice(found, truth[:, :, 1]) > ENOUGH


def test_what_cannot_be():
    dwi = ik.simulate.phantom("brain", shape=(24, 28, 2)).dwi
    with pytest.raises(
        OptionError, match="kind of mask is 'liver'; expected one of auto, body, b"
    ):
        masks.auto(dwi, "liver")
    with pytest.raises(ShapeError, match="no signal; expected an image to find a mask in"):
        masks.auto(ik.DWI(np.zeros((8, 8, 2, 2)), [0, 800]))
    with pytest.raises(ShapeError, match="has 1 spatial axes; expected two or three"):
        masks.auto(ik.DWI(np.ones((8, 2)), [0, 800]))
    with pytest.raises(OptionError, match="'auto:liver'; expected one of auto, auto:body, auto:b"):
        masks.kind_of("auto:liver")
    assert [masks.kind_of(name) for name in ("auto", "auto:brain", "./auto", "autofill.nii")] == [
        "auto",
        "brain",
        None,
        None,
    ]


def test_load_takes_the_word_for_it(tmp_path):
    dwi, _ = made("brain", 30, False)
    ik.io.save_scan(dwi, tmp_path / "dwi.nii.gz")
    loaded = ik.load(tmp_path / "dwi.nii.gz", mask="auto:brain")
    np.testing.assert_array_equal(loaded.mask, masks.auto(dwi, "brain"))
    assert loaded.mask_origin.startswith("auto (brain)")
    result = ik.fit(loaded, model="monoexp", method="loglinear")
    ik.save(result, tmp_path / "out")
    np.testing.assert_array_equal(ik.io.load_map(tmp_path / "out" / "mask.nii.gz"), loaded.mask)


@pytest.mark.parametrize(
    ("scan", "regions"),
    [
        ("abdomen/volunteer1", ("rois", "mask")),
        ("abdomen/volunteer2", ("rois", "mask")),
        ("prostate", ("roi_bph", "roi_pz", "roi_tumor")),
    ],
)
def test_real_scans(shared_data, scan, regions):
    folder = shared_data / scan
    dwi = ik.load(folder / "dwi.nii.gz")
    found = masks.auto(dwi)
    assert 0.2 < found.mean() < 0.8
    for name in regions:
        region = np.asarray(ik.load_labels(folder / f"{name}.nii.gz", dwi)) > 0
        assert found[region].mean() > 0.99
