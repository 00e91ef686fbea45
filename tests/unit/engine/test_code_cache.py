"""Compiled code on disk that is damaged, or cannot be kept."""

import builtins
import errno
import shutil

import numba
import pytest

from ivimkit.engine import bind as module
from ivimkit.engine import code_cache
from ivimkit.errors import CacheWarning
from ivimkit.kernels.device import device


@device
def plus_one(x):
    return x + 1.0


def template(x):
    return 2.0 * kernel(x)  # noqa: F821 - bind puts it in.


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of compiled code, of this test alone."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    code_cache._say_once.cache_clear()
    return tmp_path


def run():
    """Compile the driver as a new process would; return whether the code was found on disk."""
    driver = module.bind.__wrapped__(template, ("kernel", plus_one))
    assert driver(3.0) == 8.0
    return bool(sum(driver.stats.cache_hits.values()))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the code of the driver, which is found there."""
    with pytest.MonkeyPatch.context() as patch:
        where = tmp_path_factory.mktemp("kept")
        patch.setattr(numba.config, "CACHE_DIR", str(where))
        assert not run()
        assert run()
    return where


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:100],
    "garbage": lambda data: bytes(range(7, 250)) * 9,
    "text": lambda data: b"no pickle at all\n",
    "flipped": flipped,
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_damaged_code_is_compiled_again(folder, kept, ending, damage):
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    assert run()
    (path,) = folder.rglob(f"*.{ending}")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    run()
    assert run()
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2


def test_both_files_damaged_before_the_code_is_kept(folder, monkeypatch):
    run()
    for path in folder.rglob("*.nb?"):
        path.write_bytes(b"")
    # Nothing was loaded, so nothing was mended yet.
    monkeypatch.setattr(code_cache.MendingCache, "load_overload", lambda *args: None)
    assert not run()
    monkeypatch.undo()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
    assert run()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_is_said_once_and_costs_only_time(folder, monkeypatch, number):
    write = builtins.open

    def full(path, mode="r", *args, **kwargs):
        if "w" in mode and str(folder) in str(path):
            raise OSError(number, "No room")
        return write(path, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", full)
    with pytest.warns(CacheWarning, match=r"kept in .* \(No room\).*NUMBA_CACHE_DIR") as said:
        assert [run(), run()] == [False, False]
    assert len(said) == 1
    monkeypatch.undo()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
    assert not run()
    assert run()
