"""ArtefactInput: the artefacts that the options of a simulated scan say."""

from __future__ import annotations

from dataclasses import dataclass

from ivimkit.cli.options.artefact_options import ArtefactOptions
from ivimkit.cli.options.assignments import number, pair
from ivimkit.errors import OptionError
from ivimkit.simulate import (
    DRIFT_KINDS,
    MOTION_KINDS,
    Artefacts,
    Drift,
    Dropouts,
    Motion,
    Ringing,
)

__all__ = ["ArtefactInput"]


@dataclass(frozen=True)
class ArtefactInput(ArtefactOptions):
    """What goes wrong in a scan to simulate: its options, read."""

    def artefacts(self) -> Artefacts | None:
        """Return the artefacts; None if no option was given.

        Raises
        ------
        OptionError
            If an option cannot be used.
        """
        found = Artefacts(self._motion(), self._drift(), self._dropouts(), self._ringing())
        return None if found == Artefacts() else found

    def _motion(self) -> Motion | None:
        if self.motion is None:
            return None
        kind, colon, mm = self.motion.partition(":")
        value = _number(mm)
        if not colon or value is None:
            raise OptionError(
                f"--motion is {self.motion!r}; expected one of {', '.join(MOTION_KINDS)}, and a "
                "displacement in mm, like rigid:5"
            )
        return Motion(kind.strip(), value)

    def _drift(self) -> Drift | None:
        if self.drift is None:
            return None
        kind, colon, percent = self.drift.rpartition(":")
        value = _number(percent)
        if value is None:
            raise OptionError(
                f"--drift is {self.drift!r}; expected a percentage, like 5, or with one of "
                f"{', '.join(DRIFT_KINDS)} before it, like quadratic:5"
            )
        return Drift(value, kind.strip()) if colon else Drift(value)

    def _dropouts(self) -> Dropouts | None:
        if self.dropouts is None:
            _only_with("--dropout-loss", self.dropout_loss, "--dropouts")
            return None
        if self.dropout_loss is None:
            return Dropouts(self.dropouts)
        try:
            lost = pair(self.dropout_loss)
        except ValueError:
            raise OptionError(
                f"--dropout-loss is {self.dropout_loss!r}; expected two shares, like 0.2:0.6"
            ) from None
        return Dropouts(self.dropouts, lost)

    def _ringing(self) -> Ringing | None:
        if self.ringing is None:
            _only_with("--partial-fourier", self.partial_fourier, "--ringing")
            return None
        return Ringing(self.ringing, 1.0 if self.partial_fourier is None else self.partial_fourier)


def _number(text: str) -> float | None:
    try:
        return number(text)
    except ValueError:
        return None


def _only_with(option: str, given: object, needed: str) -> None:
    if given is not None:
        raise OptionError(
            f"{option} was given without {needed}; expected both. Add {needed}, or leave it out"
        )
