"""SourceContext: what the files of a scan say in addition to its signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["SourceContext"]


class SourceContext(Protocol):
    """What the files of a scan say in addition to its signal, for results in the same form.

    A scan carries it to its result. Only what reads and writes such files knows its content, as
    `ivimkit.io.dicom.context.DicomContext` for DICOM.
    """

    def of_volumes(self, volumes: Sequence[int]) -> SourceContext:
        """Return the context of some of the volumes, by their positions."""
        ...
