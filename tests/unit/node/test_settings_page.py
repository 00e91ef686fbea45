"""docs/node.md: the tables of settings are those of the code, and its examples can be used."""

from __future__ import annotations

import re

import msgspec
import pytest

from ivimkit.node.peers import Peer
from ivimkit.node.rules import FIT_OPTIONS, Rule, When
from ivimkit.node.settings import NodeTable, TlsSettings, load_settings
from snippets import snippets_of


@pytest.fixture(scope="module")
def page(repository):
    return repository / "docs" / "node.md"


def _table(page, name: str) -> dict[str, str]:
    text = page.read_text(encoding="utf-8")
    (part,) = re.findall(rf"^### `{re.escape(name)}`\n(.*?)(?=^#|\Z)", text, flags=re.M | re.S)
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\|", part, flags=re.M))


def _default(field) -> str | None:
    """Return a default as it is written in TOML; None if there is none, or only in words."""
    if field.default in (msgspec.NODEFAULT, None):
        return None
    if isinstance(field.default, tuple):
        return "`" + str(list(field.default)).replace("'", '"') + "`"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f'`"{field.default}"`' if isinstance(field.default, str) else f"`{field.default}`"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("[node]", NodeTable),
        ("[[peer]]", Peer),
        ("[[rule]]", Rule),
        ("[tls]", TlsSettings),
    ],
)
def test_every_setting_is_on_the_page_with_its_default(page, name, form):
    table = _table(page, name)
    fields = {field.name: field for field in msgspec.structs.fields(form)}
    assert list(table) == list(fields)
    for setting, shown in table.items():
        expected = _default(fields[setting])
        if expected is not None and shown.startswith("`"):
            assert shown == expected or shown in ("`{}`", "`[tls]`")


def test_what_a_rule_can_say_is_on_the_page(page):
    text = page.read_text(encoding="utf-8")
    assert ", ".join(FIT_OPTIONS) in " ".join(text.split())
    assert all(f"`{name}`" in text for name in When.__struct_fields__)


def test_the_settings_of_the_page_can_be_used(page, tmp_path):
    (text,) = [one.code for one in snippets_of(page) if one.file == "node.toml"]
    (tmp_path / "node.toml").write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path / "node.toml")
    assert [peer.name for peer in settings.peer] == ["mr1", "pacs"]
    assert settings.rule[0].options() == ["--organ=liver", "--mask=auto"]
