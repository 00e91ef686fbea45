"""Part: the share of the scans that one job of an array of jobs fits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from ivimkit.errors import OptionError

__all__ = ["Part"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Part:
    """Part `number` of `total`.

    Examples
    --------
    >>> from ivimkit.cohort import Part
    >>> Part.of_text("2/3").of(["a", "b", "c", "d", "e"])
    ('b', 'e')
    """

    number: int
    total: int

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Read ``2/200``, the second of 200 parts.

        Raises
        ------
        OptionError
            If it is something else.
        """
        match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise OptionError(
                f"the part is {text!r}; expected K/N with K from 1 to N, like 3/200. In a job "
                "array of SLURM, K is $SLURM_ARRAY_TASK_ID"
            )
        return cls(int(match[1]), int(match[2]))

    def of(self, subjects: Sequence[_T]) -> tuple[_T, ...]:
        """Return every `total`-th scan, so that each is in one part, whatever runs where."""
        return tuple(subjects[self.number - 1 :: self.total])
