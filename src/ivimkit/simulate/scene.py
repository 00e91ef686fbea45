"""Scene: the tissues of a phantom and their signal, in the middle of voxels or anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.signal_model import SignalModel
from ivimkit.simulate.anatomy import Anatomy, Grid, tissue_fractions
from ivimkit.simulate.forward import signals
from ivimkit.simulate.sample_points import Points
from ivimkit.simulate.small_lesions import with_lesions
from ivimkit.simulate.texture import textured
from ivimkit.simulate.tissue import Tissue

__all__ = ["Scene"]

Settings = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Scene:
    """What a phantom shows, at rest.

    Parameters
    ----------
    anatomy : Anatomy
        The tissues and their positions.
    grid : Grid
        The voxels.
    parts : int
        Sample points per voxel edge.
    model : SignalModel
        The model of the signal.
    tissues : tuple of Tissue
        Those of the anatomy with the values of the model, then those of small lesions.
    placed : ndarray of int, shape (x, y, z), or None
        See `ivimkit.simulate.small_lesions.place_lesions`.
    factors : mapping of str to ndarray, shape (x, y, z)
        Texture: the factor on each parameter that varies.
    """

    anatomy: Anatomy
    grid: Grid
    parts: int
    model: SignalModel
    tissues: tuple[Tissue, ...]
    placed: NDArray[np.uint8] | None
    factors: Mapping[str, NDArray[np.float64]]

    def fractions(self, k: int) -> NDArray[np.float32]:
        """Return the fractions of the voxels of a slice that each tissue fills."""
        found = tissue_fractions(self.anatomy, self.grid, k, parts=self.parts)
        if self.placed is None:
            return found
        n_small = len(self.tissues) - len(self.anatomy.tissues)
        return with_lesions(found, self.placed[:, :, k], n_small)

    def varied(self, k: int) -> list[dict[str, NDArray[np.float64]]]:
        """Return the parameters that vary in a slice, shape (x, y), of each tissue."""
        here = {name: values[:, :, k] for name, values in self.factors.items()}
        return [textured(self.model, tissue.values, here) for tissue in self.tissues]

    def curves(self, settings: Settings) -> NDArray[np.float32]:
        """Return the signal of each tissue without texture, shape (n_tissues, n_volumes)."""
        return signals(self.model, self._parameters, settings).astype(np.float32)

    def mixed(
        self,
        fractions: NDArray[np.float32],
        varied: Sequence[Mapping[str, NDArray[np.float64]]],
        settings: Settings,
    ) -> NDArray[np.float32]:
        """Return the signal of the voxels of a slice, shape (n_volumes, x, y).

        Parameters
        ----------
        fractions, varied
            Of the slice, see `fractions` and `varied`.
        settings : mapping of str to ndarray, shape (n_volumes,)
            Variables of the volumes.
        """
        if self.factors:
            return self._mixed_textured(fractions, varied, settings)
        return _mixed(fractions, self.curves(settings))

    def labels_at(self, points: Points) -> NDArray[np.uint8]:
        """Return the tissue at points, 0 for none."""
        labels = self.anatomy.label_at(points)
        if self.placed is not None:
            number = self.placed[self._voxels(points)]
            here = (number > 0) & self._inside(points)
            labels[here] = len(self.anatomy.tissues) + number[here]
        return labels

    def signal_at(
        self, points: Points, labels: NDArray[np.uint8], settings: Settings
    ) -> NDArray[np.float32]:
        """Return the signal at points, whose tissues are known, in one volume."""
        if not self.factors:
            table = np.concatenate([[np.float32(0.0)], self.curves(settings)[:, 0]])
            return np.asarray(table[labels])
        voxels = self._voxels(points)
        found = np.zeros(points.shape, dtype=np.float32)
        for label in np.flatnonzero(np.bincount(labels.ravel())).tolist():
            if label:
                there = labels == label
                index = tuple(axis[there] for axis in voxels)
                here = {name: values[index] for name, values in self.factors.items()}
                varied = textured(self.model, self.tissues[label - 1].values, here)
                found[there] = self._varied_signal(label - 1, varied, settings, index[0].size)[
                    :, 0
                ]
        return found

    def _mixed_textured(
        self,
        fractions: NDArray[np.float32],
        varied: Sequence[Mapping[str, NDArray[np.float64]]],
        settings: Settings,
    ) -> NDArray[np.float32]:
        """Sum the signals of tissues whose parameters vary from voxel to voxel."""
        n_volumes = len(next(iter(settings.values())))
        total = np.zeros((n_volumes, *fractions.shape[1:]), dtype=np.float32)
        for number, (fraction, texture) in enumerate(zip(fractions, varied, strict=True)):
            there = fraction > 0.0
            if not there.any():
                continue
            own = {name: values[there] for name, values in texture.items()}
            curves = self._varied_signal(number, own, settings, int(there.sum()))
            total[:, there] += (fraction[there][:, None] * curves).T
        return total

    def _varied_signal(
        self,
        number: int,
        varied: Mapping[str, NDArray[np.float64]],
        settings: Settings,
        n: int,
    ) -> NDArray[np.float32]:
        """Return the signal of a tissue at n places, shape (n, n_volumes)."""
        params = np.tile(self._parameters[number], (n, 1))
        for name, values in varied.items():
            params[:, self.model.index(name)] = values
        return signals(self.model, params, settings).astype(np.float32)

    def _voxels(self, points: Points) -> tuple[NDArray[np.intp], ...]:
        """Return the index of the voxel around each point, or of the nearest one."""
        indices = self._indices(points)
        return tuple(
            np.clip(index, 0, n - 1) for index, n in zip(indices, self.grid.shape, strict=True)
        )

    def _inside(self, points: Points) -> NDArray[np.bool_]:
        """Return which points are in one of the voxels."""
        inside = np.ones(points.shape, dtype=bool)
        for index, n in zip(self._indices(points), self.grid.shape, strict=True):
            inside &= (index >= 0) & (index < n)
        return inside

    def _indices(self, points: Points) -> list[NDArray[np.intp]]:
        axes = zip(
            (points.u, points.v, points.w), self.grid.shape, self.grid.voxel_size, strict=True
        )
        return [np.floor(values / size + n / 2).astype(np.intp) for values, n, size in axes]

    @cached_property
    def _parameters(self) -> NDArray[np.float64]:
        # What a tissue does not have, such as a D* without perfusion, makes no difference.
        return np.array(
            [
                [tissue.values.get(p.name, p.start) for p in self.model.parameters]
                for tissue in self.tissues
            ]
        )


def _mixed(fractions: NDArray[np.float32], curves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum the signals of the tissues in each voxel, shape (n_b, x, y)."""
    # One tissue at a time, not a matrix product: BLAS results depend on the number of threads.
    total = np.zeros((curves.shape[1], *fractions.shape[1:]), dtype=np.float32)
    for fraction, curve in zip(fractions, curves, strict=True):
        if fraction.any():
            total += curve[:, None, None] * fraction
    return total
