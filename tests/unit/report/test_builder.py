"""The report of a result: what is on the page, what each option changes, and whom it names."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import ivimkit as ik
from html_page import Page, untied
from ivimkit.errors import OptionError, ShapeError
from ivimkit.report.section_blocks import Beside, Code, Front, Overall, Table, Text
from ivimkit.status import FitStatus, in_words
from made_results import biexp_maps, made_result
from text_pages import blank_figures

NAME = "Mustermann"
EVIL = "<script>alert(1)</script>"
SECTIONS = [
    *("summary", "checks", "acquisition", "regions", "maps", "histograms", "curves", "status"),
    *("residuals", "methods", "provenance"),
]


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(shape=(32, 24, 2), snr=50)


@pytest.fixture(scope="module")
def scan(made, tmp_path_factory):
    """The phantom as a file with a name in its path and its header."""
    import nibabel

    folder = tmp_path_factory.mktemp(NAME)
    path = folder / f"{NAME}_dwi.nii.gz"
    ik.io.save_scan(made.dwi, path)
    image = nibabel.load(path)
    image.header["descrip"] = NAME
    image.header["db_name"] = NAME
    image.header["aux_file"] = NAME
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), image.affine, image.header), path)
    mask = folder / f"{NAME}_mask.nii.gz"
    ik.io.save_map((made.labels > 0).astype(np.uint8), mask, made.dwi.geometry)
    return ik.load(path, mask=mask)


@pytest.fixture(scope="module")
def result(scan):
    found = ik.fit(scan)
    call = f"ivimkit fit {NAME}_dwi.nii.gz"
    return replace(found, settings=replace(found.settings, call=call))


@pytest.fixture(scope="module")
def few(made):
    """Some of the regions: each has its own fits."""
    names = ("liver", "lesion", "spleen", "muscle")
    kept = {number: name for number, name in made.label_names.items() if name in names}
    return ik.Labels(np.where(np.isin(made.labels, list(kept)), made.labels, 0), kept)


@pytest.fixture(scope="module")
def labels(few):
    return ik.Labels(few.array, {**few.names, 1: EVIL})


@pytest.fixture(scope="module")
def page(result, labels):
    """One whole page; all other tests look at its data."""
    return Page(ik.report.build(result, labels=labels, lesion="lesion").html)


@pytest.fixture
def drawn(monkeypatch):
    """Draw next to nothing, and remember what was asked for."""
    return blank_figures(monkeypatch)


def _built(*results, **options):
    """Build a report with blank figures; return it, and what was to be drawn."""
    with pytest.MonkeyPatch.context() as patch:
        drawn = blank_figures(patch)
        return ik.report.build(*results, **options), drawn


@pytest.fixture(scope="module")
def plain(result):
    """The report without regions, and what it draws."""
    return _built(result)


@pytest.fixture(scope="module")
def of_regions(result, labels):
    """The report with regions, and what it draws."""
    return _built(result, labels=labels)


@pytest.fixture(scope="module")
def of_lesion(result, labels):
    """The report with regions and a lesion, and what it draws."""
    return _built(result, labels=labels, lesion="lesion")


@pytest.fixture(scope="module")
def by_organ(scan):
    """A fit with the prior of an organ."""
    prior = ik.priors.Organ("liver")
    return ik.fit(scan, method=ik.methods.Bayes(prior=prior), sigma=20.0)


@pytest.fixture(scope="module")
def segmented(scan):
    return ik.fit(scan, method="segmented")


def blocks(report, section, kind=object):
    """Return the blocks of one kind of a section, those beside each other too."""
    (found,) = [one for one in report.sections if one.id == section]
    flat = []
    for block in found.blocks:
        inside = (
            [b for _, part in block.columns for b in part]
            if isinstance(block, Beside | Front)
            else []
        )
        flat += [block, *inside]
    return [block for block in flat if isinstance(block, kind)]


def words(report, section):
    """Return all texts of a section."""
    parts = []
    for block in blocks(report, section):
        parts += [getattr(block, name, "") for name in ("text", "caption", "label")]
        for row in getattr(block, "rows", ()):
            parts += row
        parts += getattr(block, "items", ())
        parts += [picture.caption for picture in getattr(block, "pictures", ())]
    return "\n".join(parts)


# ------------------------------------------------------------------------------- the page


def test_sections_and_headings(page):
    assert [one["id"] for one in page.all("h2")] == [f"{name}-title" for name in SECTIONS]
    folded = [name for name in SECTIONS if "details" in page.by_id(name).parents]
    assert folded == SECTIONS[1:]
    contents = [one["href"] for one in page.all("a") if "nav" in one.parents]
    assert contents == [f"#{name}" for name in SECTIONS]
    levels = [int(one.tag[1]) for one in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"


def test_mean_signals_are_fitted_once(drawn, result, labels, monkeypatch):
    fits = []

    def recorded(*arguments):
        fits.append(ik.quality.region_fit.roi_fit(*arguments))
        return fits[-1]

    monkeypatch.setattr(ik.quality, "roi_fit", recorded)
    monkeypatch.setattr(ik.quality.region_tables, "roi_fit", recorded)
    table = blocks(ik.report.build(result, labels=labels), "regions", Table)[1]
    assert len(fits) == 1
    assert "fit of the mean" in table.head


def test_every_picture_says_what_it_shows(page):
    images = page.all("img")
    assert len(images) > 10
    assert all(len(one["alt"]) > 20 for one in images)
    assert all("button" in one.parents for one in images)
    assert len({one["alt"] for one in images}) == len(images)


def test_ids_are_unique(page):
    ids = [one["id"] for one in page.elements if "id" in one.attributes]
    assert len(set(ids)) == len(ids)


def test_nothing_is_loaded_from_anywhere(page):
    assert all(one["src"].startswith("data:") for one in page.elements if "src" in one.attributes)
    assert not page.all("link", "iframe", "object", "embed", "base", "form")
    assert "@import" not in page.html
    assert "url(" not in page.all("style")[0].text
    links = [one["href"] for one in page.all("a")]
    assert all(link.startswith(("#", "https://doi.org/10.")) for link in links)


def test_a_label_is_text_and_nothing_else(page):
    assert len(page.all("script")) == 1
    assert EVIL not in page.html
    assert page.text.count(EVIL) > 3
    assert any(EVIL in one["alt"] for one in page.all("img"))


def test_nobody_is_named(page, result):
    assert NAME in result.provenance.sources[0]["path"]
    assert NAME.encode() in result.geometry.header
    assert NAME.lower() not in page.html.lower()
    assert result.provenance.sources[0]["sha256"] in page.text


def test_names_are_shown_if_asked_for(drawn, plain, result):
    report = ik.report.build(result, anonymous=False)
    text = words(report, "provenance")
    assert result.provenance.sources[0]["path"] in text
    assert f'"call": "ivimkit fit {NAME}_dwi.nii.gz"' in text
    hidden = words(plain[0], "provenance")
    assert NAME not in hidden
    assert '"role": "scan"' in hidden


# --------------------------------------------------------------------------- what it says


def test_the_sentence_of_the_lesion_comes_first(page, result, labels):
    table = ik.quality.compare_regions(
        result,
        labels["lesion"],
        ik.quality.ring(labels["lesion"], result.geometry.voxel_size, within=result.mask),
    )
    text = ik.quality.sentence(table, reference="the tissue around it", words=True, limits=True)
    lead = next(one for one in page.all("p") if one.attributes.get("class") == "lead")
    assert untied(lead.text) == f"Lesion: {text}."


def test_tables_have_the_numbers(of_lesion, result, labels):
    report, _ = of_lesion
    table = ik.quality.roi_table(result, labels)
    shown = {block.caption: block for block in blocks(report, "regions", Table)}
    rows = {row[0]: row for row in shown["D (10⁻³ mm²/s)"].rows}
    for region in labels:
        want = table.loc[(region, "D")]
        assert float(rows[region][2]) == pytest.approx(1e3 * want["mean"], rel=6e-3)
        fit = rows[region][-2].split(" ± ")[0]
        assert float(fit) == pytest.approx(1e3 * want["roi_fit"], rel=6e-3)
    medians = {row[0]: row for row in blocks(report, "maps", Table)[0].rows}
    assert float(medians["D"][2]) == pytest.approx(1e3 * np.nanmedian(result.maps["D"]), rel=6e-3)
    counts = {row[0]: row for row in blocks(report, "status", Table)[0].rows}
    for name, n in result.counts().items():
        assert counts[in_words(name, result.model)][1].replace("\u202f", "") == str(n)
    b_values = blocks(report, "acquisition", Table)[0].rows
    assert [float(row[0]) for row in b_values] == result.acquisition.shell_bvals.tolist()


def test_methods_and_references(of_lesion, result):
    report, _ = of_lesion
    paragraph, library = blocks(report, "methods", Code)
    (listed,) = [block.items for block in blocks(report, "methods") if hasattr(block, "numbered")]
    groups = re.findall(r" \[(\d+(?:, \d+)*)\]", paragraph.text)
    cited = {int(n) for group in groups for n in group.split(", ")}
    assert cited == set(range(1, len(listed) + 1))
    assert library.text.count("@") == len(listed) + 1
    for reference in (*result.model.references, *result.method.references):
        assert reference in listed
    for part in ("13 b-values", "D* from 2 to 200 × 10⁻³ mm²/s", "ivimkit 0", "Hedges' g"):
        assert part in paragraph.text.replace("\u00a0", " ")


def test_lights_of_the_quality_module(plain, of_regions, result, labels):
    for (report, _), regions, counted in (
        (plain, None, "in the whole mask."),
        (of_regions, labels, "spleen and muscle, each"),
    ):
        lamps, about = blocks(report, "checks")
        assert counted in about.text
        assert lamps.lights == ik.quality.lights(result, labels=regions)
        (overall,) = blocks(report, "summary", Overall)
        assert overall.lights == lamps.lights
        assert overall.light == ik.quality.overall(lamps.lights)


# ------------------------------------------------------------------------------ the options


def test_without_regions_there_is_no_such_section(plain):
    report, drawn = plain
    assert [one.id for one in report.sections] == [one for one in SECTIONS if one != "regions"]
    assert "region_curves" not in drawn


def test_reliable_voxels_only(drawn, of_lesion, result, labels):
    wanted, means = {None: "reliable", True: "reliable", False: "all"}, {}
    for choice, which in wanted.items():
        page = of_lesion[0]
        if choice is not None:
            page = ik.report.build(result, labels=labels, lesion="lesion", reliable_only=choice)
        tables = {block.caption: block for block in blocks(page, "regions", Table)}
        assert any(f"mean ± sd of {which} voxels" in caption for caption in tables)
        shown = {row[0]: row for row in tables["D* (10⁻³ mm²/s)"].rows}["muscle"]
        reliable = np.isfinite(result.reliable("D_star")[labels["muscle"]]).sum()
        assert shown[1] == str(reliable)
        means[choice] = shown[2]
    assert means[None] == means[False] != means[True]


def test_labels_as_an_array(drawn, result, few):
    report = ik.report.build(result, labels=few.array)
    assert blocks(report, "regions", Table)[0].rows[0][0] == "1"
    assert len(drawn["region_curves"][0][0][0]) == len(few)


def test_reference_by_name_and_as_a_mask(drawn, result, labels):
    by_name = ik.report.build(result, labels=labels, lesion="lesion", reference="spleen")
    assert "compared with spleen" in words(by_name, "summary")
    masks = {"lesion": labels["lesion"], "reference": labels["spleen"]}
    by_mask = ik.report.build(result, **masks)
    sentences = [blocks(one, "summary", Text)[0].text for one in (by_mask, by_name)]
    assert sentences[0].replace("with reference", "with spleen") == sentences[1]
    (_, options), *_ = drawn["lesion_panels"]
    assert np.array_equal(options["reference"], labels["spleen"])


@pytest.mark.parametrize(
    ("options", "width", "gap", "tissue"),
    [
        ({}, 10.0, 5.0, "tissue"),
        ({"ring": 30.0}, 30.0, 5.0, "tissue"),
        ({"ring": 20.0, "reference": "liver", "gap": 0.0}, 20.0, 0.0, "liver"),
    ],
)
def test_the_ring(of_lesion, result, few, options, width, gap, tissue):
    labels = few
    report, drawn = of_lesion
    if options:
        report, drawn = _built(result, labels=labels, lesion="lesion", **options)
    inside = result.mask if tissue == "tissue" else result.mask & labels[tissue]
    size = result.geometry.voxel_size
    ring = ik.quality.ring(labels["lesion"], size, gap=gap, width=width, within=inside)
    ((_, drawn_with),) = drawn["lesion_panels"]
    assert np.array_equal(drawn_with["reference"], ring)
    assert f"the {tissue} around it" in words(report, "summary")


def test_title(drawn, plain, result):
    assert plain[0].title == "Report: bi-exponential IVIM"
    assert ik.report.build(result, title="Mine").title == "Mine"


def test_ranges_of_the_organ_of_the_fit(drawn, plain, result):
    of_liver = replace(result, settings=replace(result.settings, organ="liver"))
    ik.report.build(of_liver)
    first, last = drawn["mosaic"][0], plain[1]["mosaic"][-1]
    assert first[1]["limits"] == ik.organs.get("liver").display
    assert last[1]["limits"] is None


def test_without_its_scan_a_result_has_maps_only(drawn, result, labels):
    report = ik.report.build(replace(result, dwi=None), labels=labels)
    missing = {"curves", "residuals"}
    assert [one.id for one in report.sections] == [s for s in SECTIONS if s not in missing]
    assert "image_mosaic" not in drawn
    lamps, _ = blocks(report, "checks")
    assert "not known" in [light.word for light in lamps.lights]
    assert "mean signal" not in words(report, "acquisition")


@pytest.mark.parametrize("shape", [(40,), (3, 3, 2, 2)])
def test_what_is_no_image_has_no_mosaics(drawn, shape):
    maps = {**biexp_maps(shape), "cost": np.ones(shape)}
    report = ik.report.build(made_result(maps))
    assert not {"mosaic", "status_panels"} & set(drawn)
    assert "no mosaic" in words(report, "maps")


def test_a_fit_without_a_voxel_has_a_report():
    status = np.full((6, 5, 1), int(FitStatus.NO_SIGNAL))
    maps = {name: np.full((6, 5, 1), np.nan) for name in (*biexp_maps((1,)), "cost")}
    html = ik.report.build(made_result(maps, status=status)).html
    assert "have no value" in Page(html).text


def test_priors_are_drawn_and_regions_of_several_have_no_fit_of_their_mean(
    drawn, by_organ, labels
):
    both = {"8": by_organ.learned["all"], "9": by_organ.learned["all"]}
    report = ik.report.build(replace(by_organ, learned=both), labels=labels)
    assert "region_curves" not in drawn
    heads = [block.head for block in blocks(report, "regions", Table)]
    assert not any("fit of the mean" in head for head in heads)
    # With one prior for all it has, beside the prior.
    report = ik.report.build(by_organ, labels=labels)
    assert len(drawn["region_curves"]) == 1
    assert len(drawn["prior_panels"]) == 2 + 1
    assert "Prior: organ." in words(report, "maps")
    assert "literature values of an organ" in words(report, "methods")


# ----------------------------------------------------------------------------- two results


def test_two_results_side_by_side(drawn, result, segmented, labels):
    other = segmented
    report = ik.report.build(result, other, labels=labels, lesion="lesion")
    found = Page(report.html)
    wanted = [SECTIONS[0], "differences", *SECTIONS[1:]]
    assert [one["id"] for one in found.all("h2")] == [f"{name}-title" for name in wanted]
    assert [one.name for one in blocks(report, "summary", Overall)] == ["varpro", "segmented"]
    names = [one.text for one in found.all("h3")]
    assert names.count("varpro") == names.count("segmented") > 5
    table = blocks(report, "differences", Table)[0]
    rows = {row[0]: row for row in table.rows}
    want = ik.quality.difference(result, other).rows["D"]
    assert float(rows["D"][4].replace("−", "-")) == pytest.approx(
        1e3 * want["difference"], rel=6e-3
    )
    tables = {one.caption: one for one in blocks(report, "regions", Table)}
    shown = [row[:2] for row in tables["f"].rows][:2]
    assert shown == [(EVIL, "varpro"), (EVIL, "segmented")]
    ids = [one["id"] for one in found.elements if "id" in one.attributes]
    assert len(set(ids)) == len(ids)
    assert "limits of agreement" in words(report, "methods")


def test_what_two_results_are_called(drawn, result, scan):
    def called(*results, **options):
        report = ik.report.build(*results, **options)
        return [one.name for one in blocks(report, "summary", Overall)]

    assert called(result, ik.fit(scan, model="sivim")) == ["biexp", "sivim"]
    assert called(result, result, names=["before", "after"]) == ["before", "after"]


def test_the_acquisition_is_shown_twice_if_it_differs(drawn, result, scan):
    same = ik.report.build(result, ik.fit(scan))
    assert [one.name for one in blocks(same, "summary", Overall)] == ["A", "B"]
    assert not blocks(same, "acquisition", Beside)
    other = ik.report.build(result, ik.fit(scan.select(bmax=500)))
    assert len(blocks(other, "acquisition", Beside)) == 1


# -------------------------------------------------------------------------------- refusals


def test_refusals(result, labels, made):
    build = ik.report.build
    with pytest.raises(OptionError, match="there is no region 'tumour'; expected one of"):
        build(result, labels=labels, lesion="tumour")
    with pytest.raises(OptionError, match="the lesion is 'lesion' and there are no labels"):
        build(result, lesion="lesion")
    with pytest.raises(OptionError, match="a reference is given without a lesion"):
        build(result, labels=labels, reference="spleen")
    with pytest.raises(OptionError, match="a ring is given without a lesion"):
        build(result, labels=labels, ring=10)
    with pytest.raises(ShapeError, match="the ring of 1 mm, 1 mm from lesion, has no voxel in"):
        build(result, labels=labels, lesion="lesion", reference="spleen", ring=1, gap=1)
    with pytest.raises(OptionError, match="expected mm, gap >= 0 and width > 0"):
        build(result, labels=labels, lesion="lesion", ring=-1)
    with pytest.raises(ShapeError, match="the lesion is empty"):
        build(result, lesion=np.zeros(result.shape))
    with pytest.raises(ShapeError, match=r"expected \(32, 24, 2\), that of the maps"):
        build(result, labels=made.labels[:-1])
    with pytest.raises(OptionError, match="expected 1, all different"):
        build(result, names=["a", "b"])
    with pytest.raises(OptionError, match="expected 2, all different"):
        build(result, result, names=["a", "a"])
    small = ik.fit(ik.simulate.phantom(shape=(24, 18, 2)).dwi)
    with pytest.raises(ShapeError, match="expected one grid"):
        build(result, small)
