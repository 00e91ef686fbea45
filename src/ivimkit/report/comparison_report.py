"""compare_report(): a report on which model each region supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ivimkit.figures.comparison_panels import comparison_panels
from ivimkit.figures.picture import Picture
from ivimkit.fitting.comparison import Comparison
from ivimkit.quality.region_models import MIN_DIFFERENCE, in_tenths, model_table, verdicts
from ivimkit.report.html_document import Report
from ivimkit.report.methods_text import Citations
from ivimkit.report.section_blocks import Block, Code, Items, Pictures, Section, Table, Title
from ivimkit.rounding import percent, rounded, thousands
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_report"]

_CRITERIA = {
    "aicc": "the corrected Akaike information criterion (AICc)",
    "bic": "the Bayesian information criterion (BIC)",
    "f_test": "F-tests of nested models at the level {alpha:g}",
    "evidence": "the evidence (marginal likelihood)",
}
_WEIGHT = 0.01


def compare_report(
    comparison: Comparison,
    table: pd.DataFrame | None = None,
    *,
    labels: Labels | ArrayLike | None = None,
    title: str = "Which model?",
) -> Report:
    """Build a report on a comparison of models.

    Parameters
    ----------
    comparison : Comparison
        The result of `ivimkit.compare`.
    table : pandas.DataFrame, optional
        What `ivimkit.quality.model_table` returned, if it is already computed.
    labels : Labels or array_like of int, shape of the maps, optional
        Regions, if there is no table; by default the mask.
    title : str
        Title of the page.

    Returns
    -------
    Report
        With ``html`` and ``write``.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(24, 18, 1))
    >>> report = ik.report.compare_report(ik.compare(made.dwi))
    >>> [section.id for section in report.sections]
    ['models', 'methods']
    """
    found = model_table(comparison, labels) if table is None else table
    sections = (_models(comparison, found), _methods(comparison))
    return Report(title, ", ".join(comparison.names), sections)


def _models(comparison: Comparison, table: pd.DataFrame) -> Section:
    blocks: list[Block] = [Items(verdicts(table)), _table(comparison, table)]
    if comparison.left_out:
        reasons = [f"{name}: {reason}." for name, reason in comparison.left_out.items()]
        blocks += [Title("Left out"), Items(reasons)]
    if comparison.chosen.ndim in (2, 3) and (comparison.chosen >= 0).any():
        caption = "The model of each voxel, and the weight of each model."
        blocks.append(Pictures([Picture(comparison_panels(comparison), caption)]))
    return Section("Which model?", "models", blocks)


def _table(comparison: Comparison, table: pd.DataFrame) -> Table:
    rows = []
    for region, row in table.iterrows():
        for name in comparison.names:
            known, judged = row["n"] > 0, bool(row["mean_chosen"])
            rows.append(
                (
                    str(region),
                    name,
                    thousands(row["n"]),
                    percent(row[f"share_{name}"]) if known else "–",
                    rounded(row[f"weight_{name}"], _WEIGHT) if known else "–",
                    rounded(row[f"mean_weight_{name}"], _WEIGHT) if judged else "–",
                    in_tenths(row[f"mean_difference_{name}"]) if judged else "–",
                )
            )
    head = (
        *("region", "model", "voxels", "share of the voxels", "mean weight"),
        *("weight in the mean signal", "AICc above the lowest"),
    )
    return Table(
        head, rows, "Voxels that support each model, and the fit of mean signals", words=2
    )


def _methods(comparison: Comparison) -> Section:
    citations = Citations()
    results = list(comparison.results.values())
    method = results[0].method
    fitted = f"{method.title}{citations.cite(method.references)}"
    listed = "; ".join(
        f"{result.model.title}{citations.cite(result.model.references)}" for result in results
    )
    criterion = _CRITERIA[comparison.criterion].format(alpha=comparison.alpha)
    n = int(np.count_nonzero(results[0].provenance.counts))
    text = (
        f"The following models were fitted to the same {n} values of every voxel by "
        f"{fitted}: {listed}. They were compared by "
        f"{criterion}{citations.cite(comparison.references)}. In each region the mean signal of "
        "the voxels was fitted as well, and its models were compared by AICc; a "
        f"difference below {MIN_DIFFERENCE:g} was taken as no decision."
    )
    blocks = [
        Code(text, "Methods paragraph", prose=True),
        Title("References"),
        Items(citations.listed, numbered=True),
    ]
    return Section("Methods for a paper", "methods", blocks)
