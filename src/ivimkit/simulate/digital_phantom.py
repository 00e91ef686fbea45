"""Digital phantoms: scans whose true maps are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.rounding import rounded
from ivimkit.scan.dwi import DWI
from ivimkit.simulate.abdomen import ABDOMEN
from ivimkit.simulate.anatomy import Anatomy
from ivimkit.simulate.artefacts import Artefacts, check_artefacts
from ivimkit.simulate.brain import BRAIN
from ivimkit.simulate.coil import receive_field
from ivimkit.simulate.noise import apply_noise, check_noise, check_seed, draw_noise
from ivimkit.simulate.protocol import Protocol, protocol_of, settings_of
from ivimkit.simulate.scene import Scene
from ivimkit.simulate.small_lesions import check_lesions, lesion_tissues, place_lesions
from ivimkit.simulate.spoiled_scan import spoil
from ivimkit.simulate.texture import Texture
from ivimkit.simulate.tissue import REFERENCE_S0, Tissue
from ivimkit.simulate.tissue_values import TISSUE_MODEL, tissues_of_model
from ivimkit.simulate.true_artefacts import TrueArtefacts, draw_artefacts

__all__ = ["B13", "B21", "PHANTOMS", "PHANTOM_MODEL", "Phantom", "phantom"]

B13 = (0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800)
"""Thirteen b-values, s/mm^2, that cover perfusion and diffusion."""

B21 = (*range(0, 41, 10), *range(60, 201, 20), *range(300, 1001, 100))
"""Twenty-one b-values, s/mm^2, those of the scan that DIPY's example uses."""

_ANATOMIES = {anatomy.name: anatomy for anatomy in (ABDOMEN, BRAIN)}
PHANTOMS = tuple(_ANATOMIES)
"""Names of the phantoms."""

PHANTOM_MODEL = TISSUE_MODEL
"""The model of a phantom by default, of which all tissues have the parameters."""


@dataclass(frozen=True, repr=False)
class Phantom:
    """A simulated scan and its ground truth.

    Parameters
    ----------
    dwi : DWI
        The scan; its mask is where any tissue fills most of the voxel.
    truth : dict of str to ndarray, shape (x, y, z)
        True parameters of the model, in their units, of voxels filled by one tissue; NaN in
        partial-volume voxels, whose true value is not defined, and where there is no signal.
    labels : ndarray of int, shape (x, y, z)
        The tissue that fills most of each voxel, 0 for none.
    label_names : dict of int to str
        Label to name.
    tissues : tuple of Tissue
        The tissues, by ascending label, with their sources.
    sigma : float
        Standard deviation of the noise of one acquisition, a.u.
    model : SignalModel
        The model of the signal.
    artefacts : TrueArtefacts or None
        What motion, drift, drop-outs and ringing have done to the scan; None if nothing of the
        kind was asked for. `truth` and `labels` are those of the tissue at rest.
    """

    dwi: DWI
    truth: dict[str, NDArray[np.float32]]
    labels: NDArray[np.uint8]
    label_names: dict[int, str]
    tissues: tuple[Tissue, ...]
    sigma: float
    model: SignalModel
    artefacts: TrueArtefacts | None = None

    def __repr__(self) -> str:
        """Return the tissues, the noise and the scan."""
        tissues = ", ".join(self.label_names.values())
        sigma = f"sigma {rounded(self.sigma)} a.u."
        return f"Phantom ({self.model.name}) of {tissues}; {sigma}\n{self.dwi}"

    def region(self, name: str) -> NDArray[np.bool_]:
        """Return the voxels filled by one tissue alone.

        Parameters
        ----------
        name : str
            One of `label_names`.

        Returns
        -------
        ndarray of bool, shape (x, y, z)

        Raises
        ------
        OptionError
            If there is no such tissue; the message lists the available ones.
        """
        labels = [label for label, known in self.label_names.items() if known == name]
        if not labels:
            known = ", ".join(self.label_names.values())
            raise OptionError(f"there is no tissue {name!r}; expected one of {known}")
        return np.asarray((self.labels == labels[0]) & np.isfinite(self.truth["S0"]))


def phantom(
    kind: str = "abdomen",
    *,
    model: SignalModel | str = PHANTOM_MODEL,
    shape: tuple[int, int, int] = (128, 96, 10),
    bvals: Protocol = B13,
    snr: float | None = 40.0,
    noise: str = "rician",
    seed: int = 0,
    n_averages: int = 1,
    partial_volume: int = 3,
    texture: Texture | None = None,
    lesions: Sequence[float] = (),
    artefacts: Artefacts | None = None,
) -> Phantom:
    """Make a digital phantom.

    The signal of a voxel is the sum of those of its tissues, times a smooth receive field.
    Values and positions of tissues do not depend on the matrix. S0, f, D* and D of the tissues
    are from the literature; values of the other parameters of a model are spread over their
    typical range.

    Parameters
    ----------
    kind : {"abdomen", "brain"}
        The anatomy.
    model : SignalModel or str
        The model of the signal, or its name.
    shape : tuple of int
        Number of voxels in x, y, z.
    bvals : array_like, shape (n_b,), Acquisition, or mapping of str to array_like
        b-values in s/mm^2; repeated ones become repeated volumes. If the volumes differ in more:
        an acquisition, or a table like ``{"b": [0, 800], "echo_time": 75}`` with the variables of
        each volume, directions ``gx``, ``gy`` and ``gz`` included.
    snr : float or None
        S0 of the first tissue (liver, grey matter) without receive field, divided by the
        standard deviation of the noise; None for no noise. S0 is the signal before any decay, also
        by T2: at an echo time there is less signal.
    noise : {"rician", "gaussian"}
        See `add_noise`.
    seed : int
        The same seed gives the same noise.
    n_averages : int
        Number of noisy acquisitions averaged, as magnitudes, into each volume.
    partial_volume : int
        Sample points per voxel edge; 1 for voxels of one tissue each.
    texture : Texture, optional
        How the parameters vary inside a tissue; by default they do not.
    lesions : sequence of float
        Radii in mm of small lesions in liver or white matter, one for each: discs in one slice, of
        the S0 of the tissue around them. Those of one radius have a label of their own. Places
        depend on the matrix and the seed.
    artefacts : Artefacts, optional
        Motion, drift, drop-outs and ringing; by default there are none.

    Returns
    -------
    Phantom
        With a float32 signal in Fortran order, as in NIfTI files.

    Raises
    ------
    OptionError
        For an unknown kind, or an option outside its range.
    ShapeError
        If the shape is not three positive numbers.
    AcquisitionError
        If the b-values are implausible, or a variable of the model is missing.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> made = simulate.phantom("brain", shape=(32, 36, 2), seed=1)
    >>> made.dwi.shape, made.label_names[2]
    ((32, 36, 2), 'white matter')
    >>> echoes = {"b": [0, 800, 0, 800], "echo_time": [60, 60, 90, 90]}
    >>> simulate.phantom(shape=(16, 12, 1), bvals=echoes).dwi.acquisition.n_shells
    4
    >>> lesions = {"texture": simulate.Texture(), "lesions": [4, 4, 8]}
    >>> rough = simulate.phantom(shape=(64, 48, 4), seed=1, **lesions)
    >>> int(rough.region("lesion of 8 mm").sum())
    9
    """
    anatomy = _anatomy(kind)
    _check_options(shape, snr, noise, n_averages, partial_volume)
    check_seed(seed)
    check_lesions(lesions)
    if artefacts is not None:
        check_artefacts(artefacts, anatomy, partial_volume)
    chosen = models.get(model) if isinstance(model, str) else model
    if texture is not None:
        texture.check(chosen)
    acquisition = protocol_of(bvals)
    settings = settings_of(chosen, acquisition)
    grid = anatomy.grid(shape)
    small = lesion_tissues(anatomy, lesions)
    tissues = tissues_of_model((*anatomy.tissues, *small), chosen)
    placed = place_lesions(anatomy, grid, lesions, seed, parts=partial_volume) if small else None
    factors = {} if texture is None else texture.factors(grid, seed)
    scene = Scene(anatomy, grid, partial_volume, chosen, tissues, placed, factors)
    sigma = 0.0 if snr is None else REFERENCE_S0 / snr
    signal, labels, truth = _at_rest(scene, settings, acquisition.n_volumes)
    true_artefacts = None
    if artefacts is not None:
        true_artefacts = draw_artefacts(artefacts, scene, labels, acquisition.bvals, seed)
        spoil(signal, scene, settings, true_artefacts)
    if sigma > 0.0:
        _add_noise(signal, sigma, noise, seed, n_averages)
    return Phantom(
        dwi=DWI(signal, acquisition, grid.affine, labels > 0),
        truth=truth,
        labels=labels,
        label_names={i: tissue.name for i, tissue in enumerate(tissues, start=1)},
        tissues=tissues,
        sigma=sigma,
        model=chosen,
        artefacts=true_artefacts,
    )


def _anatomy(kind: str) -> Anatomy:
    if kind not in _ANATOMIES:
        raise OptionError(f"there is no phantom {kind!r}; expected one of {', '.join(PHANTOMS)}")
    return _ANATOMIES[kind]


def _check_options(
    shape: Sequence[int], snr: float | None, noise: str, n_averages: int, parts: int
) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ShapeError(f"the shape is {shape}; expected three whole numbers > 0, (x, y, z)")
    if snr is not None and not snr > 0:
        raise OptionError(f"snr is {snr}; expected a number > 0, or None for no noise")
    check_noise(noise)
    for name, value in (("n_averages", n_averages), ("partial_volume", parts)):
        if value < 1:
            raise OptionError(f"{name} is {value}; expected a whole number >= 1")


def _at_rest(
    scene: Scene, settings: Mapping[str, NDArray[np.float64]], n_volumes: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8], dict[str, NDArray[np.float32]]]:
    """Return the signal without noise, the labels and the true maps of a scene."""
    shape = scene.grid.shape
    signal = np.empty((*shape, n_volumes), dtype=np.float32, order="F")
    labels = np.zeros(shape, dtype=np.uint8, order="F")
    truth = {name: np.full(shape, np.nan, np.float32, "F") for name in scene.model.names}
    for k in range(shape[2]):
        fractions, varied = scene.fractions(k), scene.varied(k)
        field_map = receive_field(scene.anatomy, scene.grid, k)
        labels[:, :, k] = _majority(fractions)
        _write_truth(truth, k, fractions, field_map, scene.tissues, varied)
        clean = scene.mixed(fractions, varied, settings) * field_map
        signal[:, :, k, :] = np.moveaxis(clean, 0, -1)
    return signal, labels, truth


def _majority(fractions: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the label of the tissue that fills most of each voxel; 0 if half of it is empty."""
    labels = np.asarray(fractions.argmax(axis=0) + 1, dtype=np.uint8)
    labels[fractions.sum(axis=0) < 0.5] = 0
    return labels


def _write_truth(
    truth: dict[str, NDArray[np.float32]],
    k: int,
    fractions: NDArray[np.float32],
    field_map: NDArray[np.float32],
    tissues: tuple[Tissue, ...],
    varied: Sequence[Mapping[str, NDArray[np.float64]]],
) -> None:
    for fraction, tissue, texture in zip(fractions, tissues, varied, strict=True):
        alone = fraction >= 1.0
        for name, values in truth.items():
            own = texture.get(name)
            values[:, :, k][alone] = tissue.value(name) if own is None else own[alone]
        truth["S0"][:, :, k][alone] *= field_map[alone]


def _add_noise(
    signal: NDArray[np.float32], sigma: float, noise: str, seed: int, n_averages: int
) -> None:
    """Replace the signal by the mean of noisy acquisitions; each slice has a separate seed."""
    for k in range(signal.shape[2]):
        clean = np.ascontiguousarray(np.moveaxis(signal[:, :, k, :], -1, 0))
        total = np.zeros_like(clean)
        for n in range(n_averages):
            draws = draw_noise(clean.shape, (seed, k, n), dtype=np.float32)
            total += apply_noise(clean, draws, sigma=sigma, kind=noise)
        signal[:, :, k, :] = np.moveaxis(total / np.float32(n_averages), 0, -1)
