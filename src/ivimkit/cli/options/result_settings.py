"""The settings of a result as options: for --like, and for a settings file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivimkit import io, models
from ivimkit.cli.options.scan_input import is_image
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.fitting.result import FitResult
from ivimkit.io.gradient_files import beside
from ivimkit.io.result_loading import fitted_model
from ivimkit.report.rerun_command import GivenOption, rerun

__all__ = ["ResultSettings", "options_like", "result_settings"]

_REPEATED = ("option", "bounds", "fix", "start")
_SHORT = ("b_split", "noise", "coils", "estimate", "robust")
"""Options of methods that are options of the command, too."""
_OF_METHOD = ("option", "prior", *_SHORT)
_OF_MODEL = ("bounds", "fix", "start")
_OF_SCAN = {
    "bval": "its b-values",
    "bvec": "its directions",
    "variables": "its table of volumes",
    "te": "its echo times",
    "volumes": "the choice of its volumes",
    "series": "the choice of its series",
    "stack": "",
    "mask": "its mask",
}
"""What belongs to one scan: another one has its own."""
_BESIDE = {"bval": "bval", "bvec": "bvec"}
_SOURCES = {
    "repeats": "repeats",
    "background": "air",
    "mppca": "mppca",
    "residuals": "residuals",
}
"""What --sigma calls the sources of noise that results name."""


@dataclass(frozen=True)
class ResultSettings:
    """The settings of a result.

    Parameters
    ----------
    scans : tuple of str
        The files that were fitted.
    values : mapping of str to object
        The options of ``ivimkit fit`` that make it again, by the names of their parameters, as the
        command line would have them.
    unknown : mapping of str to str
        Options whose files the result does not name, with what they were.
    notes : tuple of str
        What options cannot say.
    """

    scans: tuple[str, ...]
    values: Mapping[str, Any]
    unknown: Mapping[str, str]
    notes: tuple[str, ...]


def result_settings(folder: Path) -> ResultSettings:
    """Return the settings of a result.

    Files that the command finds by itself, next to the scan, are left out.

    Parameters
    ----------
    folder : Path
        What ``ivimkit fit`` has written.

    Raises
    ------
    FileFormatError
        If there is no result.
    """
    result = io.load_result(folder)
    again = rerun(result, anonymous=False)
    scan = Path(again.scans[0])
    values: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for name, text in _named(again.options):
        if name == "sigma" and result.settings.sigma == "map":
            unknown[name] = "a map of the noise"
        elif name == "labels":
            unknown[name] = "a label image, whose regions learned priors of their own"
        elif name in _BESIDE and _is_found(scan, _BESIDE[name], text):
            continue
        elif name in _REPEATED:
            values.setdefault(name, []).append(_of_folder(text, folder, result))
        else:
            values[name] = _value(name, text, folder, scan, result)
    notes = tuple(note for note in again.notes if "in the folder of the result" not in note)
    return ResultSettings(again.scans, values, unknown, notes)


def options_like(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what --like takes from a result: how it was fitted, not the files of its scan.

    Parameters
    ----------
    folder : Path
        Of the result.
    given : mapping of str to object
        The options that win, by the names of their parameters. With another method or model those
        of the result have no options to hand on.

    Returns
    -------
    dict of str to object
        Values by the names of parameters, as the command line would have them.

    Raises
    ------
    FileFormatError
        If there is no result.
    OptionError
        If its model is not known.
    """
    model = fitted_model(folder)
    if model not in models.names() and "model" not in given:
        raise OptionError(
            f"the result {folder} (--like) was fitted with model {model!r}, which is none of "
            f"those that ivimkit has: {', '.join(models.names())}; expected its Python file, as "
            "no code of a result is ever run. Name the file (--model FILE)"
        )
    found = result_settings(folder)
    values = dict(found.values)
    left = {name: what for name, what in _OF_SCAN.items() if name in values} | dict(found.unknown)
    for name in _OF_SCAN:
        values.pop(name, None)
    if is_image(str(values.get("weights", ""))):
        del values["weights"]
        left["weights"] = "weights of its single values"
    maps = [text for text in values.get("fix", ()) if is_image(text)]
    for text in maps:
        values["fix"] = [other for other in values["fix"] if other != text]
        left["fix"] = f"the map {text}"
    if given.get("method", values["method"]) != values["method"]:
        values = {name: value for name, value in values.items() if name not in _OF_METHOD}
    if given.get("model", model) != model and model in models.names():
        values = {name: value for name, value in values.items() if name not in _OF_MODEL}
    own = {text.partition("=")[0] for text in given.get("option") or ()}
    for name, what in left.items():
        if what and name not in given:
            Screen().warn(
                f"--like {folder}: {what} is not taken; for this scan give it (--{name})"
            )
    return {name: value for name, value in values.items() if name not in own}


def _named(options: tuple[GivenOption, ...]) -> Iterator[tuple[str, str]]:
    """Yield the names of parameters and their texts; options of methods have short names."""
    for option in options:
        name = option[0].removeprefix("--").replace("-", "_")
        text = option[1] if len(option) == 2 else ""
        inner, _, value = text.partition("=")
        if name == "option" and inner in _SHORT and value != "None":
            yield inner, value
        else:
            yield name, text


def _of_folder(text: str, folder: Path, result: FitResult) -> str:
    """Return NAME=VALUE with the full path of a map that the result contains."""
    name, _, value = text.partition("=")
    if name in result.model.fixed_maps:
        return f"{name}={folder.absolute() / value}"
    return text


def _value(name: str, text: str, folder: Path, scan: Path, result: FitResult) -> Any:
    if name in ("stack", "drop_incomplete"):
        return True
    if name == "robust":
        return text == "yes"
    if name in ("bmin", "bmax", "tolerance", "b_split"):
        return float(text)
    if name == "coils":
        return int(text)
    if name == "sigma" and (noise := result.settings.noise) is not None:
        return _SOURCES.get(noise.source, text)
    in_result = {"prior": "prior.npz", "weights": "value_weights.nii.gz"}
    if text == in_result.get(name):
        return str(folder.absolute() / text)
    if name in ("mask", "weights") and Path(text).parent == scan.parent:
        # Looked for next to each scan.
        return Path(text).name
    return text


def _is_found(scan: Path, kind: str, file: str) -> bool:
    """Return whether the command finds a file by itself, next to the scan."""
    found = beside(scan, kind)
    return found is not None and found.absolute() == Path(file).absolute()
