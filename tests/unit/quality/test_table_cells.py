"""Cells of tables of regions: the terminal and the report write the same numbers."""

import re

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.cli.screen.roi_tables import comparison_table, region_table
from ivimkit.quality.table_cells import contrast_cells, region_cells
from ivimkit.report.report_subject import Lesion, Side, Subject
from ivimkit.report.sections.regions_section import regions
from made_results import biexp_maps, made_result

LABELS = np.repeat([1, 2], 30).reshape(6, 10, 1)


@pytest.fixture(scope="module")
def result():
    maps = biexp_maps((6, 10, 1))
    random = np.random.default_rng(0)
    noisy = {name: values * random.normal(1, 0.1, values.shape) for name, values in maps.items()}
    return made_result({**noisy, "cost": np.ones((6, 10, 1))})


@pytest.fixture(scope="module")
def tables(result):
    """The tables of the report."""
    labels = ik.Labels(LABELS, {1: "lesion", 2: "liver"})
    lesion = Lesion("lesion", LABELS == 1, "liver", LABELS == 2)
    found = regions(Subject([Side("", result)], labels, lesion))
    return {block.caption: block for block in found.blocks if hasattr(block, "rows")}


def columns(table):
    """Return the cells of a table of the terminal, by the head of the column."""
    return {str(one.header): [str(cell) for cell in one.cells] for one in table.columns}


def test_a_region(result, tables):
    rows = ik.quality.roi_table(result, LABELS, {1: "lesion", 2: "liver"}).loc["lesion"]
    shown = columns(region_table(rows, result.model))
    for place, name in enumerate(shown["map"]):
        caption = next((one for one in tables if re.match(rf"{name}( \(|$)", one)), None)
        if caption is None:
            continue
        head = tables[caption].head
        (row,) = [row for row in tables[caption].rows if row[0] == "lesion"]
        for key in ("mean", "sd", "median", "25 %", "75 %", "reliable"):
            assert shown[key][place] == row[head.index(key)], (name, key)


def test_a_lesion(result, tables):
    compared = ik.quality.compare_regions(result, LABELS == 1, LABELS == 2)
    shown = columns(comparison_table(compared, result.model))
    table = tables["Lesion against liver, mean ± sd of reliable voxels"]
    for place, row in enumerate(table.rows):
        cells = dict(zip(table.head, row, strict=True))
        assert cells["lesion"].split(" ± ")[0] == shown["lesion"][place]
        assert cells["liver"].split(" ± ")[0] == shown["ref."][place]
        assert cells["change"] == shown["diff."][place]
        assert cells["Hedges' g (95 %)"].replace(" to ", ", ") == shown["g (95 %)"][place]
        assert [cells[key] for key in ("CNR", "AUC", "p")] == [
            shown[key][place] for key in ("CNR", "AUC", "p")
        ]


def test_numbers_of_a_row_have_the_precision_of_its_spread(result):
    row = ik.quality.roi_table(result, LABELS == 1, maps=["D"]).iloc[0]
    cells = region_cells(result.model["D"], row)
    numbers = [cells[key] for key in ("mean", "sd", "median", "q25", "q75", "p5", "p95")]
    assert len({len(number.partition(".")[2]) for number in numbers}) == 1
    compared = ik.quality.compare_regions(result, LABELS == 1, LABELS == 2).loc["D"]
    cells = contrast_cells(result.model["D"], compared)
    assert len({len(cells[key].partition(".")[2]) for key in ("g", "g_lo", "g_hi")}) == 1
