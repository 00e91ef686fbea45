"""DicomChoice: which series and images of a folder are the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ivimkit.errors import OptionError

__all__ = ["IMAGES", "DicomChoice", "SeriesChoice"]

IMAGES = ("auto", "directions", "trace")
"""Which images of a scan that has both: single directions where there are any, or their means."""

SeriesChoice = int | str | Sequence[int | str]


@dataclass(frozen=True)
class DicomChoice:
    """What a user chooses of DICOM files.

    Parameters
    ----------
    series : int, str or sequence of these, optional
        Numbers or UIDs of the series to use.
    images : {"auto", "directions", "trace"}
        Which images, where there are both.
    drop_incomplete : bool
        Whether to leave out volumes with missing or doubled slices.

    Raises
    ------
    OptionError
        If `images` is unknown.
    """

    series: SeriesChoice | None = None
    images: str = "auto"
    drop_incomplete: bool = False

    def __post_init__(self) -> None:
        if self.images not in IMAGES:
            raise OptionError(f"images is {self.images!r}; expected one of {', '.join(IMAGES)}")

    @property
    def series_names(self) -> tuple[str, ...]:
        """The series as texts; none if they are not chosen."""
        if self.series is None:
            return ()
        one = isinstance(self.series, int | str)
        return tuple(map(str, [self.series] if one else self.series))  # type: ignore[arg-type]

    def refuse(self, scan: object) -> None:
        """Raise OptionError if something was chosen of a scan that is not DICOM."""
        if self != DicomChoice():
            raise OptionError(
                f"{scan} is not DICOM, and a choice of its series or images is given (--series, "
                "--images, --drop-incomplete); expected a folder, a ZIP archive or files of "
                "DICOM. Leave these out"
            )
