"""Subject: the content of a report - one or two results, the scan, the regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import organs, quality
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.fitting.result import FitResult
from ivimkit.quality.central_values import Estimate
from ivimkit.quality.difference import Difference
from ivimkit.quality.fit_residuals import Residuals, residuals
from ivimkit.quality.region_estimates import RegionEstimate, region_estimates
from ivimkit.quality.region_findings import region_findings
from ivimkit.quality.residual_findings import Finding, residual_findings
from ivimkit.quality.result_checks import DECAY
from ivimkit.report.section_blocks import Beside, Block
from ivimkit.scan.checks import ScanFinding
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Lesion", "Side", "Subject"]

_UNNAMED = "the names of the files and the b-values contradict each other"


@dataclass(frozen=True, eq=False)
class Lesion:
    """A region to be compared with a reference.

    Parameters
    ----------
    name : str
        Its name.
    mask : ndarray of bool, shape of the maps
        Its voxels.
    reference_name : str
        Name of the reference.
    reference : ndarray of bool, shape of the maps
        The voxels of the reference.
    """

    name: str
    mask: NDArray[np.bool_] = field(repr=False)
    reference_name: str
    reference: NDArray[np.bool_] = field(repr=False)

    @property
    def labels(self) -> Labels:
        """Both as regions; where they overlap, the lesion."""
        numbers = np.zeros_like(self.mask, dtype=np.int32)
        numbers[self.reference], numbers[self.mask] = 2, 1
        numbers.setflags(write=False)
        return Labels(numbers, {1: self.name, 2: self.reference_name})


@dataclass(frozen=True, eq=False)
class Side:
    """One of the results, with values that several sections use.

    Parameters
    ----------
    name : str
        Its name; empty if there is only one.
    result : FitResult
        The fit.
    """

    name: str
    result: FitResult

    @property
    def is_image(self) -> bool:
        """Whether the maps can be shown as images."""
        return len(self.result.shape) in (2, 3)

    @cached_property
    def limits(self) -> Mapping[str, tuple[float, float]] | None:
        """Ranges in which maps are shown: those of the organ that was named for the fit."""
        organ = self.result.settings.organ
        return organs.get(organ).display if organ else None

    @cached_property
    def residuals(self) -> Residuals | None:
        """Residuals over the volume; None without a scan or a fitted voxel."""
        if self.result.dwi is None:
            return None
        try:
            return residuals(self.result)
        except OptionError:
            # Nothing was fitted, as the first check says.
            return None

    @cached_property
    def findings(self) -> Sequence[Finding] | None:
        """What stands out in the residuals; None if there are no residuals."""
        return None if self.residuals is None else residual_findings(self.residuals)

    @cached_property
    def scan_findings(self) -> Sequence[ScanFinding] | None:
        """What cannot be right about the scan; None if it is not available."""
        if self.result.dwi is None:
            return None
        return quality.scan_findings(self.result.dwi.with_mask(self.result.mask))


@dataclass(frozen=True, eq=False)
class Subject:
    """The content of a report.

    Parameters
    ----------
    sides : sequence of Side
        One or two results.
    labels : Labels, optional
        Regions, the same for both.
    lesion : Lesion, optional
        The region of interest.
    unreliable : {"fade", "hide", "show"}
        How to show voxels that are not reliable.
    anonymous : bool
        Whether to leave out file names and the command line.
    reliable_only : bool, optional
        Whether to use only reliable voxels; by default only to compare a lesion.
    difference : Difference, optional
        The second result minus the first.
    """

    sides: Sequence[Side]
    labels: Labels | None = None
    lesion: Lesion | None = None
    unreliable: str = "fade"
    anonymous: bool = True
    reliable_only: bool | None = None
    difference: Difference | None = None

    @cached_property
    def comparisons(self) -> Mapping[str, pd.DataFrame]:
        """The lesion against its reference, by the name of the result; empty without a lesion."""
        if self.lesion is None:
            return {}
        inside, outside = self.lesion.mask, self.lesion.reference
        return {
            side.name: quality.compare_regions(
                side.result, inside, outside, reliable_only=self.reliable_only is not False
            )
            for side in self.sides
        }

    @cached_property
    def lights(self) -> Mapping[str, tuple[quality.Light, ...]]:
        """The traffic-light checks of each result, including those of its regions, by its name."""
        return {side.name: self._lights(side) for side in self.sides}

    @cached_property
    def judged(self) -> Labels | None:
        """The regions that the first page speaks of, in which voxels are counted."""
        return self.labels if self.lesion is None else self.lesion.labels

    def findings(self, side: Side) -> Sequence[Finding] | None:
        """Return what the residuals show: of the scan, and of the regions, if there are any."""
        return self._findings[side.name]

    @cached_property
    def _findings(self) -> Mapping[str, Sequence[Finding] | None]:
        return {
            side.name: side.findings
            if side.findings is None or self.judged is None
            else region_findings(side.result, self.judged, side.findings)
            for side in self.sides
        }

    def _lights(self, side: Side) -> tuple[quality.Light, ...]:
        return quality.lights(
            side.result,
            labels=self.judged,
            findings=self.findings(side),
            regions=self._disagreeing(side),
            scan=self.faults(side),
        )

    def _disagreeing(self, side: Side) -> Sequence[quality.Disagreement] | None:
        """Return the regions whose voxels and mean signal disagree, if their means are fitted."""
        judged, means = self.judged, self.means.get(side.name)
        if judged is None or self.labels is None or means is None:
            return None
        if not set(judged) <= set(self.labels):
            return None
        found = quality.disagreements(side.result, self.labels, means=means)
        return [one for one in found if one.region in set(judged)]

    def faults(self, side: Side) -> Sequence[ScanFinding] | None:
        """Return what cannot be right about a scan, without names of files if those are hidden."""
        found = side.scan_findings
        if found is None or not self.anonymous:
            return found
        return [replace(one, text=_UNNAMED) if one.kind == "names" else one for one in found]

    def nothing_to_read(self, side: Side) -> str:
        """Return why the numbers of a result must not be read; empty if they may be."""
        order = [one for one in self.faults(side) or () if one.kind == "order"]
        if order:
            return f"The scan cannot be right: {order[0].text}."
        if not side.result.codes.fitted.total:
            return quality.nothing_to_read(side.result)
        # The checks have looked, which takes two images of the scan.
        found = next((one for one in self.lights[side.name] if one.name == DECAY), None)
        if found is None or (found.region and self.lesion is None):
            # One of several regions without a signal does not concern the others.
            return ""
        return found.reason

    @cached_property
    def numbers(self) -> Mapping[str, tuple[RegionEstimate, ...]]:
        """Numbers of lesion and reference, or of the regions, of each result, by its name."""
        return {side.name: tuple(self._numbers(side)) for side in self.sides}

    def _numbers(self, side: Side) -> Iterable[RegionEstimate]:
        if self.lesion is not None:
            return self._of_lesion(self.lesion, side)
        if self.labels is None:
            return ()
        result = side.result
        # One region leaves room for what only blood determines.
        known = result.model.shown_maps if len(self.labels) == 1 else result.model.robust_maps
        return region_estimates(
            result,
            self.labels,
            [name for name in known if name in result.maps],
            means=self.means.get(side.name),
            reliable_only=self.reliable_only is not False,
        )

    def _of_lesion(self, lesion: Lesion, side: Side) -> Iterator[RegionEstimate]:
        """Yield the numbers that the sentence compares."""
        table = self.comparisons[side.name]
        names = [name for name in side.result.model.robust_maps if name in table.index]
        for of, region in (("lesion", lesion.name), ("reference", lesion.reference_name)):
            for name in names:
                row: Any = table.loc[name]
                keys = (f"{of}_value", f"{of}_value_lo", f"{of}_value_hi")
                parameter = describe(name, side.result.model.quantities)
                estimate = Estimate(*(float(row[key]) for key in keys))
                basis, why = str(row["basis"]), str(row["why"])
                yield RegionEstimate(region, name, parameter, basis, estimate, why)

    @cached_property
    def means(self) -> Mapping[str, FitResult]:
        """The fit of the mean signal of each region, by the name of the result.

        There is none without a scan, or if method bayes learned priors for other regions.
        """
        found = {}
        for side in self.sides:
            if self.labels is None or side.result.dwi is None:
                continue
            with suppress(OptionError):
                found[side.name] = quality.roi_fit(side.result, self.labels)
        return found

    @property
    def first(self) -> Side:
        """The first result."""
        return self.sides[0]

    def each(self, make: Callable[[Side], Sequence[Block]]) -> list[Block]:
        """Return the blocks of one result, or those of two side by side."""
        if len(self.sides) == 1:
            return list(make(self.first))
        return [Beside([(side.name, make(side)) for side in self.sides])]
