"""Words of bash, which splits them at = and :, are whole to whatever completes them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from ivimkit.cli import app


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ("--option noi", ["noise=gaussian", "noise=rician", "noise=chi"]),
        ("--option noise =", ["gaussian", "rician", "chi"]),
        ("--option noise = ri", ["rician"]),
        ("--option = noise = ri", ["rician"]),
        # What stands before the current word is read as a whole, too.
        ("--fix D = 1e-3 --noise ri", ["rician"]),
        ("--fix D = 1e-3 --fix D_", ["D_star=", "D_star=..."]),
        ("--mask a : b/c.nii --option noise = ", []),
    ],
)
def test_bash_splits_words_and_replaces_the_last_part(words, printed):
    """Bash hands over one word per line, split at = and :, an empty one behind a space."""
    line = ["ivimkit", "fit", "x", *words.split(" ")]
    environment = {
        "_IVIMKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(line),
        "COMP_CWORD": str(len(line) - 1),
    }
    done = CliRunner().invoke(app, [], prog_name="ivimkit", env=environment)
    assert done.stdout.split() == printed
