"""ScanFinding: one thing about a scan that cannot be right, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ScanFinding", "named"]

_MAX_VOLUMES = 12


@dataclass(frozen=True)
class ScanFinding:
    """One thing about a scan that cannot be right.

    Parameters
    ----------
    kind : str
        ``"empty"``, ``"constant"``, ``"negative"``, ``"not finite"``, ``"copy"``,
        ``"not diffusion"``, ``"order"``, ``"spread"``, ``"names"`` or ``"air"``.
    volumes : tuple of int
        The volumes it is about, counted from 0 in the file; empty for the whole scan.
    text : str
        What was found.
    advice : str
        What to do about it.
    """

    kind: str
    volumes: tuple[int, ...]
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}. {self.advice}"

    @property
    def is_fault(self) -> bool:
        """Whether data or b-values must be wrong; air in the image is not a fault."""
        return self.kind != "air"

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing is left to be fitted."""
        return not self.volumes and self.kind in ("empty", "constant", "negative", "not finite")


def named(volumes: Sequence[int], bvals: Sequence[float] | None = None) -> str:
    """List volumes by number, with their b-values if given.

    Examples
    --------
    >>> named([3, 4], [40, 60])
    'volumes 3 (b = 40) and 4 (b = 60)'
    """
    if bvals is None:
        words = [str(volume) for volume in volumes]
    else:
        words = [f"{v} (b = {b:g})" for v, b in zip(volumes, bvals, strict=True)]
    if len(words) > _MAX_VOLUMES:
        words = [*words[: _MAX_VOLUMES - 1], f"{len(words) - _MAX_VOLUMES + 1} more"]
    if len(words) == 1:
        return f"volume {words[0]}"
    return f"volumes {', '.join(words[:-1])} and {words[-1]}"
