"""ScanSteps: the steps before the fit of a scan, for a command."""

from __future__ import annotations

from dataclasses import dataclass

from ivimkit.cli.screen.option_words import for_command_line
from ivimkit.cli.screen.progress import steps_shown
from ivimkit.cli.screen.terminal import Screen, stderr
from ivimkit.preprocessing.preprocess import Preprocessed, preprocess
from ivimkit.preprocessing.step_list import steps_of
from ivimkit.scan.dwi import DWI

__all__ = ["ScanSteps"]


@dataclass(frozen=True)
class ScanSteps:
    """The steps that were asked for.

    Parameters
    ----------
    words : str
        Names with commas, each with options or without, or ``auto``.
    """

    words: str

    def check(self) -> None:
        """Raise for unknown steps, a wrong order or a missing library, before a scan is read."""
        for step in steps_of(self.words) or ():
            step.require_libraries()

    def apply(self, dwi: DWI, name: str, screen: Screen) -> Preprocessed:
        """Apply them to a scan, show the progress, and say what was done.

        Parameters
        ----------
        dwi : DWI
            The scan.
        name : str
            Its name in messages.
        screen : Screen
            Where to say it.

        Returns
        -------
        Preprocessed
        """
        with steps_shown(stderr(), name, quiet=screen.quiet) as progress:
            made = preprocess(dwi, self.words, progress=progress)
        for record in made.records:
            why = made.decisions.get(record.name)
            because = f" (auto: {why.reason})" if why else ""
            screen.show(f"{record.name}: {for_command_line(record.summary)}{because}")
        if made.records:
            screen.show(*made.dwi.history.residuals_told)
        for step, decision in made.decisions.items():
            if not decision.taken:
                screen.note(f"not {step}: {decision.reason}")
        if not made.records:
            unknown = " that could be considered" if made.dwi.history.not_judged else ""
            screen.show(f"nothing was done to the scan: no step{unknown} is needed")
        return made
