"""Every exception and warning class of ivimkit.

All errors a user can cause derive from `InputError`; the command line turns them into
exit code 2. The message says what was found, what was expected and what to do.
"""

from __future__ import annotations

__all__ = [
    "AcquisitionError",
    "AcquisitionWarning",
    "CacheWarning",
    "DeprecatedWarning",
    "DeviceError",
    "FileFormatError",
    "FitFailedError",
    "GeometryWarning",
    "InputError",
    "IvimkitError",
    "IvimkitWarning",
    "NoiseChangedWarning",
    "NoiseError",
    "OptionError",
    "OutputExistsError",
    "PageMissingError",
    "RegionWarning",
    "ScanWarning",
    "ShapeError",
    "SharedPriorWarning",
    "StepWarning",
]


class IvimkitError(Exception):
    """Base class of all errors raised by ivimkit.

    The message is also shown on the command line and in reports, so it contains no Python.

    Parameters
    ----------
    message : str
        What was found, what was expected, what to do.
    python : str
        What to do in Python; a note that tracebacks show below the message.
    """

    def __init__(self, message: str = "", *, python: str = "") -> None:
        super().__init__(message)
        if python:
            self.add_note(python)


class InputError(IvimkitError, ValueError):
    """Something the user gave cannot be used; the message says what to do."""


class AcquisitionError(InputError):
    """The b-values (or directions) are missing, implausible or too few."""


class ShapeError(InputError):
    """Two arrays or files do not match."""


class FileFormatError(InputError):
    """A file is missing, damaged or of the wrong kind."""


class OptionError(InputError):
    """An unknown option, key or name, or a value outside its range."""


class DeviceError(InputError):
    """A requested GPU is not available, or cannot do what was requested."""


class NoiseError(InputError):
    """The noise cannot be estimated from the scan or the fit."""


class OutputExistsError(InputError):
    """Results exist already and overwriting was not requested."""


class PageMissingError(InputError):
    """The page of the viewer was not built when ivimkit was installed."""


class FitFailedError(IvimkitError):
    """More voxels failed than `FitResult.raise_for_status` accepts."""


class IvimkitWarning(UserWarning):
    """Base class of all warnings issued by ivimkit."""


class AcquisitionWarning(IvimkitWarning):
    """The acquisition can be fitted, but not well."""


class CacheWarning(IvimkitWarning):
    """Compiled code cannot be cached on disk."""


class DeprecatedWarning(IvimkitWarning, FutureWarning):
    """What was used will be removed; the message says in which release, and what to use."""


class ScanWarning(AcquisitionWarning):
    """Volumes and b-values of a scan cannot both be right, or much of what is fitted is air."""


class StepWarning(IvimkitWarning):
    """A step before the fit could not be considered."""


class SharedPriorWarning(IvimkitWarning):
    """A scan has no part in the prior of its cohort, and was fitted with one of its own."""


class NoiseChangedWarning(IvimkitWarning):
    """The scan was denoised, and something takes its noise for that of the scanner."""


class GeometryWarning(IvimkitWarning):
    """Two files have different geometry, or a header had to be interpreted."""


class RegionWarning(IvimkitWarning):
    """Regions overlap or differ from their files, for example because one lost all its voxels."""
