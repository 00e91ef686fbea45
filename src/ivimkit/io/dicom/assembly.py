"""Series to scans: which series of a study were acquired together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ivimkit.io.dicom.element import text
from ivimkit.io.dicom.files import Skipped
from ivimkit.io.dicom.kinds import MEASURED, Kind
from ivimkit.io.dicom.scans import DicomContents, DicomScan, OtherSeries
from ivimkit.io.dicom.volumes import Stack, Volume
from ivimkit.scan.shell_clusters import shell_clusters

__all__ = ["assembled"]

_MAX_ECHO_TIME_APART_MS = 1.0
_B_ZERO = 1.0
_REASONS = {
    Kind.DERIVED: "map computed by the scanner, not fitted",
    Kind.COMPUTED: "b-values computed from others, not fitted",
    Kind.PHASE: "phase, real or imaginary images, not fitted",
}


def assembled(stacks: Sequence[Stack], skipped: Skipped, *, merge: bool = False) -> DicomContents:
    """Assemble the scans of all studies.

    Parameters
    ----------
    stacks : sequence of Stack
        The volumes of each series.
    skipped : Skipped
        Files that were left out.
    merge : bool
        Whether series on one grid are one scan even if they have b-values in common: they were
        chosen by the user.
    """
    spaces: list[list[Stack]] = []
    for stack in stacks:
        if stack.kind in MEASURED and stack.bvals:
            space = next((one for one in spaces if _share_space(one[0], stack)), None)
            if space is None:
                spaces.append([stack])
            else:
                space.append(stack)
    scans: list[DicomScan] = []
    used: set[int] = set()
    for space in spaces:
        for kind in MEASURED:
            for group in _groups([one for one in space if one.kind is kind], merge):
                scan = _scan(kind, group, space)
                if scan is not None:
                    scans.append(scan)
                    used.update(map(id, group))
    # Images without weighting may be lent to a scan of other series.
    fitted = {id(volume) for scan in scans for volume in scan.volumes}
    others = tuple(
        _other(stack)
        for stack in stacks
        if id(stack) not in used and fitted.isdisjoint(map(id, stack.volumes))
    )
    scans.sort(key=lambda scan: (scan.study_date, scan.study, scan.series_numbers))
    return DicomContents(tuple(scans), others, skipped, tuple(stacks))


def _share_space(one: Stack, other: Stack) -> bool:
    """Whether voxels of two series are at the same places of the same patient."""
    first, second = one.first.instance, other.first.instance
    return (first.study, first.frame_of_reference) == (
        second.study,
        second.frame_of_reference,
    ) and one.grid.is_at(other.grid)


def _groups(stacks: Sequence[Stack], merge: bool) -> list[list[Stack]]:
    """Return series that are one scan: each has b-values that the others lack.

    Series with several b-values that overlap are scans of their own. Series of one b-value form a
    new scan where a b-value returns: that was acquired again.
    """
    groups: list[list[Stack]] = []
    for of_echo in [list(stacks)] if merge else _by_echo(stacks):
        if merge or _are_disjoint(of_echo):
            groups.append(of_echo)
            continue
        single: list[list[Stack]] = []
        for stack in of_echo:
            if _n_shells(stack.bvals) > 1:
                groups.append([stack])
            elif single and _are_disjoint([*single[-1], stack]):
                single[-1].append(stack)
            else:
                single.append([stack])
        groups += single
    return groups


def _by_echo(stacks: Sequence[Stack]) -> list[list[Stack]]:
    """Separate series by their shortest echo time."""
    groups: list[list[Stack]] = []
    for stack in stacks:
        alike = next((group for group in groups if _same_echo(group[0], stack)), None)
        if alike is None:
            groups.append([stack])
        else:
            alike.append(stack)
    return groups


def _same_echo(one: Stack, other: Stack) -> bool:
    return abs(_echo_time(one) - _echo_time(other)) <= _MAX_ECHO_TIME_APART_MS


def _echo_time(stack: Stack) -> float:
    return min((volume.echo_time for volume in stack.volumes), default=stack.first.echo_time)


def _are_disjoint(stacks: Sequence[Stack]) -> bool:
    """Whether no b-value is in two series; b = 0 may be, next to others."""
    own = [(number, b) for number, stack in enumerate(stacks) for b in stack.bvals]
    clusters = shell_clusters(np.array([b for _, b in own]), None)
    seen: dict[int, int] = {}
    for (number, b), cluster in zip(own, clusters.tolist(), strict=True):
        if b > _B_ZERO and seen.setdefault(cluster, number) != number:
            return False
    # A series of b = 0 alone, next to another b = 0, is a field map or a second phase encoding.
    alone = [stack for stack in stacks if max(stack.bvals) <= _B_ZERO]
    with_zero = [stack for stack in stacks if min(stack.bvals) <= _B_ZERO]
    return not alone or len(with_zero) == 1


def _n_shells(bvals: Iterable[float]) -> int:
    values = np.array(list(bvals))
    return len(np.unique(shell_clusters(values, None))) if len(values) else 0


def _scan(kind: Kind, group: Sequence[Stack], space: Sequence[Stack]) -> DicomScan | None:
    """Return the scan of a group of series; None if it has fewer than two b-values."""
    volumes = [volume for stack in group for volume in stack.volumes]
    incomplete = [one for stack in group for one in stack.incomplete]
    bvals = [b for stack in group for b in stack.bvals]
    if kind is Kind.TRACE and bvals and min(bvals) > _B_ZERO:
        lent = _unweighted(group, space)
        volumes, bvals = [*lent, *volumes], [*(v.b or 0.0 for v in lent), *bvals]
    if _n_shells(bvals) < 2:
        return None
    if len(group) > 1:
        volumes.sort(key=lambda volume: (volume.b or 0.0, volume.order))
    return DicomScan(kind, group[0].grid, group[0].first, tuple(volumes), tuple(incomplete))


def _unweighted(group: Sequence[Stack], space: Sequence[Stack]) -> list[Volume]:
    """Return the images without weighting that belong to means of directions.

    They are those of the directions: of the same series, otherwise of the only one that has any.
    """
    lenders = [
        stack
        for stack in space
        if stack.kind is Kind.DWI
        and _same_echo(stack, group[0])
        and any(volume.is_unweighted for volume in stack.volumes)
    ]
    own = {stack.first.instance.series for stack in group}
    same = [stack for stack in lenders if stack.first.instance.series in own]
    chosen = same or (lenders if len(lenders) == 1 else [])
    return [v for stack in chosen for v in stack.volumes if v.is_unweighted]


def _other(stack: Stack) -> OtherSeries:
    instance = stack.first.instance
    return OtherSeries(
        study=instance.study,
        series=instance.series,
        number=instance.series_number,
        description=text(instance.header, "SeriesDescription")
        or text(instance.header, "ProtocolName"),
        kind=stack.kind,
        bvals=stack.bvals,
        n_images=stack.n_images,
        shape=stack.grid.shape,
        reason=_reason(stack),
        manufacturer=instance.vendor.name,
        sought=instance.vendor.sought,
    )


def _reason(stack: Stack) -> str:
    if stack.kind in _REASONS:
        return _REASONS[stack.kind]
    if not stack.bvals:
        return "no diffusion: no b-value"
    what = "mean of directions, " if stack.kind is Kind.TRACE else ""
    return f"{what}b = {' and '.join(f'{b:g}' for b in stack.bvals)} only"
