"""Deprecations: what they say, and that nothing outlives the release that was to remove it."""

import ast
import datetime
import importlib.metadata
import inspect
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import ivimkit as ik
from ivimkit import deprecation
from ivimkit.deprecation import (
    Deprecation,
    deprecated,
    deprecated_argument,
    deprecated_option,
    release,
)
from ivimkit.errors import DeprecatedWarning, OptionError

OLD = Deprecation(since="0.2.0", removed_in="0.4.0", not_before="2027-06-01", use="`trr`")
SAID = r"is deprecated since ivimkit 0\.2\.0 and will be removed in 0\.4\.0; use `trr`"


def listed(folder):
    """Every deprecation in the source, as (place, its three times as texts)."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        # Reading a file as Python takes a hundred times as long as looking for a word.
        for node in ast.walk(ast.parse(text if "Deprecation" in text else "")):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            if name == "Deprecation":
                times = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
                yield f"{path.name}:{node.lineno}", times


def overdue(folder, version, today):
    """The places whose release is there, or whose day has come."""
    return [
        place
        for place, times in listed(folder)
        if release(version) >= release(times["removed_in"])
        or (today is not None and today >= datetime.date.fromisoformat(times["not_before"]))
    ]


def test_nothing_is_overdue(repository):
    # The tests of a release do not begin to fail years later: only a checkout looks at the day.
    today = datetime.date.today() if (repository / ".git").exists() else None
    version = importlib.metadata.version("ivimkit")
    late = overdue(Path(ik.__file__).parent, version, today)
    assert not late, f"time to remove what {', '.join(late)} announce, or give it another date"


def test_what_is_overdue_is_found(tmp_path):
    (tmp_path / "old.py").write_text(
        "@deprecated(deprecation.Deprecation(since='0.2.0', removed_in='0.4.0',\n"
        "    not_before='2027-06-01', use='x'))\ndef f(): ...\n"
    )
    before, after = datetime.date(2027, 5, 31), datetime.date(2027, 6, 1)
    assert overdue(tmp_path, "0.3.9", before) == []
    assert overdue(tmp_path, "0.3.9", after) == ["old.py:1"]
    # The commits towards a release are already without.
    for version in ("0.4.0.dev7+g1234567", "0.4.0", "1.0.0"):
        assert overdue(tmp_path, version, None) == ["old.py:1"]


def test_its_times_are_checked():
    with pytest.raises(ValueError, match=r"removed_in is 0\.2\.0; expected a later release"):
        Deprecation(since="0.2.0", removed_in="0.2.0", not_before="2027-06-01", use="x")
    with pytest.raises(ValueError, match=r"'next'; expected three numbers"):
        Deprecation(since="0.2.0", removed_in="next", not_before="2027-06-01", use="x")
    with pytest.raises(ValueError, match="isoformat"):
        Deprecation(since="0.2.0", removed_in="0.3.0", not_before="in June", use="x")


def test_a_function():
    @deprecated(OLD)
    def fit_all(value, *, more=0):
        """Fit all.

        Parameters
        ----------
        value : int
            A number.
        """
        return value + more

    with pytest.warns(DeprecatedWarning, match=f"^fit_all {SAID}$") as said:
        assert fit_all(1, more=2) == 3
    assert said[0].filename == __file__
    text = inspect.cleandoc(fit_all.__doc__)
    notice = ".. deprecated:: 0.2.0\n    Removed in 0.4.0; use `trr`."
    assert text.startswith(f"Fit all.\n\n{notice}\n\nParameters")


def test_an_argument():
    @deprecated_argument("n_jobs", OLD, renamed="threads")
    def fit(*, threads=1):
        return threads

    assert fit(threads=2) == 2
    with pytest.warns(DeprecatedWarning, match=f"^argument n_jobs of fit {SAID}$") as said:
        assert fit(n_jobs=3) == 3
    assert said[0].filename == __file__
    with (
        pytest.warns(DeprecatedWarning),
        pytest.raises(OptionError, match="fit got both n_jobs and threads; expected threads"),
    ):
        fit(n_jobs=3, threads=2)

    @deprecated_argument("seed", OLD)
    def draw(*, seed=None):
        return seed

    with pytest.warns(DeprecatedWarning, match="^argument seed of draw"):
        assert draw(seed=5) == 5


def test_an_option_of_a_command():
    app = typer.Typer()

    @app.command()
    def fit(
        jobs: int = typer.Option(
            None, "--n-jobs", hidden=True, callback=deprecated_option("--n-jobs", OLD)
        ),
    ):
        typer.echo(f"{jobs}")

    runner = CliRunner()
    assert runner.invoke(app, []).output == "None\n"
    with pytest.warns(DeprecatedWarning, match=f"^option --n-jobs {SAID}$"):
        assert runner.invoke(app, ["--n-jobs", "2"]).output == "2\n"


def test_a_name_of_a_plugin(monkeypatch):
    monkeypatch.setitem(deprecation.RENAMED_PLUGINS, ("method", "lm"), ("trr", OLD))
    with pytest.warns(DeprecatedWarning, match=f"^method 'lm' {SAID}$"):
        assert ik.methods.get("lm") == ik.methods.get("trr")
    with pytest.raises(OptionError, match="unknown model 'lm'"):
        ik.models.get("lm")
