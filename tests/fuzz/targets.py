"""What is fuzzed: for each reader good files, a way to damage them, and what is done after it.

A reader may raise errors of ivimkit, with a sentence, and nothing else; and what it has let pass
must be good for all that comes later.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import pandas as pd
import zarr

import dicom_maker
import ivimkit as ik
from dicom_results import dicom_result
from fuzz import mutators
from ivimkit import quality
from ivimkit.cli.screen.dicom_tables import contents_shown
from ivimkit.io.dicom.context import load_context
from ivimkit.node.inspection import FoundScan
from ivimkit.node.peers import PeerBook
from ivimkit.node.settings import load_settings
from ivimkit.report.methods_text import Citations, methods_text
from ivimkit.report.rerun_command import rerun
from ivimkit.viewer.drawn_regions import Drawing, describe_regions, region_csv
from ivimkit.viewer.json_numbers import from_json, to_json
from ivimkit.viewer.study import Study
from ivimkit.viewer.user_mask import placed_mask
from ivimkit.viewer.voxel_refit import refit_voxel

__all__ = ["TARGETS", "Target"]

Attempt = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Target:
    """A reader.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    case : callable
        Given random numbers and a folder, writes damaged files there and returns the attempt to
        read them, without arguments. Only the attempt is judged.
    """

    name: str
    case: Callable[[Random, Path], Attempt]


# ------------------------------------------------------------------------- what is good


@functools.cache
def _phantom() -> Any:
    return ik.simulate.phantom(shape=(8, 7, 2), seed=1)


@functools.cache
def _image() -> bytes:
    """The phantom as a 4-D file of integers."""
    signal = np.rint(np.asarray(_phantom().dwi.signal)).astype(np.int16)
    return ik.io.image_bytes(signal, _phantom().dwi.geometry)


@functools.cache
def _labels(shape: tuple[int, int, int] = (8, 7, 2)) -> bytes:
    numbers = np.arange(np.prod(shape)).reshape(shape) % 4
    return ik.io.image_bytes(numbers.astype(np.uint8), _phantom().dwi.geometry)


_BVALS = " ".join(f"{b:g}" for b in (0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800))


@functools.cache
def _fitted(method: str) -> Any:
    """A fit of the scan on disk, as its folder's files, and the scan's own."""
    folder = _HOME[0] / method
    folder.mkdir()
    (folder / "dwi.nii").write_bytes(_image())
    (folder / "dwi.bval").write_text(_BVALS)
    dwi = ik.load(folder / "dwi.nii", average="none")
    result = ik.fit(dwi, method=method, uncertainty=None if method == "bayes" else "curvature")
    ik.save(result, folder / "out")
    return result, _files_in(folder / "out")


_HOME: list[Path] = []


def set_home(folder: Path) -> None:
    """Say where good files are to be."""
    _HOME[:] = [folder]


# ------------------------------------------------------------------------------- images


def _written(random: Random, folder: Path, name: str, data: bytes) -> Path:
    """Write a damaged image, compressed or not."""
    bad = mutators.nifti(random, data)
    zipped = random.random() < 0.5
    path = folder / f"{name}.nii{'.gz' if zipped else ''}"
    path.write_bytes(mutators.compressed(random, bad) if zipped else bad)
    return path


def _scan(random: Random, folder: Path) -> Attempt:
    path = _written(random, folder, "dwi", _image())
    (folder / "dwi.bval").write_text(_BVALS)

    def read() -> None:
        dwi = ik.load(path)
        np.asarray(dwi.signal)[..., dwi.volumes].sum()
        _ = ik.models.get("biexp").advice(dwi.acquisition), dwi.mask.sum()

    return read


def _mask(random: Random, folder: Path) -> Attempt:
    path = _written(random, folder, "mask", _labels())
    (folder / "dwi.nii").write_bytes(_image())
    (folder / "dwi.bval").write_text(_BVALS)
    return lambda: ik.load(folder / "dwi.nii", mask=path).voxels()


def _label_image(random: Random, folder: Path) -> Attempt:
    shape = random.choice(((8, 7, 2), (8, 7, 2), (5, 9, 3)))
    path = _written(random, folder, "labels", _labels(shape))
    return lambda: np.unique(ik.io.load_labels(path, _phantom().dwi).array)


def _received(random: Random, folder: Path) -> Attempt:
    bad = mutators.nifti(random, _labels())
    body = mutators.compressed(random, bad) if random.random() < 0.5 else bad
    return lambda: ik.io.image_of_bytes(body, most=1 << 24)[0].sum()


# ---------------------------------------------------------------------- arrays on disk


def _files_in(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by their paths in it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _write_files(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@functools.cache
def _array_store(kind: str) -> dict[str, bytes]:
    """The phantom as a Zarr store of a kind, as its files."""
    path = _HOME[0] / f"{kind}.zarr"
    signal = np.rint(np.asarray(_phantom().dwi.signal)).astype(np.int16)
    b = [float(one) for one in _BVALS.split()]
    affine = _phantom().dwi.affine.tolist()
    if kind == "named":
        group = zarr.create_group(str(path))
        about = {"units": "a.u.", "affine": affine}
        group.create_array(
            "dwi", data=signal, attributes=about, dimension_names=("x", "y", "z", "b")
        )
        group.create_array("b", data=np.array(b), dimension_names=("b",))
    elif kind == "plain":
        array = zarr.create_array(str(path), data=signal, chunks=(8, 7, 1, 13), zarr_format=2)
        array.attrs.update(bvals=b, affine=affine)
    else:
        group = zarr.create_group(str(path))
        group.create_array("0", data=signal.T, chunks=(5, 2, 7, 8))
        axes = [{"name": "t", "type": "time"}]
        axes += [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
        scale = {"type": "scale", "scale": [1, 6.0, 2.0, 2.0]}
        image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
        group.attrs.update(ome={"version": "0.5", "multiscales": [image]}, bvals=b)
    return _files_in(path)


def _damage_store(random: Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of a store with metadata or a chunk of it damaged, or a file left out."""
    files = dict(files)
    about = [name for name in files if Path(name).name.startswith((".z", "zarr.json"))]
    chosen = random.choice(about if random.random() < 0.7 else list(files))
    if random.random() < 0.1:
        del files[chosen]
    elif chosen in about:
        files[chosen] = mutators.json_text(random, json.loads(files[chosen]))
    else:
        files[chosen] = mutators.damaged(random, files[chosen])
    return files


def _zarr(random: Random, folder: Path) -> Attempt:
    path = folder / "dwi.zarr"
    kind = random.choice(("named", "plain", "ome"))
    _write_files(path, _damage_store(random, _array_store(kind)))
    return functools.partial(_read_array, random.choice((None, None, _BVALS)), path)


@functools.cache
def _hdf5_file() -> bytes:
    path = _HOME[0] / "good.h5"
    signal = np.rint(np.asarray(_phantom().dwi.signal)).astype(np.int16)
    with h5py.File(path, "w") as file:
        file.create_dataset("raw/dwi", data=signal, chunks=(8, 7, 1, 13), compression="gzip")
        file["raw/bvals"] = [float(one) for one in _BVALS.split()]
        file["raw/dwi"].attrs["affine"] = _phantom().dwi.affine
        for axis, label in enumerate("xyzb"):
            file["raw/dwi"].dims[axis].label = label
    return path.read_bytes()


def _hdf5(random: Random, folder: Path) -> Attempt:
    path = folder / "dwi.h5"
    path.write_bytes(mutators.damaged(random, _hdf5_file()))
    return functools.partial(_read_array, random.choice((None, None, _BVALS)), path)


def _read_array(bvals: str | None, path: Path) -> None:
    b = None if bvals is None else [float(one) for one in bvals.split()]
    dwi = ik.load(path, b)
    np.asarray(dwi.signal)[..., dwi.volumes].sum()
    _ = ik.models.get("biexp").advice(dwi.acquisition), dwi.mask.sum(), dwi.affine.sum()


# -------------------------------------------------------------------------------- DICOM


@functools.cache
def _study_of(vendor: str) -> dict[str, bytes]:
    """A small scan as DICOM files, by name."""
    stored = np.random.default_rng(1).integers(1, 999, (6, 5, 2, 3)).astype(np.int16)
    directions = (None, (1, 0, 0), (0, 1, 0))
    made = dicom_maker.Made(stored, (0, 100, 800), directions)
    forms = {
        "mosaic": dicom_maker.mosaic,
        "grid": dicom_maker.grid,
        "enhanced": dicom_maker.enhanced,
    }
    make = forms.get(vendor, functools.partial(dicom_maker.slices, vendor=vendor))
    home = _HOME[0] / f"dicom_{vendor}"
    return {path.name: path.read_bytes() for path in dicom_maker.save(make(made), home)}


def _dicom(random: Random, folder: Path) -> Attempt:
    files = dict(_study_of(random.choice(("mosaic", "grid", "enhanced", *dicom_maker.VENDORS))))
    for name in random.sample(sorted(files), k=random.choice((0, 1, 1, len(files)))):
        files[name] = mutators.damaged(random, files[name])
    path = folder / "study"
    if random.random() < 0.3:
        stream = BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(f"a/{name}", content)
        path.write_bytes(mutators.damaged(random, stream.getvalue()))
    else:
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content)

    def read() -> None:
        contents = ik.io.list_dicom(path)
        json.dumps(contents.to_dict())
        _ = list(contents_shown(contents, "x"))
        dwi = ik.load(path, drop_incomplete=True)
        dwi.signal.sum()
        ik.io.convert_dicom(path, folder / "out", drop_incomplete=True)

    return read


# -------------------------------------------------------------------------------- texts


def _bvals(random: Random, folder: Path) -> Attempt:
    (folder / "dwi.nii").write_bytes(_image())
    text = random.choice((_BVALS.replace(" ", ","), _BVALS.replace(" ", "\n")))
    (folder / "dwi.bval").write_bytes(mutators.lines(random, text, (" ", " ", "\t", ",", ";")))
    if random.random() < 0.5:
        vectors = "\n".join(",".join("0.577" for _ in _BVALS.split()) for _ in range(3))
        (folder / "dwi.bvec").write_bytes(mutators.lines(random, vectors, (" ", "\t", ",")))
    return lambda: ik.load(folder / "dwi.nii").acquisition.shell_bvals


_NAMES = (
    "index,name\n1,liver\n2,lesion\n3,spleen",
    "1,liver\n2,lesion",
    "1 liver\n2 left kidney",
    '1 255 0 0 1 1 1 "liver"\n2 0 0 0 1 1 1 "left kidney"',
    "1 liver 255 0 0 0\n2 lesion 0 0 0 0",
)
_NAMES_JSON: tuple[Any, ...] = (
    {"1": "liver", "2": "lesion"},
    {"labels": {"liver": 1, "lesion": 2}},
    [{"index": 1, "name": "liver"}, {"index": 2, "name": "lesion"}],
)


def _names(random: Random, folder: Path) -> Attempt:
    path = folder / "names"
    if random.random() < 0.4:
        path.write_bytes(mutators.json_text(random, random.choice(_NAMES_JSON)))
    else:
        path.write_bytes(mutators.lines(random, random.choice(_NAMES)))

    def read() -> None:
        names = ik.io.load_label_names(path)
        numbers = np.arange(1, 9).reshape(2, 2, 2)
        labels = ik.Labels(numbers, {n: f"{name} {n}" for n, name in names.items()})
        _ = [labels[name].sum() for name in labels]

    return read


_SETTINGS = """[node]
folder = "data"
port = 11112
retry_min = [1, 5.5]
[[peer]]
name = "mr1"
ae_title = "MR1"
address = "127.0.0.1"
accept_from = ["10.0.0.0/8"]
[[rule]]
when = { description = "*ivim*", b_values = ">=4" }
fit = { method = "bayes", strict = true, fix = ["D_star=0.02"] }
write = ["mr", "sc"]
send_to = []
"""

_VALUES = (
    "0",
    "1.5",
    "-1",
    "nan",
    "inf",
    "1e400",
    "true",
    '""',
    '"MR2"',
    '"127.0.0.2"',
    "[]",
    "{}",
)


def _node(random: Random, folder: Path) -> Attempt:
    path = folder / "node.toml"
    if random.random() < 0.3:
        path.write_bytes(mutators.lines(random, _SETTINGS, (" ", "=", ",", '"')))
    else:
        lines = _SETTINGS.splitlines()
        settings = [number for number, line in enumerate(lines) if " = " in line]
        for number in random.sample(settings, k=random.choice((0, 1, 1, 2))):
            name = lines[number].partition(" = ")[0]
            lines[number] = f"{name} = {random.choice(_VALUES)}"
        path.write_text("\n".join(lines))

    def read() -> None:
        settings = load_settings(path)
        scan = FoundScan(series=("1.2",), description="ivim", b_values=(0, 50, 400, 800))
        for rule in settings.rule:
            _ = rule.options(), rule.when.fits(scan, ("mr1",))
        _ = PeerBook(settings.peer).caller("MR1", "10.1.2.3")

    return read


_ROWS = [
    {"subject": "01", "session": "1", "region": "liver", "map": "D", "mean": 1e-3, "n": 7},
    {"subject": "01", "session": "2", "region": "liver", "map": "D", "mean": 1.1e-3, "n": 8},
    {"subject": "02", "session": "1", "region": "=1+1", "map": "f", "mean": None, "n": 0},
]


@functools.cache
def _workbook() -> bytes:
    path = _HOME[0] / "good.xlsx"
    ik.io.save_tables({"maps": pd.DataFrame(_ROWS)}, path)
    return path.read_bytes()


def _table(random: Random, folder: Path) -> Attempt:
    ending = random.choice(("csv", "tsv", "json", "xlsx", "xlsx"))
    path = folder / f"table.{ending}"
    if ending == "xlsx":
        path.write_bytes(mutators.archive(random, _workbook()))
    elif ending == "json":
        path.write_bytes(mutators.json_text(random, {"maps": _ROWS}))
    else:
        text = "\n".join(",".join(map(str, row.values())) for row in _ROWS)
        path.write_bytes(mutators.lines(random, f"{','.join(_ROWS[0])}\n{text}"))

    def read() -> None:
        table = ik.io.load_table(path)
        ik.io.save_tables({"maps": table}, folder / f"again.{random.choice(('csv', 'json'))}")

    return read


# ------------------------------------------------------------------------------ results


def _prior(random: Random, folder: Path) -> Attempt:
    result, files = _fitted("bayes")
    path = folder / "prior.npz"
    change = _with_about if random.random() < 0.3 else mutators.archive
    path.write_bytes(change(random, files["prior.npz"]))

    def read() -> None:
        table = ik.load_prior(path)
        table.check(result.model)
        _ = table.mean(), table.marginals()
        ik.save_prior(table, folder / "again.npz")

    return read


def _with_about(random: Random, data: bytes) -> bytes:
    with np.load(BytesIO(data)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    text = mutators.json_text(random, json.loads(str(arrays["about"])))
    arrays["about"] = np.array(text.decode("utf-8", "replace"))
    stream = BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


_FORMAT1 = Path(__file__).parents[1] / "golden" / "format1"


def _result(random: Random, folder: Path) -> Attempt:
    method = random.choice(("varpro", "varpro", "bayes"))
    _, files = _fitted(method)
    if random.random() < 0.3:
        files = {path.name: path.read_bytes() for path in (_FORMAT1 / method).iterdir()}
    made = dict(files)
    if random.random() < 0.75:
        made["fit.json"] = mutators.json_text(random, json.loads(files["fit.json"]))
    else:
        name = random.choice([name for name in files if not name.endswith(".json")])
        made[name] = mutators.damaged(random, files[name])
    out = folder / "out"
    _write_files(out, made)
    scan: bool | Path = random.choice((False, False, True, _HOME[0] / method / "dwi.nii"))
    return functools.partial(_use_result, out, scan)


@functools.cache
def _stored() -> dict[str, bytes]:
    """A fit with its maps as Zarr, as its folder's files."""
    result, _ = _fitted("varpro")
    ik.save(result, _HOME[0] / "stored", format="zarr")
    return _files_in(_HOME[0] / "stored")


def _stored_result(random: Random, folder: Path) -> Attempt:
    record = {name: one for name, one in _stored().items() if name == "fit.json"}
    store = {name: one for name, one in _stored().items() if name not in record}
    out = folder / "out"
    _write_files(out, record | _damage_store(random, store))

    def read() -> None:
        result = ik.load_result(out)
        _ = result.counts(), result.at((0,) * len(result.shape))
        _ = [result[name].sum() for name in result]

    return read


def _use_result(out: Path, scan: bool | Path) -> None:
    result = ik.load_result(out, scan=scan)
    result.predict([0, 100, 800])
    _ = result.counts(), result.sentence((0,) * len(result.shape))
    _ = [result.reliable(name) for name in result.maps]
    labels = ik.Labels(np.ones(result.shape, int), {1: "liver"})
    quality.roi_table(result, labels, mean_fit=result.dwi is not None)
    quality.lights(result)
    rerun(result)
    methods_text(result, Citations())
    ik.save(result, out.with_name("again"))


def _context(random: Random, folder: Path) -> Attempt:
    result, path = dicom_result((4, 4, 2)), folder / "dicom.json"
    result.source_context.save(path)
    path.write_bytes(mutators.json_text(random, json.loads(path.read_text("utf-8"))))
    kind = random.choice(("mr", "mr", "pm", "seg", "sc"))
    picture = np.zeros((4, 90, 3), dtype=np.uint8)

    def read() -> None:
        context = load_context(path, 2)
        made = dataclasses.replace(result, source_context=context.of_volumes([0]))
        ik.io.save_dicom(
            made,
            folder / "out",
            [kind],
            labels=np.ones((4, 4, 2), dtype=int),
            picture=picture,
            maps=["D"],
            anonymous=bool(len(context.study) % 2),
        )

    return read


# ------------------------------------------------------------------------------- viewer


@functools.cache
def _study() -> Study:
    result, _ = _fitted("varpro")
    return Study.of([result])


def _drawing(random: Random, folder: Path) -> Attempt:
    bad = mutators.nifti(random, _labels()) if random.random() < 0.8 else _labels()
    body = mutators.compressed(random, bad) if random.random() < 0.5 else bad
    names = random.choice(("", "1:a,2:b", "1:a", *(f"{word}:a" for word in mutators.WORDS)))
    reference = random.choice((None, None, "a", "x", *mutators.WORDS[:5]))
    kind = random.randrange(3)
    study = _study()

    def read() -> None:
        drawing = Drawing(body, names=names, reference=reference, most=1 << 24)
        if kind == 0:
            to_json(describe_regions(study, drawing))
        elif kind == 1:
            region_csv(study, drawing).encode()
        else:
            placed_mask(study, body)

    return read


_REQUEST = {
    "voxel": [3, 3, 0],
    "result": "0",
    "method": "segmented",
    "options": {"b_split": 200.0, "steps": 3},
    "bounds": {"D": [0.0, 0.004], "f": [0, None]},
    "fixed": {"D_star": 0.02},
    "model": "biexp",
}


def _refit(random: Random, folder: Path) -> Attempt:
    kept = {key: value for key, value in _REQUEST.items() if random.random() < 0.7}
    body = mutators.json_text(random, {"voxel": [3, 3, 0], **kept})
    study = _study()
    return lambda: to_json(refit_voxel(study, from_json(body)))


TARGETS = {
    target.name: target
    for target in (
        Target("scan", _scan),
        Target("zarr", _zarr),
        Target("hdf5", _hdf5),
        Target("mask", _mask),
        Target("labels", _label_image),
        Target("dicom", _dicom),
        Target("received", _received),
        Target("bvals", _bvals),
        Target("names", _names),
        Target("node", _node),
        Target("table", _table),
        Target("prior", _prior),
        Target("result", _result),
        Target("stored", _stored_result),
        Target("context", _context),
        Target("drawing", _drawing),
        Target("refit", _refit),
    )
}


def judged(attempt: Attempt) -> str:
    """Make an attempt; say ``read`` or ``refused``, or raise what no reader may raise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            attempt()
        except ik.errors.IvimkitError as error:
            sentence = str(error)
            if len(sentence) < 20:
                raise AssertionError(f"no sentence: {sentence!r}") from error
            sentence.encode("utf-8", "backslashreplace")
            return "refused"
    return "read"
