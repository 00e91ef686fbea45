"""What may be replaced: ordinary files, and nothing else, by any writer."""

import os
import socket
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ivimkit as ik
from ivimkit.cli.jobs.plot_files import write_figures
from ivimkit.errors import InputError, OutputExistsError
from ivimkit.io import load_table, save_map, save_scan, save_tables
from ivimkit.io.result_folder import absolute
from ivimkit.report.html_document import Report
from ivimkit.writing import check_file, write_folder
from made_results import biexp_maps, made_result

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices and pipes of POSIX")


class Drawing:
    def savefig(self, path, **options):
        path.write_bytes(b"")


def result():
    return made_result(biexp_maps((2, 2, 1)))


# By the name of the file that each of them would put into the place of what is there.
WRITERS = {
    "report.html": lambda path: Report("", "", []).write(path, overwrite=True),
    "map.nii": lambda path: save_map(np.ones((2, 2)), path, ik.Geometry(), overwrite=True),
    "scan.nii.gz": lambda path: save_scan(ik.DWI(np.ones((2, 2)), [0, 900]), path, overwrite=True),
    "scan.bval": lambda path: save_scan(
        ik.DWI(np.ones((2, 2)), [0, 900]), path.with_suffix(".nii"), overwrite=True
    ),
    "prior.npz": lambda path: ik.save_prior(
        ik.priors.get("flat").tabulate(ik.models.get("biexp")), path, overwrite=True
    ),
    "t.csv": lambda path: save_tables({"t": pd.DataFrame({"a": [1]})}, path, overwrite=True),
    "t_more.csv": lambda path: save_tables(
        dict.fromkeys(("t", "more"), pd.DataFrame({"a": [1]})),
        path.with_name("t.csv"),
        overwrite=True,
    ),
    "maps.png": lambda path: write_figures(path.parent, {path.name: Drawing()}),
    "D.nii.gz": lambda path: ik.save(result(), path.parent, overwrite=True),
    "fit.json": lambda path: ik.save(result(), path.parent, overwrite=True),
}


def pipe(path):
    os.mkfifo(path)


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no right to make a device")


def folder(path):
    path.mkdir()


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_no_ordinary_file_stays(tmp_path, name):
    for make in (pipe, listening, device, folder):
        place = tmp_path / make.__name__
        place.mkdir()
        try:
            make(place / name)
        except OSError:  # Names of sockets are short.
            assert make is listening
            continue
        before = (place / name).lstat()
        said = "is a folder; expected a file" if make is folder else "is a device, a pipe or"
        with pytest.raises(OutputExistsError, match=said):
            WRITERS[name](place / name)
        after = (place / name).lstat()
        assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
        assert [path.name for path in place.iterdir()] == [name]


def test_a_link_to_a_device_is_no_way_around(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "report.html").symlink_to("pipe")
    with pytest.raises(OutputExistsError, match="is a device, a pipe or a socket"):
        check_file(tmp_path / "report.html", overwrite=True)


@pytest.mark.parametrize("path", ["", "~nobody-of-this-name/out", "a\0b"])
def test_a_path_that_is_none(path):
    with pytest.raises(InputError, match=r"is empty; expected|is not a usable path .*; expected"):
        absolute(path)
    with pytest.raises(InputError, match="expected"):
        check_file(path, overwrite=True)


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(InputError, match=r"cannot write to .*File name too long"):
        ik.save(result(), tmp_path / ("x" * 300))
    # As long as a name may be, which leaves no room for an ending.
    write_folder(tmp_path / ("é" * 127), ["a"], lambda stage: (stage / "a").write_text(""))
    assert [len(path.name) for path in tmp_path.iterdir()] == [127]


def test_without_a_current_folder(tmp_path):
    code = (
        "import os, sys; gone = sys.argv[1]; os.mkdir(gone); os.chdir(gone); os.rmdir(gone)\n"
        "from ivimkit.writing import full_path\n"
        "full_path('out')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "gone"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "InputError: 'out' is not a usable path (the current folder is gone); ex" in done.stderr


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "xlsx"])
def test_names_that_are_no_utf8_in_tables(tmp_path, ending):
    table = pd.DataFrame(
        {
            "region": pd.Series(["l\udce9sion", "\ud800"], dtype=object),
            "map": ["D", "f"],
            "mean": [1.0, 2.0],
        }
    )
    save_tables({"maps": table}, tmp_path / f"t.{ending}")
    found = load_table(tmp_path / f"t.{ending}")
    assert found["region"].tolist() == ["l\ufffdsion", "\ufffd"]
    assert found["mean"].tolist() == [1.0, 2.0]


def test_names_that_are_no_utf8_in_labels_and_records(tmp_path):
    labels = ik.Labels([1, 2], {1: "l\udce9sion", 2: "liver"})
    assert list(labels) == ["l\ufffdsion", "liver"]
    assert labels["l\udce9sion"].tolist() == [True, False]
    made = result()
    call = "ivimkit fit --mask l\udce9sion.nii.gz"
    made = replace(made, settings=replace(made.settings, call=call))
    ik.save(made, tmp_path / "o\udce9")
    back = ik.load_result(tmp_path / "o\udce9")
    assert back.settings.call == call
    page = Report("of l\udce9sion", "", []).write(tmp_path / "r\udce9.html")
    assert "of l\ufffdsion" in page.read_text(encoding="utf-8")


def test_an_excel_file_on_a_full_disk_complains_once(tmp_path, monkeypatch):
    """The zip file was cut short and complained when it was collected."""
    opened = []
    real = zipfile.ZipFile.__init__

    def init(self, file, *args, **kwargs):
        opened.append(file)
        real(self, file, *args, **kwargs)

    monkeypatch.setattr(zipfile.ZipFile, "__init__", init)
    save_tables({"t": pd.DataFrame({"a": [1]})}, tmp_path / "t.xlsx")
    assert opened
    assert not [file for file in opened if isinstance(file, str | os.PathLike)]
