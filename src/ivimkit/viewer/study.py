"""Study: the results shown, with their scans and regions, checked once."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ivimkit import io
from ivimkit.errors import InputError, OptionError, ShapeError
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.labels import Labels
from ivimkit.viewer.result_counts import ResultCounts
from ivimkit.viewer.shown_grid import Box, ShownGrid

__all__ = ["Study"]


@dataclass(frozen=True, eq=False)
class Study:
    """One or more results on one grid, their scans, and regions.

    Parameters
    ----------
    results : tuple of FitResult
        The results; the others are compared with the first. Each has its scan, if available.
    names : tuple of str
        Their names.
    why_no_scan : str or None
        Why the first result has no scan, and what to do.
    labels : Labels or None
        Regions.
    acquired : DWI or None
        The scan of the first result before the steps that were applied to it, if there were any.
    why_not_acquired : str or None
        Why that is not there, although there were steps.
    """

    results: tuple[FitResult, ...]
    names: tuple[str, ...]
    why_no_scan: str | None = None
    labels: Labels | None = None
    acquired: DWI | None = None
    why_not_acquired: str | None = None

    @classmethod
    def of(
        cls,
        results: Sequence[FitResult],
        names: Sequence[str] | None = None,
        *,
        dwi: DWI | None = None,
        labels: Labels | None = None,
    ) -> Study:
        """Assemble a study from its parts.

        Parameters
        ----------
        results : sequence of FitResult
            The results.
        names : sequence of str, optional
            Their names; by default their methods.
        dwi : DWI, optional
            The scan of all of them; by default the one that each result contains or refers to.
        labels : Labels, optional
            Regions.

        Returns
        -------
        Study

        Raises
        ------
        OptionError
            If there is no result, or the names do not match the results.
        ShapeError
            If results, scan and labels are not on one grid.
        """
        if not results:
            raise OptionError("there is no result to view; expected at least one FitResult")
        for result in results:
            if not isinstance(result, FitResult):
                raise OptionError(
                    f"got a {type(result).__name__} to view; expected results of ivimkit.fit or "
                    "ivimkit.load_result. Regions are given as labels=, a scan as dwi="
                )
        first, called = results[0], _named(results, names)
        _check_grid(first, results, called)
        if labels is not None and labels.array.shape != first.shape:
            raise ShapeError(
                f"the labels have shape {labels.array.shape}; expected {first.shape}, that of the "
                "result. Name the labels of this scan, or resample them",
                python="ivimkit.io.load_labels does",
            )
        loaded = [_with_scan(result, dwi) for result in results]
        return cls(
            tuple(result for result, _ in loaded), called, loaded[0][1], labels, *_acquired(first)
        )

    def with_result(self, result: FitResult, name: str) -> Study:
        """Return the study with one more result.

        Parameters
        ----------
        result : FitResult
            The result. Without a scan it gets the one that it refers to, or that of the first
            result if both are fits of the same values.
        name : str
            Its name; a number is added to a name that is taken.

        Returns
        -------
        Study

        Raises
        ------
        ShapeError
            If it is not on the grid of the others.
        """
        first, called, number = self.results[0], name, 1
        while called in self.names:
            number += 1
            called = f"{name} ({number})"
        _check_grid(first, (first, result), (self.names[0], called))
        shown, why = _with_scan(result, None)
        if why is not None and _same_values(first, result):
            shown = dataclasses.replace(result, dwi=first.dwi)
        return dataclasses.replace(
            self, results=(*self.results, shown), names=(*self.names, called)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of the results."""
        return self.results[0].shape

    @property
    def grid(self) -> tuple[int, int, int]:
        """The shape with three axes, as the page shows it."""
        x, y, z = (*self.shape, 1, 1, 1)[:3]
        return x, y, z

    @cached_property
    def shown(self) -> ShownGrid:
        """The voxels that the page has images of: all, or every few of a large scan."""
        return ShownGrid.of(self.grid, self.geometry.voxel_size)

    @cached_property
    def counts(self) -> tuple[ResultCounts, ...]:
        """Numbers of voxels of each result."""
        count = ResultCounts.of if self.shown.is_whole else ResultCounts.by_parts
        return tuple(count(result) for result in self.results)

    def box(self, at: Sequence[int] | None = None) -> Box:
        """Return the voxels that the page shows as a part of the maps; or one of the whole grid.

        Raises
        ------
        OptionError
            If there is no such voxel.
        """
        if at is None:
            return self.shown.box(len(self.shape))
        return tuple(slice(i, i + 1) for i in self.index(at))

    @property
    def geometry(self) -> Geometry:
        """Positions of the voxels."""
        return self.results[0].geometry.in_mm

    def result(self, number: str) -> int:
        """Return the index of a result.

        Raises
        ------
        OptionError
            If there is no result of that number.
        """
        valid = [str(k) for k in range(len(self.results))]
        if number not in valid:
            raise OptionError(f"there is no result {number!r}; expected one of {', '.join(valid)}")
        return valid.index(number)

    def index(self, voxel: Sequence[int]) -> tuple[int, ...]:
        """Return the index of a voxel of the three-dimensional grid in the maps.

        Raises
        ------
        OptionError
            If there is no such voxel.
        """
        if len(voxel) != 3 or not all(0 <= i < n for i, n in zip(voxel, self.grid, strict=True)):
            limits = ", ".join(f"0 to {n - 1}" for n in self.grid)
            raise OptionError(f"there is no voxel {tuple(voxel)}; expected x, y, z from {limits}")
        return tuple(voxel[: len(self.shape)])

    def acquired_scan(self) -> DWI:
        """Return the scan before the steps that were applied to it.

        Raises
        ------
        OptionError
            If there is none; the message says why.
        """
        if self.acquired is None:
            why = self.why_not_acquired or "the scan was fitted as it was acquired"
            raise OptionError(f"the scan before the steps is not available: {why}")
        return self.acquired

    def scan(self, number: int) -> DWI:
        """Return the scan of a result.

        Raises
        ------
        OptionError
            If there is none; the message says why and what to do.
        """
        scan = self.results[number].dwi
        if scan is None:
            why = self.why_no_scan or "it is not where the result was made"
            raise OptionError(f"the scan of these maps is not available: {why}")
        return scan


def _named(results: Sequence[FitResult], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        methods = [result.method.name for result in results]
        several = Counter(methods)
        return tuple(
            f"{method} ({k})" if several[method] > 1 else method
            for k, method in enumerate(methods, start=1)
        )
    if len(names) != len(results) or len(set(names)) != len(names):
        raise OptionError(
            f"the names are {', '.join(names)} and there are {len(results)} results; expected one "
            "name for each, all different"
        )
    return tuple(names)


def _check_grid(first: FitResult, results: Sequence[FitResult], names: Sequence[str]) -> None:
    if len(first.shape) > 3:
        raise ShapeError(
            f"the result has shape {first.shape}; expected up to three axes. View one part of it"
        )
    for result, name in zip(results, names, strict=True):
        if result.shape != first.shape:
            raise ShapeError(
                f"{name} has shape {result.shape} and {names[0]} {first.shape}; expected results "
                "on one grid. View them one by one"
            )
        if not result.geometry.is_at(first.geometry, first.shape):
            apart = np.abs(result.geometry.shifts(first.geometry, first.shape)).max()
            raise ShapeError(
                f"the voxels of {name} and {names[0]} lie up to {apart:.3g} "
                "mm apart; expected results on one grid. Register the "
                "scans before the fit, or view the results one by one"
            )


def _with_scan(result: FitResult, dwi: DWI | None) -> tuple[FitResult, str | None]:
    """Return a result with its scan, or why there is none."""
    scan = dwi or result.dwi
    if scan is None:
        try:
            scan = io.load_fitted_scan(result)
        except InputError as error:
            return result, str(error)
    fitted = len(result.provenance.counts)
    if scan.shape != result.shape or scan.fit_bvals.size != fitted:
        raise ShapeError(
            f"the scan has shape {scan.shape} and {scan.fit_bvals.size} b-values; expected "
            f"{result.shape} and {fitted}, those of the result. Name the scan that was fitted"
        )
    return dataclasses.replace(result, dwi=scan), None


def _same_values(one: FitResult, other: FitResult) -> bool:
    """Return whether two results are fits of the same values, as far as their records tell."""
    first, second = (
        (
            sorted((source["role"], source["sha256"]) for source in result.provenance.sources),
            tuple(result.provenance.bvals),
            tuple(result.provenance.counts),
            result.provenance.history,
        )
        for result in (one, other)
    )
    return bool(first[0]) and first == second


def _acquired(result: FitResult) -> tuple[DWI | None, str | None]:
    """Return the scan before the steps, or why it is not there; neither if there were none."""
    history = result.provenance.history
    if not history:
        return None, None
    if not history.sources:
        return None, "it was not read from a file"
    try:
        return io.load_acquired_scan(result), None
    except InputError as error:
        # The advice would be about the scan that was fitted.
        reason, _, _ = str(error).partition(";")
        return None, reason
