"""Scenes: textured phantoms with small lesions, and how well maps of them keep what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.error import ESTIMATED, UNITS
from ivimkit import simulate

__all__ = ["SCENES", "Scene", "Scores", "score"]

# Radii of lesions in voxels, and how many of each: 1, 9, 21 and about 49 voxels.
_RADII = {0.8: 6, 1.5: 6, 2.5: 4, 4.0: 2}
_BRAIN_SPREAD = {"S0": 0.08, "f": 0.3, "D_star": 0.3, "D": 0.06}
# Tissues with fewer voxels are not judged alone.
_MIN_VOXELS = 50


@dataclass(frozen=True)
class Scene:
    """A phantom for the comparison of priors.

    Parameters
    ----------
    name : str
        Name in tables.
    kind : {"abdomen", "brain"}
        The anatomy.
    bvals : tuple of float
        b-values in s/mm^2.
    snr : float
        See `ivimkit.simulate.phantom`.
    smooth : float or None
        Smooth share of the texture; None for constant tissues.
    """

    name: str
    kind: str
    bvals: tuple[float, ...]
    snr: float
    smooth: float | None = 0.5

    def make(self, seed: int) -> simulate.Phantom:
        """Return the phantom; its radii are the same numbers of voxels in both anatomies."""
        shape, edge = ((112, 84, 3), 340 / 112) if self.kind == "abdomen" else (
            (80, 96, 3), 214 / 96
        )  # fmt: skip
        texture = None
        if self.smooth is not None:
            spread = simulate.TEXTURE_SPREAD if self.kind == "abdomen" else _BRAIN_SPREAD
            texture = simulate.Texture(spread, smooth=self.smooth, fwhm=5 * edge)
        lesions = [round(radius * edge, 2) for radius, n in _RADII.items() for _ in range(n)]
        return simulate.phantom(
            self.kind,
            shape=shape,
            bvals=self.bvals,
            snr=self.snr,
            seed=seed,
            texture=texture,
            lesions=lesions,
        )


SCENES = (
    Scene("abdomen, b13, SNR 20", "abdomen", simulate.B13, 20.0),
    Scene("brain, b21, SNR 30", "brain", simulate.B21, 30.0),
    Scene("abdomen, b21, SNR 50", "abdomen", simulate.B21, 50.0),
    Scene("brain, b13, SNR 40", "brain", simulate.B13, 40.0),
    Scene("abdomen, b13, SNR 20, smooth texture", "abdomen", simulate.B13, 20.0, 1.0),
    Scene("abdomen, b13, SNR 20, texture voxel by voxel", "abdomen", simulate.B13, 20.0, 0.0),
    Scene("abdomen, b13, SNR 20, constant tissues", "abdomen", simulate.B13, 20.0, None),
    Scene("brain, b21, SNR 30, constant tissues", "brain", simulate.B21, 30.0, None),
)
"""The first two are fitted with several seeds."""


@dataclass(frozen=True)
class Scores:
    """What maps of a scene are worth.

    Parameters
    ----------
    rmse, edge : dict of str to float
        RMSE by parameter in the unit of tables: of all voxels of one tissue, and of those with
        another tissue beside them.
    covered : dict of str to float
        Share of the voxels whose 95 % interval holds the truth, %; empty without intervals.
    lowest, highest : dict of str to tuple
        The lowest and the highest of these shares among tissues and edges, and where it is.
    lesions : dict of str to dict
        By group of lesions: number of voxels ``n``, contrast kept by parameter in %, ``AUC`` of D,
        coverage by parameter as ``cov D`` ..., and ``evidence``.
    evidence : float, optional
        Mean of ln p(data), of all voxels in which it is known. The prior of a voxel is then one
        that its own data did not make, but for a small share: how well it predicts the voxel.
    """

    rmse: dict[str, float]
    edge: dict[str, float]
    covered: dict[str, float] = field(default_factory=dict)
    lowest: dict[str, tuple[float, str]] = field(default_factory=dict)
    highest: dict[str, tuple[float, str]] = field(default_factory=dict)
    lesions: dict[str, dict[str, float]] = field(default_factory=dict)
    evidence: float | None = None


def score(
    made: simulate.Phantom,
    maps: Mapping[str, NDArray[np.float64]],
    intervals: Callable[[str], tuple[NDArray[np.float64], NDArray[np.float64]]] | None,
) -> Scores:
    """Compare maps of a scene with its truth.

    Parameters
    ----------
    made : Phantom
        The scene.
    maps : mapping of str to ndarray
        The estimates.
    intervals : callable, optional
        Returns the ends of the 95 % interval of a parameter.
    """
    inside = made.dwi.mask & np.isfinite(made.truth["S0"])
    edge = inside & _beside_another(made.labels)
    regions = {name: made.region(name) for name in made.label_names.values()}
    host = regions["liver" if "liver" in regions else "white matter"]
    small = {name: where for name, where in regions.items() if name.startswith("lesion")}
    # Maps of a fit raise for a name that is not there.
    is_known = "ln_evidence" in maps
    evidence = maps["ln_evidence"] if is_known else None
    found = Scores({}, {}, evidence=None if evidence is None else float(np.nanmean(evidence)))
    for name, where in small.items():
        found.lesions[name] = {
            "n": int(where.sum()),
            "AUC": _below(maps["D"][where], maps["D"][host]),
        }
        if evidence is not None:
            found.lesions[name]["evidence"] = float(np.nanmean(evidence[where]))
    for name in ESTIMATED:
        truth, values = made.truth[name].astype(float), maps[name]
        known = inside & np.isfinite(truth)
        if name == "D_star":
            known &= made.truth["f"] > 0
        error = (values - truth) / UNITS[name]
        found.rmse[name] = _root_mean_square(error[known])
        found.edge[name] = _root_mean_square(error[known & edge])
        for group, where in small.items():
            true = truth[where].mean() - truth[host].mean()
            kept = np.nanmean(values[where]) - np.nanmean(values[host])
            found.lesions[group][name] = 100.0 * kept / true
        if intervals is None:
            continue
        low, high = intervals(name)
        held = (low <= truth) & (truth <= high)
        if name == "f":
            # No interval inside the bounds reaches the end where there is no perfusion.
            known = known & (truth > 0.0)
        found.covered[name] = 100.0 * float(held[known].mean())
        shares = {"edges": 100.0 * float(held[known & edge].mean())}
        for group, where in regions.items():
            if (where & known).any():
                share = 100.0 * float(held[where & known].mean())
                if group in small:
                    found.lesions[group][f"cov {name}"] = share
                if (where & known).sum() >= _MIN_VOXELS:
                    shares[group] = share
        worst, best = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        found.lowest[name] = shares[worst], worst
        found.highest[name] = shares[best], best
    return found


def _beside_another(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the voxels with a voxel of another label beside them in the slice."""
    found = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        change = np.diff(labels, axis=axis) != 0
        before = [slice(None)] * 3
        after = [slice(None)] * 3
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        found[tuple(before)] |= change
        found[tuple(after)] |= change
    return found


def _below(values: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Return the probability that a value is below one of the others; a tie counts a half."""
    ordered = np.sort(others[np.isfinite(others)])
    known = values[np.isfinite(values)]
    left, right = (np.searchsorted(ordered, known, side=side) for side in ("left", "right"))
    return float(1.0 - np.mean(0.5 * (left + right)) / ordered.size)


def _root_mean_square(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.nanmean(values**2)))
