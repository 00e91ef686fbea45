"""Settings: everything that can be wrong in the file of a node is said before it starts."""

from __future__ import annotations

import pytest

from ivimkit.errors import FileFormatError, OptionError
from ivimkit.node.settings import load_settings

GOOD = """
[node]
folder = "data"
[[peer]]
name = "mr1"
ae_title = "MR1"
address = "127.0.0.1"
[[peer]]
name = "pacs"
ae_title = "PACS"
address = "127.0.0.1"
port = 104
[[rule]]
when = { description = "*ivim*", b_values = ">=4" }
fit = { method = "segmented", b_split = 150, strict = true, fix = ["D_star=0.02"] }
write = ["mr", "sc"]
send_to = ["pacs"]
"""


def _loaded(tmp_path, text):
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_good_settings_have_full_paths_safe_defaults_and_named_rules(tmp_path):
    found = _loaded(tmp_path, GOOD)
    assert found.folder == tmp_path / "data"
    assert found.node.address == "127.0.0.1"
    assert not found.node.log_names
    assert [rule.name for rule in found.rule] == ["1"]
    assert found.rule_named("1") == found.rule[0]
    assert found.rule_named("2") is None
    assert found.rule[0].options() == [
        "--method=segmented",
        "--b-split=150",
        "--strict",
        "--fix=D_star=0.02",
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("folder =", "foldr =", r"\[node\] has no setting 'foldr'; expected one of folder, .*"),
        ('[node]\nfolder = "data"', "", "it has no 'node'"),
        ('folder = "data"', "", r"it has no 'node.folder'"),
        ('folder = "data"', 'folder = ""', "node.folder: expected a text of length >= 1"),
        ('folder = "data"', 'folder = "x"\nport = "a"', "node.port: expected a whole number, got"),
        ('folder = "data"', 'folder = "x"\nport = 70000', "node.port: expected a whole number <="),
        ('folder = "data"', 'folder = "x"\nquiet_s = nan', "numbers that are not finite"),
        (
            'folder = "data"',
            'folder = "x"\nquiet_s = 9\nforce_s = 1',
            "force_s is 1 and quiet_s 9",
        ),
        ('folder = "data"', 'folder = "x"\nretry_min = []', "expected a list of length >= 1"),
        ('folder = "data"', 'folder = "x"\nae_title = "A\\\\B"', r"ae_title of \[node\] is"),
        ("[[rule]]", "[[rules]]", r"the file has no setting 'rules'; .* did you mean rule\?"),
        ("[[rule]]", "[rule]", r"rule is not a list; expected tables that begin with \[\[rule"),
        ('name = "mr1"', 'name = "../x"', "the name of a peer is '../x'"),
        ('name = "mr1"', 'name = "pacs"', "2 peers have the name 'pacs'"),
        ('ae_title = "MR1"', 'ae_title = "12345678901234567"', "AE title of peer 'mr1' is"),
        ('ae_title = "MR1"', 'ae_title = "MR1"\nprt = 1', r"\[\[peer\]\] has no setting 'prt'"),
        ('ae_title = "MR1"', 'ae_title = "MR1"\ntls = true', r"but there is no \[tls\]"),
        (
            'ae_title = "MR1"',
            'ae_title = "MR1"\naccept_from = ["a/b"]',
            "accept_from of peer 'mr1'",
        ),
        ('address = "127.0.0.1"\n[[p', 'address = " "\n[[p', "the address of peer 'mr1' is empty"),
        ('address = "127.0.0.1"\n[[p', 'address = "no.invalid"\n[[p', "cannot be found"),
        ("port = 104", "", "sends to 'pacs', which has no port"),
        ('send_to = ["pacs"]', 'send_to = ["pax"]', "has 'pax'; expected one of mr1, pacs"),
        ('write = ["mr", "sc"]', 'write = ["jpg"]', "no kind 'jpg'; expected one of mr, pm, seg"),
        ('write = ["mr", "sc"]', "write = []", "write of rule '1' is empty"),
        ("method =", "methd =", "no option 'methd'; expected one of model, method"),
        ("description =", "name =", r"when of \[\[rule\]\] has no setting 'name'; expected one"),
        ("strict = true", 'labels = "x.nii"', "labels of rule '1' is 'x.nii'; expected 'seg'"),
        ('"mr", "sc"', '"mr", "sr"', "rule '1' writes seg or sr, .* expected labels = 'seg'"),
        ('">=4"', '"some"', "b_values of rule '1' is 'some'; expected how many"),
    ],
)
def test_wrong_settings_are_named_with_what_is_valid(tmp_path, old, new, sentence):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    with pytest.raises(OptionError, match=sentence):
        _loaded(tmp_path, text)


def test_at_least_one_peer_is_needed(tmp_path):
    text = 'rule = [{}]\npeer = []\n[node]\nfolder = "x"\n'
    with pytest.raises(OptionError, match=r"there is no \[\[peer\]\]; expected at least one"):
        _loaded(tmp_path, text)


def test_a_file_that_is_missing_or_not_toml_is_said(tmp_path):
    with pytest.raises(FileFormatError, match="there is no settings file"):
        load_settings(tmp_path / "node.toml")
    with pytest.raises(FileFormatError, match=r"not TOML: .*; expected lines like"):
        _loaded(tmp_path, "port: 1")
    (tmp_path / "node.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(FileFormatError, match="not text in UTF-8"):
        load_settings(tmp_path / "node.toml")


def test_two_rules_of_one_name(tmp_path):
    with pytest.raises(OptionError, match="2 rules have the name 'a'"):
        _loaded(tmp_path, GOOD + '\nname = "a"\n[[rule]]\nname = "a"\n')
