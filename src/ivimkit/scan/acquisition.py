"""Acquisition: b-values and other variables of a scan, and its shells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import AcquisitionError, AcquisitionWarning
from ivimkit.rounding import several
from ivimkit.scan.coverage import CoverageRange, PerfusionLeft, coverage_of, perfusion_left_at
from ivimkit.scan.directions import SAME_DIRECTION
from ivimkit.scan.gradient_checks import checked_bvals, checked_bvecs, checked_shell_numbers
from ivimkit.scan.gradient_timing import DERIVED, check_timing, derived, sources
from ivimkit.scan.shell_clusters import ABSOLUTE, shell_clusters
from ivimkit.scan.variables import (
    DIRECTION,
    B,
    Columns,
    along_b,
    checked_columns,
    groups_of,
    variable_of,
)
from ivimkit.scan.volume_selection import listed_columns, volumes_where

__all__ = ["Acquisition", "Series", "Shell"]

# Shells beyond a threshold by less than this share are kept.
_SLACK = 0.01
# A shell is within this share of the b-value that names it.
_MAX_NAMED_DISTANCE = 0.03
# In a line of text.
_MAX_SHOWN = 16


@dataclass(frozen=True)
class Shell:
    """The volumes with one setting: the same b-value and other known variables.

    Parameters
    ----------
    b : float
        Mean b-value of the volumes, in s/mm^2.
    volumes : tuple of int
        Their positions in the acquisition, ascending.
    n_directions : int or None
        Number of distinct gradient directions (0 at b = 0); None if directions are unknown.
    variables : mapping of str to float or str
        The other variables: the mean of numbers, or the text.
    """

    b: float
    volumes: tuple[int, ...]
    n_directions: int | None
    variables: Mapping[str, float | str] = field(default_factory=dict, hash=False)

    @property
    def count(self) -> int:
        """Number of volumes."""
        return len(self.volumes)


@dataclass(frozen=True)
class Series:
    """The shells that differ in b only: one decay curve.

    Parameters
    ----------
    text : str
        The other variables of these shells, if there are several series, like ``"TE 75 ms"``;
        empty if there is only one.
    members : tuple of int
        Their positions among the shells of the acquisition, ascending.
    variables : mapping of str to float or str
        The other variables, see `Shell`, that have a single value.
    ratios : mapping of str to float
        Those that grow with the gradient, such as c: their single ratio to the root of b.
    """

    text: str
    members: tuple[int, ...]
    variables: Mapping[str, float | str] = field(default_factory=dict, hash=False)
    ratios: Mapping[str, float] = field(default_factory=dict, hash=False)

    def at(self, b: ArrayLike) -> dict[str, Any]:
        """Return a table of the variables of this series at b-values.

        Parameters
        ----------
        b : array_like, shape (n,)
            b-values, s/mm^2.

        Returns
        -------
        dict of str to float, str or ndarray
        """
        values = np.asarray(b, dtype=np.float64)
        grown = {name: ratio * np.sqrt(values) for name, ratio in self.ratios.items()}
        return {**self.variables, **grown, B.name: values}

    def determines(self, variables: Sequence[str]) -> bool:
        """Return whether the variables of a model have one value at each b-value of the series."""
        known = {B.name, *self.variables, *self.ratios}
        return all(source in known for name in variables for source in sources(name, known))


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Acquisition:
    """The b-values of a scan and other variables of its volumes: directions, echo times, ...

    b-values that are the same except for jitter form one shell: those within 2 % of their middle
    (985 to 1015) or closer than 1 s/mm^2, if they are closer to each other than to the next
    b-value. 0, 1.4, 5 and 10 stay apart, and so do the steps of a ladder (120, 125, 130, ...).
    The order of the volumes does not matter. Volumes that differ in another variable by more than
    its tolerance (0.5 ms for echo time and diffusion time) are different settings, and thus
    different shells, even if their b-values are the same.

    Parameters
    ----------
    bvals : array_like, shape (n,)
        One b-value per volume, in s/mm^2.
    bvecs : array_like, shape (n, 3), optional
        One gradient direction per volume; length does not matter, 0 0 0 means none.
    tolerance : float, optional
        Largest gap between b-values of a shell, in s/mm^2; a shell is at most twice as wide. By
        default the rule above. 0 merges equal b-values only.
    variables : mapping of str to array_like, optional
        Other variables by name, each with one value per volume, or one for all: numbers such as
        ``echo_time``, ``diffusion_time`` or ``gradient_duration`` in ms, or texts.
    shell_numbers : array_like of int, shape (n,), optional
        The shell of every volume, if known already; `tolerance` is then not used.

    Raises
    ------
    AcquisitionError
        If the b-values, directions or variables are not numbers, negative, all the same, in
        another unit, or do not match.

    Examples
    --------
    >>> import ivimkit as ik
    >>> acquisition = ik.Acquisition([0, 0, 50, 800, 798, 802])
    >>> [(shell.b, shell.count) for shell in acquisition.shells]
    [(0.0, 2), (50.0, 1), (800.0, 3)]
    >>> ik.Acquisition([0, 800, 0, 800], variables={"echo_time": [60, 60, 90, 90]}).shell_names
    ('0 (TE 60 ms)', '0 (TE 90 ms)', '800 (TE 60 ms)', '800 (TE 90 ms)')
    """

    bvals: NDArray[np.float64]
    bvecs: NDArray[np.float64] | None
    tolerance: float | None
    variables: Columns
    shell_numbers: NDArray[np.intp]

    def __init__(
        self,
        bvals: ArrayLike,
        bvecs: ArrayLike | None = None,
        *,
        tolerance: float | None = None,
        variables: Mapping[str, Any] | None = None,
        shell_numbers: ArrayLike | None = None,
    ) -> None:
        b = checked_bvals(bvals)
        if tolerance is not None and not tolerance >= 0:
            raise AcquisitionError(
                f"the b-value tolerance is {tolerance}; expected a number of s/mm^2 >= 0. Leave "
                "it out for the default: less than 1 s/mm^2, or 2 % about the middle"
            )
        columns = checked_columns(variables, len(b))
        check_timing({B.name: b, **columns})
        numbers = (
            _settings(b, columns, tolerance)
            if shell_numbers is None
            else checked_shell_numbers(shell_numbers, len(b))
        )
        object.__setattr__(self, "bvals", b)
        object.__setattr__(self, "bvecs", checked_bvecs(bvecs, len(b)))
        object.__setattr__(self, "tolerance", tolerance)
        object.__setattr__(self, "variables", columns)
        object.__setattr__(self, "shell_numbers", numbers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Acquisition):
            return NotImplemented
        return (
            np.array_equal(self.bvals, other.bvals)
            and (self.bvecs is None) == (other.bvecs is None)
            and (self.bvecs is None or np.array_equal(self.bvecs, np.asarray(other.bvecs)))
            and self.variables.keys() == other.variables.keys()
            and all(np.array_equal(self.variables[k], other.variables[k]) for k in self.variables)
            and [s.volumes for s in self.shells] == [s.volumes for s in other.shells]
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Return the settings and how many volumes have them."""
        shown = [
            f"{name} × {shell.count}" if shell.count > 1 else name
            for name, shell in zip(self.shell_names, self.shells, strict=True)
        ]
        if len(shown) > _MAX_SHOWN:
            left_out = len(shown) - _MAX_SHOWN
            shown = [*shown[: _MAX_SHOWN - 1], f"{left_out} more", shown[-1]]
        volumes = several(self.n_volumes, "volume")
        known = "" if self.bvecs is None else ", with directions"
        return f"Acquisition: {volumes}{known}, b = {', '.join(shown)} s/mm²"

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
        """The shells, by ascending b-value; those of one b-value by their other variables."""
        numbers = self.shell_numbers
        members = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
        shells = [
            Shell(
                float(_exact_mean(self.bvals[volumes])),
                tuple(int(volume) for volume in volumes),
                None if self.bvecs is None else self._n_directions(volumes),
                {name: _one_value(column[volumes]) for name, column in self.variables.items()},
            )
            for volumes in members
        ]
        return tuple(sorted(shells, key=lambda shell: shell.b))

    @cached_property
    def shell_of_volume(self) -> NDArray[np.intp]:
        """Position in `shells` of the shell of each volume, shape (n_volumes,)."""
        found = np.empty(self.n_volumes, dtype=np.intp)
        for position, shell in enumerate(self.shells):
            found[list(shell.volumes)] = position
        return found

    @cached_property
    def differing(self) -> tuple[str, ...]:
        """The variables other than b and directions that differ between volumes."""
        return self._differing(np.ones(self.n_volumes, dtype=bool), of_gradient=True)

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """Those of them that can affect the signal.

        Variables of the diffusion gradient, such as the diffusion time, do not at b = 0.
        """
        found = {
            *self._differing(np.ones(self.n_volumes, dtype=bool), of_gradient=False),
            *self._differing(self.bvals >= ABSOLUTE, of_gradient=True),
        }
        return tuple(name for name in self.variables if name in found)

    def _differing(self, volumes: NDArray[np.bool_], *, of_gradient: bool) -> tuple[str, ...]:
        """Return the variables that differ between some volumes."""
        directions = {axis.name for axis in DIRECTION}
        return tuple(
            name
            for name, values in self.variables.items()
            if name not in directions
            and (of_gradient or not variable_of(name).of_gradient)
            and self._groups(name, values, volumes).any()
        )

    def _groups(
        self, name: str, values: NDArray[Any], volumes: NDArray[np.bool_]
    ) -> NDArray[np.intp]:
        """Return the groups of volumes between which a variable differs, at any b."""
        if variable_of(name).grows_with_b:
            # At b = 0 there is no gradient, and so no ratio.
            volumes = volumes & (self.bvals >= ABSOLUTE)
        return along_b(name, values[volumes], self.bvals[volumes])[1]

    def varying_for(self, variables: Sequence[str]) -> tuple[str, ...]:
        """Return those of `varying` that the variables of a model are, or are derived from.

        Examples
        --------
        >>> gradient = ["bipolar", "bipolar", "flow-compensated"]
        >>> scan = Acquisition([0, 50, 50], variables={"gradient": gradient, "encoding_time": 40})
        >>> scan.varying_for(("b", "gradient_code"))
        ('gradient',)
        """
        used = {source for name in variables for source in sources(name, self.variables)}
        return tuple(name for name in self.varying if name in used)

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """The shells in groups that differ only in b (and direction), in order of the variables.

        One group of all shells if nothing else varies. Shells of b = 0 belong to each group that
        differs from them only in the gradients.
        """
        if not self.varying:
            common, ratios = self._in_common(self.shells)
            return (Series("", tuple(range(self.n_shells)), common, ratios),)
        groups = np.array(
            [
                along_b(
                    name,
                    np.array([shell.variables[name] for shell in self.shells]),
                    self.shell_bvals,
                )[1]
                for name in self.varying
            ]
        )
        always = np.array([not variable_of(name).of_gradient for name in self.varying])
        at_zero = self.shell_bvals < ABSOLUTE
        found, taken = [], np.zeros(self.n_shells, dtype=bool)
        for which in (~at_zero, at_zero):
            # b = 0 alone is a group only if no other group has its variables.
            for key in np.unique(groups[:, which & ~taken], axis=1).T:
                same = groups == key[:, None]
                members = same.all(axis=0) | (at_zero & same[always].all(axis=0))
                taken |= members
                found.append(
                    self._series(np.flatnonzero(members), int(np.argmax(same.all(axis=0))))
                )
        return tuple(found)

    def longest_series(self, *, averaged: bool) -> int:
        """Return the number of the series with the most values: the one that the ADC is of.

        Values are shells if volumes are averaged, else volumes.

        Examples
        --------
        >>> te = {"echo_time": [60, 60, 90, 90, 90]}
        >>> Acquisition([0, 500, 0, 200, 500], variables=te).longest_series(averaged=True)
        1
        """
        shells = self.shells
        sizes = [
            sum(1 if averaged else shells[k].count for k in series.members)
            for series in self.series
        ]
        return sizes.index(max(sizes))

    def _series(self, members: NDArray[np.intp], typical: int) -> Series:
        own = self.shells[typical].variables
        common, ratios = self._in_common([self.shells[k] for k in members])
        known = {**common, **{name: own[name] for name in self.varying if name not in ratios}}
        text = ", ".join(
            f"{variable_of(name).label} {ratios[name]:.3g} √b"
            if ratios.get(name)
            else variable_of(name).written(own[name])
            for name in self.varying
        )
        return Series(text, tuple(int(k) for k in members), known, ratios)

    def _in_common(
        self, shells: Sequence[Shell]
    ) -> tuple[dict[str, float | str], dict[str, float]]:
        """Return the variables that are the same in some shells, and ratios to the root of b."""
        common, ratios = {}, {}
        b = np.array([shell.b for shell in shells])
        weighted = b >= ABSOLUTE
        for name in shells[0].variables:
            values = np.array([shell.variables[name] for shell in shells])
            if variable_of(name).grows_with_b:
                ratio, groups = along_b(name, values[weighted], b[weighted])
                if ratio.size and not groups.any():
                    ratios[name] = float(ratio.mean())
            elif not groups_of(name, values).any():
                common[name] = shells[0].variables[name]
        return common, ratios

    @property
    def shell_names(self) -> tuple[str, ...]:
        """Name of each shell: its b-value, and what distinguishes it from others with that b."""
        return tuple(self._name(shell) for shell in self.shells)

    def _name(self, shell: Shell) -> str:
        if not self.differing:
            return f"{shell.b:g}"
        words = [variable_of(name).written(shell.variables[name]) for name in self.differing]
        return f"{shell.b:g} ({', '.join(words)})"

    @property
    def columns(self) -> Columns:
        """The variables, including b: at each volume the mean of its shell.

        Volumes of a shell have the same values, so that no condition separates them.
        """
        where = self.shell_of_volume
        others = {
            name: np.array([shell.variables[name] for shell in self.shells])[where]
            for name in self.variables
        }
        return {B.name: self.shell_bvals[where], **others}

    def values_of(self, name: str) -> NDArray[Any]:
        """Return a variable at each volume, shape (n_volumes,): b or another one.

        Variables of the gradients may follow from others, see `ivimkit.scan.gradient_timing`.

        Raises
        ------
        AcquisitionError
            If it is not known.
        """
        if name == B.name:
            return self.bvals
        if name not in self.variables:
            found = derived(name, {B.name: self.bvals, **self.variables})
            if found is not None:
                return found
            known = ", ".join([B.name, *self.variables])
            raise AcquisitionError(
                f"the variable {name} is not known for this scan, which has {known}; expected one "
                f"value per volume. Give it in a table (--variables FILE)"
                + (", or by --te" if name == "echo_time" else "")
                + (
                    ". It also follows from gradient (monopolar, bipolar or flow-compensated) "
                    "with encoding_time, and gradient_duration and gradient_separation if the "
                    "gradients do not fill it"
                    if name in DERIVED
                    else ""
                ),
                python=f"Pass variables={{{name!r}: [...]}} to ivimkit.load or DWI",
            )
        return self.variables[name]

    def numbers_of(self, name: str) -> NDArray[np.float64]:
        """Return a variable at each volume, shape (n_volumes,), if it is a number.

        Raises
        ------
        AcquisitionError
            If it is not known, or a text.
        """
        values = self.values_of(name)
        if values.dtype.kind == "U":
            raise AcquisitionError(
                f"the variable {name} of this scan is a text ({str(values[0])!r}), and a model "
                "needs numbers of it. Select volumes by it, or give it numbers"
            )
        return values

    def shell_x(self, variables: Sequence[str]) -> NDArray[np.float64]:
        """Return the mean of some variables in each shell, shape (n_variables, n_shells).

        Raises
        ------
        AcquisitionError
            If a variable is not known, or a text.
        """
        columns = [self.numbers_of(name) for name in variables]
        members = [list(shell.volumes) for shell in self.shells]
        return np.array([[_exact_mean(column[own]) for own in members] for column in columns])

    @property
    def distinct_bvals(self) -> NDArray[np.float64]:
        """b-values that give different signals, in s/mm^2; jitter is ignored.

        They are those of the shells unless a tolerance separated shells that are the same to a
        fit.
        """
        b = self.shell_bvals
        numbers = shell_clusters(b, None)
        return np.array([_exact_mean(b[numbers == k]) for k in np.unique(numbers)])

    @cached_property
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
            Volumes with the same direction, up to sign and within 1 degree, in order of
            appearance. Volumes without a direction, or with b = 0, form one group.
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
        where: str | None = None,
    ) -> NDArray[np.intp]:
        """Return the positions of the volumes that meet all conditions.

        Parameters
        ----------
        bmin, bmax : float, optional
            Lowest and highest b-value, in s/mm^2, inclusive, with a margin of 1 %. A shell that
            straddles the limit is kept whole.
        bvals : sequence of float, optional
            The shells to keep, by b-value in s/mm^2: for each the nearest one, within 3 %.
        volumes : sequence of int, optional
            Positions of volumes, from 0.
        where : str, optional
            A condition on b and the other variables, like
            ``"diffusion_time == 70 and gradient in ('bipolar', 'none')"``: comparisons of columns
            with values (==, !=, <, <=, >, >=, in) joined by and, or, not and parentheses. Numbers
            are equal within the tolerance of their variable.

        Returns
        -------
        ndarray of int, shape (n_selected,)
            Ascending positions.

        Raises
        ------
        AcquisitionError
            If there is no such b-value or volume, or nothing is left.
        OptionError
            If the condition cannot be understood, or names a column that does not exist.

        Warns
        -----
        AcquisitionWarning
            If b-values within 3 % of a named one are left out.

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
        if where is not None:
            keep &= volumes_where(where, self.columns)
        if not keep.any():
            there = (
                f"those with {listed_columns(self.columns)}"
                if where is not None
                else f"b = {_listed(self.shell_bvals)}"
            )
            raise AcquisitionError(
                f"no volume is left of {there} after the selection "
                f"{_selection(bmin, bmax, bvals, volumes, where)}; expected at least one. Widen it"
            )
        return np.flatnonzero(keep)

    def take(self, volumes: ArrayLike) -> Acquisition:
        """Return the acquisition of some volumes; shells are those of the whole.

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
            self.bvals[index],
            bvecs,
            tolerance=self.tolerance,
            variables={name: values[index] for name, values in self.variables.items()},
            shell_numbers=self.shell_numbers[index],
        )

    def with_variables(self, variables: Mapping[str, Any] | None) -> Acquisition:
        """Return the acquisition with other additional variables, grouped into shells again."""
        return Acquisition(self.bvals, self.bvecs, tolerance=self.tolerance, variables=variables)

    def with_directions_apart(self) -> Acquisition:
        """Return the acquisition with the directions as variables gx, gy and gz.

        Volumes with different directions are then different settings, for models of the direction.
        Volumes with b = 0 have none, whatever their file contains.

        Raises
        ------
        AcquisitionError
            If the directions are not known.
        """
        if all(axis.name in self.variables for axis in DIRECTION):
            return self
        return self._apart

    @cached_property
    def _apart(self) -> Acquisition:
        if self.bvecs is None:
            raise AcquisitionError(
                "the directions of the gradients are not known; expected one per volume. Give a "
                ".bvec file (--bvec), or columns gx, gy and gz (--variables FILE)",
                python="Pass bvecs= to ivimkit.load or DWI",
            )
        vectors = np.empty((self.n_volumes, 3))
        numbers = np.empty(self.n_volumes, dtype=np.intp)
        count = 0
        for shell in self.shells:
            for group in self.directions(shell.volumes):
                # For repeats up to sign, the first one, so that a mean is a direction again.
                vectors[list(group)] = self._direction(group[0])
                numbers[list(group)] = count
                count += 1
        axes = {axis.name: vectors[:, k] for k, axis in enumerate(DIRECTION)}
        return Acquisition(
            self.bvals,
            self.bvecs,
            tolerance=self.tolerance,
            variables={**self.variables, **axes},
            shell_numbers=numbers,
        )

    def with_directions_together(self) -> Acquisition:
        """Return the acquisition without the variables gx, gy and gz, for tables of b-values.

        The directions are known as before; volumes that differ in them are one setting again.
        """
        names = [axis.name for axis in DIRECTION]
        rest = {name: values for name, values in self.variables.items() if name not in names}
        if len(rest) == len(self.variables):
            return self
        return Acquisition(
            self.bvals, self.direction_vectors(), tolerance=self.tolerance, variables=rest
        )

    @property
    def has_directions(self) -> bool:
        """Whether the directions of the gradients are known."""
        return self.bvecs is not None or all(axis.name in self.variables for axis in DIRECTION)

    def direction_vectors(self) -> NDArray[np.float64]:
        """Return the unit vector of each volume, 0 0 0 at b = 0, shape (n_volumes, 3).

        Raises
        ------
        AcquisitionError
            If the directions are not known.

        Examples
        --------
        >>> Acquisition([0, 800], [[0, 1, 0], [0, 2, 0]]).direction_vectors().tolist()
        [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        """
        separate = self.with_directions_apart()
        return np.stack([separate.numbers_of(axis.name) for axis in DIRECTION], axis=1)

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
        # A b-value counts once, however many settings have it.
        return coverage_of(_once(present) if self.varying else present)

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
        b = self.distinct_bvals if self.varying else self.shell_bvals
        return perfusion_left_at(np.union1d(b, [b_split]).tolist(), D_star)

    def _slack(self, limit: float) -> float:
        slack = _SLACK * abs(limit)
        return slack if self.tolerance is None else min(slack, self.tolerance)

    def _reach(self, b: float) -> float:
        """Return the largest distance of the shell that a b-value names."""
        return max(0.5, _MAX_NAMED_DISTANCE * b if self.tolerance is None else self.tolerance)

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
            for one in self._of_the_b_of(shell):
                keep[list(one.volumes)] = True
        return keep

    def _of_the_b_of(self, shell: Shell) -> list[Shell]:
        """Return the shells with the b-value of one of them, whatever their other variables."""
        if not self.variables:
            return [shell]
        clusters = shell_clusters(self.shell_bvals, self.tolerance)
        wanted = clusters[self.shells.index(shell)]
        return [one for one, k in zip(self.shells, clusters, strict=True) if k == wanted]

    def _say_what_is_near(self, keep: NDArray[np.bool_], named: Sequence[float]) -> None:
        """Warn of excluded shells that are so near that they may also have been meant."""
        if self.tolerance == 0:
            return
        left_out = [shell.b for shell in self.shells if not keep[list(shell.volumes)].any()]
        for b in named:
            # With the default rule, a shell that is named exactly is not ambiguous.
            if self.tolerance is None and np.isclose(self.shell_bvals, b, rtol=_SLACK).any():
                continue
            near = [other for other in left_out if abs(other - b) <= _MAX_NAMED_DISTANCE * b]
            if near:
                warnings.warn(
                    f"b = {_listed(np.array(near))} s/mm^2 is left out, which is within 3 % of "
                    f"{b:g}; expected one shell. If it was also meant, name it or widen the limit",
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
        """Return the unit vector of a volume, or 0 0 0 if it has none."""
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
    return bool(abs((first * second).sum()) >= SAME_DIRECTION)


def _exact_mean(values: NDArray[np.float64]) -> float:
    """Return the mean; for equal values exactly that value, as a sum would round."""
    if len(values) == 1:
        return float(values[0])
    return float(values[0]) if (values == values[0]).all() else float(values.mean())


def _one_value(values: NDArray[Any]) -> float | str:
    return str(values[0]) if values.dtype.kind == "U" else _exact_mean(values)


def _settings(
    b: NDArray[np.float64], columns: Columns, tolerance: float | None
) -> NDArray[np.intp]:
    """Return the shell number of every volume; a shell shares b and all other variables."""
    numbers = shell_clusters(b, tolerance)
    if columns:
        groups = [numbers, *(groups_of(name, values) for name, values in columns.items())]
        numbers = np.asarray(
            np.unique(np.array(groups), axis=1, return_inverse=True)[1], dtype=np.intp
        ).ravel()
    numbers.setflags(write=False)
    return numbers


def _once(bvals: Sequence[float]) -> list[float]:
    clusters = shell_clusters(np.array(bvals), None)
    return [bvals[int(np.flatnonzero(clusters == k)[0])] for k in np.unique(clusters)]


def _listed(values: NDArray[np.float64]) -> str:
    return ", ".join(dict.fromkeys(f"{value:g}" for value in values))


def _selection(
    bmin: float | None,
    bmax: float | None,
    bvals: Sequence[float] | None,
    volumes: Sequence[int] | None,
    where: str | None,
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
    if where is not None:
        said.append(repr(where))
    return " and ".join(said)
