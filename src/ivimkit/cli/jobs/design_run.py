"""DesignRun: a designed protocol, printed and written; the work behind ``ivimkit design``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from ivimkit import io
from ivimkit.cli.answers.design_answer import design_answer
from ivimkit.cli.options.design_input import DesignInput
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.screen.design_tables import (
    comparison_table,
    design_summary,
    error_table,
    needed_lines,
    simulated_table,
)
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.io.design_files import design_files
from ivimkit.planning import ProtocolDesign, published, published_names
from ivimkit.simulate.protocol import Protocol
from ivimkit.writing import Files, write_files

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.cli.jobs.plot_files import Drawing

__all__ = ["DesignRun"]

_FIGURE = "design.png"
_MAX_SIMULATED = 1_000_000
_FOR_WHOM = {
    "bayes": "of fits by method bayes. For fits without a prior: --criterion relative",
    "crlb": "root mean squares of the best unbiased fits; tissues with little perfusion dominate",
    "relative": "means over tissues, of the best unbiased fits",
}


@dataclass(frozen=True)
class DesignRun:
    """Makes a design, answers questions about it, and writes it.

    Parameters
    ----------
    screen : Screen
        Where to print.
    request : DesignInput
        What is to be designed.
    """

    screen: Screen
    request: DesignInput

    def run(self, out: Path | None, *, overwrite: bool) -> None:
        """Design, compare, check, write, print."""
        request = self.request
        if request.monte_carlo is not None and not 1 <= request.monte_carlo <= _MAX_SIMULATED:
            raise OptionError(
                f"--monte-carlo is {request.monte_carlo}; expected a number of voxels from 1 to "
                f"{_MAX_SIMULATED}"
            )
        if out is not None:
            check_writable(out)
            io.check_design(out, overwrite=overwrite)
        begin_log()
        with self.screen.warnings_shown():
            others = request.protocols()
            plan = request.designed()
            wanted = request.wanted_errors(plan)
            compared = plan.comparison(others) if others else None
            needed = [plan.needed(name, error) for name, error in wanted.items()]
            simulated = self._simulated(plan)
            if out is not None:
                self._write(plan, others, out)
        if self.screen.json:
            self.screen.answer(design_answer(plan, compared, needed, simulated))
            return
        self.screen.show(
            *design_summary(plan, request.tr),
            "",
            Text("Expected errors, over the tissues of the prior", style="bold"),
            error_table(plan),
            Text(_FOR_WHOM[plan.problem.goal.criterion], style="dim"),
            *_compared(plan, compared),
            *(["", *needed_lines(plan, needed)] if needed else []),
            *_checked(plan, simulated, request.monte_carlo),
        )
        if out is not None:
            self.screen.show("", f"written: {out}")

    def _simulated(self, plan: ProtocolDesign) -> pd.DataFrame | None:
        n = self.request.monte_carlo
        if n is None:
            return None
        self.screen.note(f"fitting {n} simulated voxels")
        return plan.monte_carlo(n, self.request.fit_methods(plan), seed=self.request.seed)

    def _write(self, plan: ProtocolDesign, others: dict[str, Protocol], folder: Path) -> None:
        # Imported here: matplotlib takes half a second.
        from ivimkit.figures.design_panels import design_panels

        figure = design_panels(plan, others, tr=self.request.tr)
        picture = Files([_FIGURE], partial(_save, figure))
        write_files(folder, picture, design_files(plan))


def _compared(plan: ProtocolDesign, rows: pd.DataFrame | None) -> Iterator[RenderableType]:
    if rows is None:
        return
    yield ""
    yield Text("Other protocols in the same scan time, against the design", style="bold")
    yield comparison_table(plan, rows)
    for name in rows.index:
        if name in published_names():
            one = published(str(name))
            yield Text(f"{one.name}: {one.title}. {one.reference}", style="dim")


def _checked(
    plan: ProtocolDesign, rows: pd.DataFrame | None, n: int | None
) -> Iterator[RenderableType]:
    if rows is not None:
        yield ""
        yield Text(f"Fits of {n} simulated voxels", style="bold")
        yield simulated_table(plan, rows)


def _save(figure: Drawing, folder: Path) -> None:
    figure.savefig(folder / _FIGURE, dpi="figure", pil_kwargs={})
