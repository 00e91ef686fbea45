"""Screening: which volumes and values of a scan were left out, because they do not belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.rounding import percent

__all__ = ["LEFT_OUT_MAP", "Screening"]

LEFT_OUT_MAP = "n_left_out"
"""Name of the map with the number of volumes that were left out of each voxel."""

_MAX_LISTED = 12


@dataclass(frozen=True, eq=False)
class Screening:
    """What the screen of method option ``robust`` found in a scan.

    Parameters
    ----------
    reason : str
        Why the scan could not be judged, and nothing was left out; empty if it was judged.
    volumes : ndarray of int, shape (n_volumes,)
        Number of each volume in the file, from 0.
    bvals : ndarray, shape (n_volumes,)
        Its b-value, s/mm^2.
    repeated : ndarray of bool, shape (n_volumes,)
        Whether another volume has the same setting: a volume without repeats is compared with the
        fit of the other settings alone.
    slabs : ndarray of int, shape (n_slabs, 2)
        First and last slice of the slabs that were judged separately: single slices, or
        neighbouring ones where a slice has few voxels.
    factors : ndarray, shape (n_slabs, n_volumes)
        Median of measured divided by fitted signal; NaN where it is not known.
    left_out : ndarray of bool, shape (n_slabs, n_volumes)
        Whether the volume was left out of the slab as a whole.
    shares : ndarray, shape (n_slabs, n_volumes)
        Share of the values of the volume in the slab that were left out, 0 to 1.
    n_voxels : ndarray of int, shape (n_slabs,)
        Voxels of each slab.
    judges_values : bool
        Whether single values were judged: a voxel needs enough degrees of freedom.
    sigma : float
        Noise of one volume that residuals were compared with, a.u.; NaN if nothing was judged.
    wants_values : bool
        Whether single values were to be judged.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> made = ik.simulate.phantom(
    ...     shape=(32, 24, 2), bvals=np.repeat([0, 10, 20, 60, 100, 200, 500, 800], 3)
    ... )
    >>> signal = made.dwi.signal.copy()
    >>> signal[..., 10] *= 0.6
    >>> dwi = ik.DWI(signal, made.dwi.acquisition, mask=made.dwi.mask)
    >>> result = ik.fit(dwi, method=ik.methods.VarPro(robust=True))
    >>> result.screening.volumes_out.tolist()
    [10]
    """

    reason: str
    volumes: NDArray[np.intp]
    bvals: NDArray[np.float64]
    repeated: NDArray[np.bool_]
    slabs: NDArray[np.intp]
    factors: NDArray[np.float64]
    left_out: NDArray[np.bool_]
    shares: NDArray[np.float64]
    n_voxels: NDArray[np.intp]
    judges_values: bool
    sigma: float
    wants_values: bool = True

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any]) -> Screening:
        """Return the screening that `numbers` told of, such as those of a step before the fit.

        Parameters
        ----------
        numbers : mapping
            See `numbers`; from a file, they may be incomplete.

        Raises
        ------
        OptionError
            If something is missing or does not fit together.
        """
        try:
            volumes = np.array(numbers["volumes"], dtype=np.intp)
            shape = (len(numbers["slabs"]), volumes.size)
            known = [
                [np.nan if factor is None else factor for factor in row]
                for row in numbers["factors"]
            ]
            left_out = np.zeros(shape, dtype=bool)
            for slab, position in numbers["left_out"]:
                left_out[slab, position] = True
            return cls(
                "",
                volumes,
                np.array(numbers["bvals"], dtype=np.float64).reshape(volumes.size),
                np.array(numbers["repeated"], dtype=bool).reshape(volumes.size),
                np.array(numbers["slabs"], dtype=np.intp).reshape(-1, 2),
                np.array(known, dtype=np.float64).reshape(shape),
                left_out,
                np.array(numbers["shares"], dtype=np.float64).reshape(shape),
                np.array(numbers["voxels"], dtype=np.intp).reshape(shape[0]),
                bool(numbers["judges_values"]),
                float("nan"),
                bool(numbers["wants_values"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise OptionError(
                f"the numbers of the screen are incomplete or damaged ({error!r}); expected "
                "those that the step wrote. Apply it again"
            ) from None

    @property
    def numbers(self) -> dict[str, Any]:
        """All but the reason and the noise as lists for JSON, where NaN is None."""
        return {
            "volumes": self.volumes.tolist(),
            "bvals": self.bvals.tolist(),
            "repeated": self.repeated.tolist(),
            "slabs": self.slabs.tolist(),
            "factors": [
                [round(factor, 4) if np.isfinite(factor) else None for factor in row]
                for row in self.factors.tolist()
            ],
            "left_out": np.argwhere(self.left_out).tolist(),
            "shares": np.round(self.shares, 6).tolist(),
            "voxels": self.n_voxels.tolist(),
            "judges_values": self.judges_values,
            "wants_values": self.wants_values,
        }

    @classmethod
    def impossible(
        cls, reason: str, volumes: NDArray[np.intp], bvals: NDArray[np.float64]
    ) -> Screening:
        """Return the screening of a scan that cannot be judged."""
        none = np.zeros((0, len(volumes)))
        return cls(
            reason,
            volumes,
            bvals,
            np.zeros(len(volumes), dtype=bool),
            np.zeros((0, 2), dtype=np.intp),
            none,
            none.astype(bool),
            none,
            np.zeros(0, dtype=np.intp),
            False,
            float("nan"),
        )

    @property
    def share_left_out(self) -> float:
        """Share of all values that were left out, 0 to 1."""
        total = int(self.n_voxels.sum()) * len(self.volumes)
        return float((self.n_voxels @ self.shares).sum() / total) if total else 0.0

    @property
    def is_judged(self) -> bool:
        """Whether the scan could be judged."""
        return not self.reason

    @property
    def volumes_out(self) -> NDArray[np.intp]:
        """Numbers of the volumes that were left out everywhere."""
        return self.volumes[self._everywhere]

    @property
    def volumes_partly_out(self) -> NDArray[np.intp]:
        """Numbers of the volumes that were left out in some of the slices."""
        return self.volumes[self.left_out.any(axis=0) & ~self._everywhere]

    @property
    def hidden_bvals(self) -> NDArray[np.float64]:
        """b-values of which nothing was left in some slices, s/mm^2, ascending."""
        hidden = [
            b
            for b in np.unique(self.bvals)
            if self.is_judged and self.left_out[:, self.bvals == b].all(axis=1).any()
        ]
        return np.array(hidden)

    @property
    def _everywhere(self) -> NDArray[np.bool_]:
        if not self.is_judged:
            return np.zeros(len(self.volumes), dtype=bool)
        return np.asarray(self.left_out.all(axis=0))

    def factor_of(self, volume: int) -> float:
        """Return the factor of a volume, the median of those of the slabs that it was left out of.

        Of all slabs, if it was not left out.

        Parameters
        ----------
        volume : int
            Number of the volume in the file.
        """
        k = int(np.flatnonzero(self.volumes == volume)[0])
        used = (
            self.left_out[:, k] if self.left_out[:, k].any() else np.isfinite(self.factors[:, k])
        )
        return float(np.median(self.factors[used, k])) if used.any() else float("nan")

    def sentences(self) -> list[str]:
        """Return what was found, or why nothing could be, in sentences."""
        if not self.is_judged:
            return [f"The screen of volumes and values left out nothing: {self.reason}."]
        found = [
            self._about_volumes(),
            f"Left out of the fit: {percent(self.share_left_out)} of all values.",
        ]
        if self.hidden_bvals.size:
            listed = ", ".join(f"{b:g}" for b in self.hidden_bvals)
            found.append(
                f"Nothing is left of b = {listed} s/mm² in some or all slices, so that the fit "
                "does not know these b-values there."
            )
        if not self.repeated.any():
            found.append(
                "No volume was repeated, so that each was compared with the fit of the other "
                "b-values alone."
            )
        if self.wants_values and not self.judges_values:
            found.append(
                "Single values were not judged, as the volumes leave too few degrees of freedom."
            )
        return found

    def _about_volumes(self) -> str:
        whole, partly = self.volumes_out.tolist(), self.volumes_partly_out.tolist()
        if not (whole or partly):
            return "All volumes belong to the scan."
        parts = []
        if whole:
            parts.append(self._listed(whole, "left out"))
        if partly:
            parts.append(self._listed(partly, "left out of some slices"))
        return " ".join(parts)

    def _listed(self, volumes: list[int], what: str) -> str:
        named = [
            f"{volume} (b = {self.bvals[self.volumes == volume][0]:g}, "
            f"signal × {self.factor_of(volume):.2f})"
            for volume in volumes[:_MAX_LISTED]
        ]
        more = len(volumes) - len(named)
        end = f" and {more} more" if more else ""
        one = len(volumes) == 1
        return (
            f"{'Volume' if one else 'Volumes'} {', '.join(named)}{end} "
            f"{'was' if one else 'were'} {what} (volumes count from 0)."
        )
