"""Blocks become HTML: each kind, escaped, with ids that are unique."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from matplotlib.figure import Figure

from html_page import Page
from ivimkit.errors import OptionError
from ivimkit.quality import Light
from ivimkit.report import Picture
from ivimkit.report.assembler import assemble
from ivimkit.report.section_blocks import (
    Beside,
    Block,
    Code,
    Facts,
    Front,
    Items,
    Lamps,
    LampsOfTwo,
    Links,
    Overall,
    Pictures,
    Section,
    Table,
    Text,
    Title,
)

EVIL = '<script>alert("1")</script>'


def page(*blocks, title="T"):
    return Page(assemble([Section("One", "one", blocks)], title=title, subtitle="S"))


def figure():
    drawn = Figure(figsize=(2, 1))
    drawn.add_subplot().plot([1, 2])
    return drawn


def every_block(text):
    """Return one block of each kind with the text wherever there can be one."""
    return [
        Text(text),
        Title(text),
        Lamps([Light(text, "red", text, text)]),
        LampsOfTwo((text, text), [(Light(text, "red", text, text), None)]),
        Overall(Light(text, "red", text), [Light(text, "red", text)], text),
        Facts([(text, text)]),
        Front([("", [Text(text)]), ("", [Code(text, text)])]),
        Table([text, text], [[text, text]], text),
        Pictures([Picture(figure(), text, text)]),
        Code(text, text),
        Items([text], numbered=True),
        Links([(text, text, text)]),
        Beside([(text, [Text(text), Code(text, text)]), (text, [])]),
    ]


def test_nothing_gets_out_of_its_place():
    found = page(*every_block(EVIL), title=EVIL)
    assert len(found.all("script")) == 1
    assert "alert" not in found.all("script")[0].text
    assert found.text.count(EVIL) >= 15
    assert found.all("img")[0]["alt"] == EVIL


def test_every_kind_of_block_has_its_macro():
    kinds = {type(block) for block in every_block("x")}
    assert kinds == set(Block.__subclasses__())


def test_a_block_without_a_macro_is_an_error():
    class Strange:
        kind = "strange"

    with pytest.raises(AttributeError, match="strange"):
        page(Strange())


def test_ids_are_unique_and_links_lead_somewhere():
    blocks = every_block("x")
    sections = [Section("One", "one", blocks), Section("Two", "two", blocks, folded=True)]
    found = Page(assemble(sections, title="T", subtitle=""))
    ids = [one["id"] for one in found.elements if "id" in one.attributes]
    assert len(set(ids)) == len(ids)
    targets = [one["href"] for one in found.all("a") if one["href"].startswith("#")]
    assert {"#one", "#two"} < set(targets)
    # That of the overall light; each report has such a section.
    targets.remove("#checks")
    targets.remove("#checks")
    for name in ("aria-labelledby", "data-copies"):
        targets += [f"#{one[name]}" for one in found.elements if name in one.attributes]
    assert {target[1:] for target in targets} <= set(ids)


def test_two_sections_of_one_id_are_refused():
    with pytest.raises(OptionError, match="two sections have the id 'one'"):
        assemble([Section("A", "one", []), Section("B", "one", [])], title="", subtitle="")


def test_the_policy_knows_style_and_script_and_allows_nothing_else():
    html = assemble([], title="T", subtitle="")
    found = Page(html)
    (policy,) = [one["content"] for one in found.all("meta") if "http-equiv" in one.attributes]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [one for one in found.elements if "style" in one.attributes]
    assert not [
        one for one in found.elements if any(key.startswith("on") for key in one.attributes)
    ]


def test_table():
    table = Table(("a", "b", "c"), [("r", "1.0", "why")], "Caption", words=1, tail=1)
    found = page(table)
    assert found.all("caption")[0].text == "Caption"
    assert [one["scope"] for one in found.all("th")] == ["col", "col", "col", "row"]
    assert [one.text for one in found.all("td")] == ["1.0", "why"]
    numbers = [one.text for one in found.elements if one.attributes.get("class") == "number"]
    assert numbers == ["b", "1.0"]


def test_lights_have_a_word_beside_the_colour():
    found = page(Lamps([Light("noise", "yellow", "because", "")]))
    (lamp,) = [one for one in found.all("span") if "lamp" in one.attributes.get("class", "")]
    assert (lamp["class"], lamp.text) == ("lamp yellow", "caution")
    assert found.all("td")[-1].text == "–"


def test_references_link_to_their_doi():
    found = page(Items(["A. J 1. doi:10.1002/(SICI)1522<414::AID>3.0", "none"], numbered=True))
    (link,) = [one for one in found.all("a") if one["href"].startswith("https")]
    assert link["href"] == "https://doi.org/10.1002/%28SICI%291522%3C414%3A%3AAID%3E3.0"
    assert [one.text.strip() for one in found.all("li")[1:]] == [
        "A. J 1. doi:10.1002/(SICI)1522<414::AID>3.0",
        "none",
    ]
    assert found.all("ol")
    assert not page(Items(["x"])).all("ol")


def test_two_lights_say_once_what_is_the_same():
    same = Light("noise", "red", "because.", "Do.")
    pairs = [(same, same), (same, Light("noise", "green", "why not."))]
    found = page(LampsOfTwo(("a", "b"), pairs))
    lamps = [one.text for one in found.all("span") if "lamp" in one.attributes.get("class", "")]
    assert lamps == ["poor", "poor", "poor", "good"]
    texts = [one.text.strip() for one in found.all("p") if "td" in one.parents]
    assert texts == ["because. Do.", "a: because. Do.", "b: why not."]


def test_the_overall_light_names_the_checks_by_their_words():
    lights = [Light("b", "yellow", ""), Light("a", "red", ""), Light("c", "yellow", "")]
    found = page(Overall(Light("overall", "red", "why.", ""), lights))
    listed = [" ".join(one.text.split()) for one in found.all("li") if "ul" in one.parents][-2:]
    assert listed == ["poor a", "caution b, c"]


def test_folded_parts_need_no_script():
    sections = [
        Section("First", "first", [Text("seen")]),
        Section("Second", "second", [Text("folded")], folded=True),
    ]
    found = Page(assemble(sections, title="T", subtitle=""))
    (part,) = found.all("details")
    assert "open" not in part.attributes
    # A link to what is inside opens it.
    assert "details" in found.by_id("second").parents
    assert "details" not in found.by_id("first").parents
    assert [one.text for one in found.all("h2")] == ["First", "Second"]


def test_numbers_and_units_stay_on_a_line_and_code_is_as_it_was():
    html = page(Text("26 % of b = 800 s/mm²"), Code("x = 2 % 3", "Run"), title="T 5 mm").html
    assert '<p class="plain">26\u00a0% of b\u00a0=\u00a0800\u00a0s/mm²</p>' in html
    assert "x = 2 % 3" in html


def test_code_is_folded_if_it_is_to_be():
    assert "open" in page(Code("a", "b")).all("details")[0].attributes
    assert "open" not in page(Code("a", "b", folded=True)).all("details")[0].attributes
    assert page(Code("a  b\nc", "d", prose=True)).all("pre")[0].text == "a  b\nc"


def test_pictures_have_size_alt_and_a_button():
    found = page(Pictures([Picture(figure(), "Below.", "Seen.")], small=True))
    (image,) = found.all("img")
    assert image.parents[-1] == "button"
    assert (image["width"], image["height"], image["alt"]) == ("192", "96", "Seen.")
    assert image["src"].startswith("data:image/")
    assert found.all("figcaption")[0].text == "Below."
    assert any(one.attributes.get("class") == "pictures small" for one in found.all("div"))


def test_beside():
    found = page(Beside([("varpro", [Text("first")]), ("bayes", [Text("second")])]))
    assert [one.text for one in found.all("h3")] == ["varpro", "bayes"]
    assert found.text.index("first") < found.text.index("bayes") < found.text.index("second")


def test_tones():
    found = page(Text("a", tone="lead"), Text("b", tone="note"))
    assert [one["class"] for one in found.all("p") if "class" in one.attributes][:2] == [
        "lead",
        "note",
    ]
