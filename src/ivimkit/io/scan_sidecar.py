"""The JSON sidecar of a scan: what it says of the scan as a whole, and of its history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ivimkit.errors import FileFormatError
from ivimkit.io.gradient_files import text_of
from ivimkit.io.history_record import HISTORY_KEY, history_from_sidecar, history_record
from ivimkit.io.json_text import plain
from ivimkit.io.remote_copies import at_hand, neighbour
from ivimkit.io.untrusted_files import untrusted
from ivimkit.scan.dwi import DWI
from ivimkit.scan.history import NO_HISTORY, History

__all__ = ["WEIGHTS_ENDING", "ScanSidecar", "read_scan_sidecar", "sidecar_of", "weights_name"]

WEIGHTS_ENDING = "_weights.nii.gz"
"""What the name of the weights of single values ends with, instead of ``.nii.gz``."""

_WEIGHTS_KEY = "IvimkitWeights"


@dataclass(frozen=True)
class ScanSidecar:
    """What the sidecar of a scan says.

    Parameters
    ----------
    facts : mapping
        Numbers and texts about the scan as a whole, by the keys of BIDS.
    history : History
        What was done to the signal.
    weights : Path, optional
        The file of the weights of single values.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    history: History = NO_HISTORY
    weights: Path | None = None

    @property
    def is_needed(self) -> bool:
        """Whether the scan cannot be used without it."""
        return bool(self.history) or self.weights is not None


def read_scan_sidecar(path: Path | None) -> ScanSidecar:
    """Read the sidecar of a scan; one that is missing or not readable says nothing.

    Raises
    ------
    FileFormatError
        If its history is damaged, or its file of weights is not there.
    """
    content = _content(path)
    if path is None or not isinstance(content, Mapping):
        return ScanSidecar()
    weights = content.get(_WEIGHTS_KEY)
    return ScanSidecar(
        facts={key: value for key, value in content.items() if _is_fact(key, value)},
        history=history_from_sidecar(content, path),
        weights=None if weights is None else _weights_file(path, weights),
    )


def sidecar_of(dwi: DWI) -> dict[str, Any]:
    """Return the content of the sidecar to save with a scan; empty if there is nothing to say.

    The file of weights is named by `weights_name`, by what writes it.
    """
    told = bool(dwi.history or dwi.history.not_judged)
    return {
        **plain(dict(dwi.sidecar)),
        **({HISTORY_KEY: msgspec.to_builtins(history_record(dwi.history))} if told else {}),
    }


def weights_name(name: str) -> dict[str, str]:
    """Return the entry of a sidecar that names the file of the weights of single values."""
    return {_WEIGHTS_KEY: name}


def _content(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        with untrusted(FileFormatError):
            return json.loads(text_of(path, "JSON", "Give a sidecar"))
    except FileFormatError:
        # What reads its lists has warned of it.
        return None


def _is_fact(key: str, value: Any) -> bool:
    own = key in (HISTORY_KEY, _WEIGHTS_KEY)
    return not own and isinstance(value, str | int | float)


def _weights_file(path: Path, name: Any) -> Path:
    if not isinstance(name, str) or name != Path(name).name:
        raise FileFormatError(
            f"{path} names the weights {name!r:.60}; expected the name of a file next to it. "
            "Preprocess the scan again"
        )
    file = at_hand(neighbour(path, name))
    if not file.is_file():
        raise FileFormatError(
            f"{path} names the weights {name}, which are not there; expected them next to it, as "
            "values without a weight are missing in the scan. Copy them with the scan"
        )
    return file
