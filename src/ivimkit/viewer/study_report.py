"""StudyReports: the report of each result, built on first request."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from ivimkit import report
from ivimkit.viewer.study import Study

__all__ = ["StudyReports"]


@dataclass(frozen=True, eq=False)
class StudyReports:
    """The reports of a study.

    Parameters
    ----------
    study : Study
        The study.
    """

    study: Study
    _pages: dict[int, str] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def page(self, number: int) -> str:
        """Return the report of a result as one HTML file.

        Parameters
        ----------
        number : int
            Index of the result.

        Returns
        -------
        str
        """
        # It takes seconds and a lot of memory: never two of them at a time.
        with self._lock:
            if number not in self._pages:
                result = self.study.results[number]
                self._pages[number] = report.build(result, labels=self.study.labels).html
            return self._pages[number]
