"""The bibliography: an entry for everything that anything registered cites."""

from __future__ import annotations

import re

import pytest

import ivimkit as ik
from ivimkit import methods, models, organs, priors, uncertainty
from ivimkit.errors import OptionError
from ivimkit.fitting import comparison
from ivimkit.report.bibliography import bibtex, doi_of, entries, software_entry
from ivimkit.report.methods_text import Citations, agreement_text, comparison_text


def cited():
    """Yield a name and the references of every plug-in, organ and criterion."""
    for registry in (models, methods, uncertainty, priors):
        for name in registry.names():
            yield f"{registry.__name__}.{name}", registry.get(name).references
    yield "varpro, rician", methods.get("varpro", noise="rician").references
    for name in organs.names():
        yield f"organ {name}", organs.get(name).references
    yield from comparison.REFERENCES.items()
    citations = Citations()
    comparison_text(citations)
    agreement_text(citations)
    yield "comparisons", citations.listed


REFERENCES = dict(cited())


@pytest.mark.parametrize("name", REFERENCES)
def test_every_reference_has_an_entry(name):
    text = bibtex(REFERENCES[name])
    for reference in REFERENCES[name]:
        entry = entries()[doi_of(reference).lower()]
        assert entry in text
        year = re.search(r"year\s*= \{(\d{4})\}", entry)[1]
        assert year in reference
        family = re.search(r"author\s*= \{([^,]+),", entry)[1].replace('{\\"o}', "ö")
        assert reference.startswith(family)


def test_entries_are_complete_and_keys_unique():
    keys = [re.match(r"@\w+\{(\w+),", entry)[1] for entry in entries().values()]
    assert len(set(keys)) == len(keys)
    for entry in entries().values():
        wanted = {"author", "title", "year", "doi"}
        assert wanted <= set(re.findall(r"^  (\w+) +=", entry, re.M))
        assert entry.count("{") == entry.count("}")


def test_nothing_is_cited_by_nobody():
    used = {doi_of(one).lower() for group in REFERENCES.values() for one in group}
    assert set(entries()) == used


def test_each_entry_once():
    reference = models.get("biexp").references[0]
    assert bibtex([reference, reference]).count("LeBihan1988") == 1


def test_the_software_has_its_version():
    assert "version = {9.9.9}" in software_entry("9.9.9")


def test_refusals():
    with pytest.raises(OptionError, match="'Anonymous 1999' has no DOI"):
        doi_of("Anonymous 1999")
    with pytest.raises(OptionError, match=r"doi:10\.1/x is not in the bibliography"):
        bibtex(["Anonymous 1999. doi:10.1/x"])


def test_ivimkit_is_cited_by_the_authors_of_its_citation_file(repository):
    text = (repository / "CITATION.cff").read_text(encoding="utf-8")
    assert "The ivimkit developers" in text
    assert "The ivimkit developers" in software_entry(ik.__version__)
