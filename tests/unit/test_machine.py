"""Processors and memory as cgroups allow them."""

import pytest

from ivimkit import machine
from ivimkit.engine import default_threads


@pytest.fixture
def group(tmp_path):
    """Return a function that writes files of a group, and the arguments to look at it."""
    (tmp_path / "own").write_text("0::/job/task\n")
    (tmp_path / "fs" / "job" / "task").mkdir(parents=True)

    def write(**files):
        for name, text in files.items():
            (tmp_path / "fs" / "job" / name.replace("_", ".", 1)).write_text(text)
        return tmp_path / "fs", tmp_path / "own"

    return write


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 8),
        ("100000 100000", 1),
        ("110000 100000", 2),
        ("1600000 100000", 8),
        ("x", 8),
    ],
)
def test_processors_follow_the_quota_of_any_group_above(group, monkeypatch, quota, expected):
    monkeypatch.setattr(machine, "default_threads", lambda: 8)
    assert machine.processors(*group(cpu_max=quota)) == expected


def test_memory_follows_the_limit(group):
    whole = machine.memory_mb(*group(memory_max="max"))
    assert machine.memory_mb(*group(memory_max="512000000")) == 512
    assert whole > 512


def test_without_cgroups(tmp_path):
    nowhere = tmp_path / "none"
    assert machine.processors(nowhere, nowhere) == default_threads()
    assert machine.memory_mb(nowhere, nowhere) > 0


def test_free_memory_is_what_a_group_has_left(group, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\n")
    told = {"of_system": tmp_path / "meminfo"}
    assert machine.free_memory_mb(*group(memory_max="max"), **told) == pytest.approx(4096)
    files = "anon 5\ninactive_file 60000000\nactive_file 40000000\n"
    limited = group(memory_max="512000000", memory_current="400000000", memory_stat=files)
    # Copies of files count as free.
    assert machine.free_memory_mb(*limited, **told) == 212
    assert 0 < machine.free_memory_mb() <= machine.memory_mb()
