"""ErrorQuestion: what a scan can tell of each parameter, for ``ivimkit check``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from ivimkit.cli.screen.check_tables import parameter_error_table
from ivimkit.errors import InputError, OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.noise import ShellSignal
from ivimkit.planning import MAX_RELATIVE_ERROR, ProtocolErrors, protocol_errors
from ivimkit.rounding import rounded, thousands
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI

__all__ = ["ErrorQuestion", "ErrorsFound", "snr_of_scan"]

_MIN_SIMULATED = 10
_MAX_SIMULATED = 1_000_000


@dataclass(frozen=True)
class ErrorQuestion:
    """At which signal-to-noise ratio, and how, the errors of a scan are found.

    Parameters
    ----------
    snr : float, optional
        The signal-to-noise ratio; by default that of the scan.
    monte_carlo : int, optional
        Number of simulated fits.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    snr: float | None = None
    monte_carlo: int | None = None

    def __post_init__(self) -> None:
        if self.snr is not None and not (math.isfinite(self.snr) and self.snr > 0.0):
            raise OptionError(f"--snr is {self.snr!r}; expected a number > 0, like 40")
        n = self.monte_carlo
        if n is not None and not _MIN_SIMULATED <= n <= _MAX_SIMULATED:
            raise OptionError(
                f"--monte-carlo is {n}; expected a number of simulated fits from {_MIN_SIMULATED} "
                f"to {_MAX_SIMULATED}"
            )

    def found(
        self,
        acquisition: Acquisition,
        model: SignalModel,
        method: FitMethod,
        *,
        organ: str | None,
        measured_snr: float,
    ) -> ErrorsFound:
        """Return the errors of the parameters, or why they are not known.

        Parameters
        ----------
        acquisition : Acquisition
            The volumes of the scan.
        model : SignalModel
            The model.
        method : FitMethod
            The method of simulated fits.
        organ : str, optional
            Whose mean values the tissue has.
        measured_snr : float
            The signal-to-noise ratio of the scan; NaN if it is not known.
        """
        snr = measured_snr if self.snr is None else self.snr
        if not (math.isfinite(snr) and snr > 0.0):
            why = (
                "The SNR is not known from this scan. Give it (--snr N) to see the error of each "
                "parameter."
            )
            return ErrorsFound(why=why)
        try:
            errors = protocol_errors(
                acquisition,
                model,
                snr=snr,
                organ=organ,
                monte_carlo=self.monte_carlo or 0,
                method=method,
            )
        except InputError as error:
            return ErrorsFound(why=str(error))
        tissue = "typical values of the model" if organ is None else f"mean values of {organ}"
        simulated = (
            f", and {thousands(self.monte_carlo)} simulated fits by {method.name}"
            if self.monte_carlo
            else " (--monte-carlo 1000 adds simulated fits)"
        )
        return ErrorsFound(errors, snr, f"For {tissue}: Cramér-Rao bound{simulated}.")


@dataclass(frozen=True)
class ErrorsFound:
    """The errors of the parameters of a scan.

    Parameters
    ----------
    errors : ProtocolErrors, optional
        The errors, if they are known.
    snr : float
        The signal-to-noise ratio that they are for.
    about : str
        Whose they are, and how they were found.
    why : str
        Why they are not known.
    """

    errors: ProtocolErrors | None = None
    snr: float = math.nan
    about: str = ""
    why: str = ""

    def shown(self) -> Iterator[RenderableType]:
        """Yield a table of the errors, and a sentence for each parameter."""
        head = "What the scan can tell of each parameter"
        if self.errors is None:
            yield Text(head, style="bold")
            yield self.why
            return
        yield Text(f"{head} at SNR {rounded(self.snr)}", style="bold")
        yield parameter_error_table(self.errors)
        yield Text(
            f"{self.about} Estimated: an error up to {thousands(100 * MAX_RELATIVE_ERROR)} % of "
            "the value.",
            style="dim",
        )
        for one in self.errors.parameters:
            yield Text(f"{one.verdict}.", style="green" if one.per_voxel else "yellow")


def snr_of_scan(dwi: DWI, signals: Sequence[ShellSignal], sigma: float) -> float:
    """Return the mean signal at the lowest b-value by the noise of a volume; NaN if not known.

    The noise of a volume that is a mean of several images is lower than that of one image.
    """
    lowest = min(signals, key=lambda signal: signal.shell.b)
    images = 1.0 if dwi.averages is None else float(dwi.averages.mean())
    return lowest.mean / sigma * math.sqrt(images) if sigma > 0.0 else math.nan
