"""Acquisition: b-values and directions of a scan, their shells, and what is wrong with them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import AcquisitionError, AcquisitionWarning
from ivimkit.scan.coverage import CoverageRange, PerfusionLeft, coverage_of, perfusion_left_at
from ivimkit.scan.gradient_checks import checked_bvals, checked_bvecs, checked_labels
from ivimkit.scan.shell_clusters import shell_clusters

__all__ = ["Acquisition", "Shell"]

# A threshold keeps shells that lie beyond it by less than this share.
_SLACK = 0.01
# A shell that is named by its b-value lies within this share of it.
_FEW_PERCENT = 0.03
_SAME_DIRECTION = np.cos(np.deg2rad(1.0))


@dataclass(frozen=True)
class Shell:
    """The volumes that share one b-value.

    Parameters
    ----------
    b : float
        Mean b-value of the volumes, in s/mm^2.
    volumes : tuple of int
        Their positions in the acquisition, ascending.
    n_directions : int or None
        Number of different gradient directions (0 at b = 0); None if directions are unknown.
    """

    b: float
    volumes: tuple[int, ...]
    n_directions: int | None

    @property
    def count(self) -> int:
        """Number of volumes."""
        return len(self.volumes)


@dataclass(frozen=True, init=False, eq=False)
class Acquisition:
    """The b-values of a scan and, if known, its gradient directions.

    b-values that are the same but for jitter are one shell: those within 2 % of their middle
    (985 to 1015) or closer than 1 s/mm^2, if they are closer to each other than to the next
    b-value. 0, 1.4, 5 and 10 stay apart, and so do the steps of a ladder (120, 125, 130, ...).
    The order of the volumes does not matter.

    Parameters
    ----------
    bvals : array_like, shape (n,)
        One b-value per volume, in s/mm^2.
    bvecs : array_like, shape (n, 3), optional
        One gradient direction per volume; length does not matter, 0 0 0 means none.
    tolerance : float, optional
        b-values with gaps up to this are one shell, in s/mm^2, which is at most twice as wide; by
        default the rule above. 0 merges equal b-values only.
    labels : array_like of int, shape (n,), optional
        The shell of every volume, where that is known already; `tolerance` is then not used.

    Raises
    ------
    AcquisitionError
        If the b-values or directions are no numbers, negative, all the same, in another unit,
        or do not fit each other.

    Examples
    --------
    >>> import ivimkit as ik
    >>> acquisition = ik.Acquisition([0, 0, 50, 800, 798, 802])
    >>> [(shell.b, shell.count) for shell in acquisition.shells]
    [(0.0, 2), (50.0, 1), (800.0, 3)]
    """

    bvals: NDArray[np.float64]
    bvecs: NDArray[np.float64] | None
    tolerance: float | None
    labels: NDArray[np.intp]

    def __init__(
        self,
        bvals: ArrayLike,
        bvecs: ArrayLike | None = None,
        *,
        tolerance: float | None = None,
        labels: ArrayLike | None = None,
    ) -> None:
        b = checked_bvals(bvals)
        if tolerance is not None and not tolerance >= 0:
            raise AcquisitionError(
                f"the b-value tolerance is {tolerance}; expected a number of s/mm^2 >= 0. Leave "
                "it out for the usual one: less than 1 s/mm^2, or 2 % about the middle"
            )
        groups = _clusters(b, tolerance) if labels is None else checked_labels(labels, len(b))
        object.__setattr__(self, "bvals", b)
        object.__setattr__(self, "bvecs", checked_bvecs(bvecs, len(b)))
        object.__setattr__(self, "tolerance", tolerance)
        object.__setattr__(self, "labels", groups)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Acquisition):
            return NotImplemented
        return (
            np.array_equal(self.bvals, other.bvals)
            and (self.bvecs is None) == (other.bvecs is None)
            and (self.bvecs is None or np.array_equal(self.bvecs, np.asarray(other.bvecs)))
            and [s.volumes for s in self.shells] == [s.volumes for s in other.shells]
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return len(self.bvals)

    @property
    def n_shells(self) -> int:
        """Number of shells."""
        return len(self.shells)

    @cached_property
    def shells(self) -> tuple[Shell, ...]:
        """The shells, by ascending b-value."""
        members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        shells = [
            Shell(
                float(_exact_mean(self.bvals[volumes])),
                tuple(int(volume) for volume in volumes),
                None if self.bvecs is None else self._n_directions(volumes),
            )
            for volumes in members
        ]
        return tuple(sorted(shells, key=lambda shell: shell.b))

    @property
    def distinct_bvals(self) -> NDArray[np.float64]:
        """b-values that give different signals, in s/mm^2: shells that differ by jitter are one.

        They are those of the shells unless a tolerance told apart what is the same to a fit.
        """
        labels = shell_clusters(self.shell_bvals, None)
        return np.array([self.shell_bvals[labels == k].mean() for k in np.unique(labels)])

    @property
    def n_distinct(self) -> int:
        """Number of b-values that give different signals."""
        return len(self.distinct_bvals)

    @property
    def shell_bvals(self) -> NDArray[np.float64]:
        """b-value of each shell, shape (n_shells,), in s/mm^2."""
        return np.array([shell.b for shell in self.shells])

    @property
    def counts(self) -> NDArray[np.intp]:
        """Number of volumes of each shell, shape (n_shells,)."""
        return np.array([shell.count for shell in self.shells], dtype=np.intp)

    def directions(self, volumes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Group volumes by gradient direction.

        Parameters
        ----------
        volumes : sequence of int
            Positions of volumes, usually of one shell.

        Returns
        -------
        tuple of tuple of int
            Volumes with the same direction, up to its sign and 1 degree, in order of appearance.
            Volumes without a direction, or with b = 0, are one group.
        """
        if self.bvecs is None:
            return (tuple(volumes),)
        groups: list[tuple[NDArray[np.float64], list[int]]] = []
        for volume in volumes:
            direction = self._direction(volume)
            for known, members in groups:
                if _parallel(known, direction):
                    members.append(volume)
                    break
            else:
                groups.append((direction, [volume]))
        return tuple(tuple(members) for _, members in groups)

    def select(
        self,
        *,
        bmin: float | None = None,
        bmax: float | None = None,
        bvals: Sequence[float] | None = None,
        volumes: Sequence[int] | None = None,
    ) -> NDArray[np.intp]:
        """Return the positions of the volumes that meet all of the conditions.

        Parameters
        ----------
        bmin, bmax : float, optional
            Lowest and highest b-value, in s/mm^2, inclusive and with 1 % to spare. A shell that
            reaches over the limit is kept whole.
        bvals : sequence of float, optional
            The shells to keep, by their b-values in s/mm^2 within 3 %, the nearest one.
        volumes : sequence of int, optional
            Positions of volumes, from 0.

        Returns
        -------
        ndarray of int, shape (n_selected,)
            Ascending positions.

        Raises
        ------
        AcquisitionError
            If there is no such b-value or volume, or nothing is left.

        Warns
        -----
        AcquisitionWarning
            If b-values within 3 % of one that was named are left out.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.Acquisition([0, 50, 800, 1000, 2000]).select(bmax=1000).tolist()
        [0, 1, 2, 3]
        """
        keep = np.ones(self.n_volumes, dtype=bool)
        for shell in self.shells:
            own = self.bvals[list(shell.volumes)]
            above = bmin is None or max(shell.b + self._slack(bmin), own.max()) >= bmin
            below = bmax is None or min(shell.b - self._slack(bmax), own.min()) <= bmax
            keep[list(shell.volumes)] = above and below
        if bvals is not None:
            keep &= self._in_shells([float(b) for b in bvals])
        named = [b for b in (bmin, bmax, *(bvals if bvals is not None else ())) if b is not None]
        self._say_what_is_near(keep, named)
        if volumes is not None:
            keep &= self._in_volumes([int(volume) for volume in volumes])
        if not keep.any():
            raise AcquisitionError(
                f"no volume is left of b = {_listed(self.shell_bvals)} after the selection "
                f"{_selection(bmin, bmax, bvals, volumes)}; expected at least one. Widen it"
            )
        return np.flatnonzero(keep)

    def take(self, volumes: ArrayLike) -> Acquisition:
        """Return the acquisition of some volumes; shells stay as they are in the whole.

        Parameters
        ----------
        volumes : array_like of int
            Positions of volumes.

        Returns
        -------
        Acquisition

        Raises
        ------
        AcquisitionError
            If all of them have the same b-value.
        """
        index = np.asarray(volumes, dtype=np.intp)
        left = self.bvals[index]
        if left.size and np.all(left == left[0]):
            raise AcquisitionError(
                f"the volumes that are selected all have b = {left[0]:g} s/mm^2; expected two "
                f"different b-values of {_listed(self.shell_bvals)} s/mm^2. Select more of them, "
                "and mind the unit"
            )
        bvecs = None if self.bvecs is None else self.bvecs[index]
        return Acquisition(
            self.bvals[index], bvecs, tolerance=self.tolerance, labels=self.labels[index]
        )

    def require(self, n_parameters: int, model_name: str) -> None:
        """Refuse to fit more parameters than there are distinct b-values.

        Parameters
        ----------
        n_parameters : int
            Number of parameters to be fitted.
        model_name : str
            The model, for the message.

        Raises
        ------
        AcquisitionError
            If there are fewer distinct b-values than parameters.
        """
        if self.n_distinct < n_parameters:
            raise AcquisitionError(
                f"{self.n_distinct} distinct b-values ({_listed(self.distinct_bvals)}); expected "
                f"at least {n_parameters} for the {n_parameters} free parameters of {model_name}. "
                "Use a model with fewer parameters (sivim 3, monoexp 2) or fix one of them"
            )

    def coverage(self) -> tuple[CoverageRange, ...]:
        """Grade the ranges 0, 10-50, 100-200 and 300-1500 s/mm^2.

        Returns
        -------
        tuple of CoverageRange
        """
        lowest = [self.bvals[list(shell.volumes)].min() for shell in self.shells]
        present = [
            0.0 if low == 0 else shell.b for low, shell in zip(lowest, self.shells, strict=True)
        ]
        return coverage_of(present)

    def perfusion_left(
        self, D_star: Sequence[float] = (10e-3, 20e-3, 50e-3), *, b_split: float = 200.0
    ) -> PerfusionLeft:
        """Tabulate the perfusion signal left, exp(-b D*), at each shell and at the threshold.

        Parameters
        ----------
        D_star : sequence of float
            Pseudo-diffusion coefficients in mm^2/s.
        b_split : float
            The threshold in s/mm^2, added to the b-values if it is not among them.

        Returns
        -------
        PerfusionLeft
        """
        return perfusion_left_at(np.union1d(self.shell_bvals, [b_split]).tolist(), D_star)

    def _slack(self, limit: float) -> float:
        slack = _SLACK * abs(limit)
        return slack if self.tolerance is None else min(slack, self.tolerance)

    def _reach(self, b: float) -> float:
        """Return how far the shell may be that a b-value names."""
        return max(0.5, _FEW_PERCENT * b if self.tolerance is None else self.tolerance)

    def _in_shells(self, wanted: list[float]) -> NDArray[np.bool_]:
        keep = np.zeros(self.n_volumes, dtype=bool)
        for b in wanted:
            shell = min(self.shells, key=lambda shell: abs(shell.b - b))
            own = self.bvals[list(shell.volumes)]
            if not (abs(shell.b - b) <= self._reach(b) or own.min() <= b <= own.max()):
                raise AcquisitionError(
                    f"there is no b-value {b:g}; expected some of {_listed(self.shell_bvals)} "
                    "s/mm^2"
                )
            keep[list(shell.volumes)] = True
        return keep

    def _say_what_is_near(self, keep: NDArray[np.bool_], named: Sequence[float]) -> None:
        """Warn of shells left out that are so near that they may have been meant, too."""
        if self.tolerance == 0:
            return
        left_out = [shell.b for shell in self.shells if not keep[list(shell.volumes)].any()]
        for b in named:
            # Of shells by the usual rule, one that is named exactly stands alone.
            if self.tolerance is None and np.isclose(self.shell_bvals, b, rtol=_SLACK).any():
                continue
            near = [other for other in left_out if abs(other - b) <= _FEW_PERCENT * b]
            if near:
                warnings.warn(
                    f"b = {_listed(np.array(near))} s/mm^2 is left out, which is within 3 % of "
                    f"{b:g}; expected one shell. If it was meant, too, name it or widen the limit",
                    AcquisitionWarning,
                    stacklevel=4,
                )

    def _in_volumes(self, wanted: list[int]) -> NDArray[np.bool_]:
        keep = np.zeros(self.n_volumes, dtype=bool)
        for volume in wanted:
            if not 0 <= volume < self.n_volumes:
                raise AcquisitionError(
                    f"there is no volume {volume}; expected 0 to {self.n_volumes - 1} "
                    "(the first volume is 0)"
                )
            keep[volume] = True
        return keep

    def _direction(self, volume: int) -> NDArray[np.float64]:
        """Return the unit vector of a volume, or 0 0 0 where it has none."""
        assert self.bvecs is not None
        vector = self.bvecs[volume]
        length = float(np.sqrt((vector**2).sum()))
        if length == 0 or self.bvals[volume] == 0:
            return np.zeros(3)
        return np.asarray(vector / length)

    def _n_directions(self, volumes: Sequence[int] | NDArray[np.intp]) -> int:
        groups = self.directions([int(volume) for volume in volumes])
        return sum(bool(self._direction(group[0]).any()) for group in groups)


def _parallel(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    if not first.any() or not second.any():
        return not first.any() and not second.any()
    return bool(abs((first * second).sum()) >= _SAME_DIRECTION)


def _exact_mean(values: NDArray[np.float64]) -> float:
    """Return the mean; of equal values exactly that value, as a sum would round."""
    return float(values[0]) if np.all(values == values[0]) else float(values.mean())


def _clusters(b: NDArray[np.float64], tolerance: float | None) -> NDArray[np.intp]:
    """Return the shell number of every volume."""
    labels = shell_clusters(b, tolerance)
    labels.setflags(write=False)
    return labels


def _listed(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _selection(
    bmin: float | None,
    bmax: float | None,
    bvals: Sequence[float] | None,
    volumes: Sequence[int] | None,
) -> str:
    said = []
    if bmin is not None:
        said.append(f"b of at least {bmin:g}")
    if bmax is not None:
        said.append(f"b up to {bmax:g}")
    if bvals is not None:
        said.append(f"b of {', '.join(f'{b:g}' for b in bvals)}")
    if volumes is not None:
        said.append(f"volumes {', '.join(map(str, volumes))}")
    return " and ".join(said)
