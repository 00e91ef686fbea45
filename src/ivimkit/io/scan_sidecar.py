"""The JSON sidecars of a scan: what they say of the scan as a whole, and of its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ivimkit.errors import FileFormatError
from ivimkit.io.history_record import HISTORY_KEY, history_from_sidecar, history_record
from ivimkit.io.json_text import plain
from ivimkit.io.merged_sidecars import merged_sidecars
from ivimkit.io.remote_copies import at_hand, neighbour
from ivimkit.scan.dwi import DWI
from ivimkit.scan.history import NO_HISTORY, History

__all__ = ["WEIGHTS_ENDING", "ScanSidecar", "read_scan_sidecar", "sidecar_of", "weights_name"]

WEIGHTS_ENDING = "_weights.nii.gz"
"""What the name of the weights of single values ends with, instead of ``.nii.gz``."""

_WEIGHTS_KEY = "IvimkitWeights"


@dataclass(frozen=True)
class ScanSidecar:
    """What the sidecars of a scan say.

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
        """Whether the scan cannot be used without the first of them."""
        return bool(self.history) or self.weights is not None


def read_scan_sidecar(paths: Sequence[Path]) -> ScanSidecar:
    """Read the sidecars of a scan; one that is not readable says nothing.

    Parameters
    ----------
    paths : sequence of Path
        As `ivimkit.io.gradient_files.sidecars_of` finds them. History and weights are those of the
        first, which is the scan's own.

    Returns
    -------
    ScanSidecar

    Raises
    ------
    FileFormatError
        If the history is damaged, or the file of weights is not there.
    """
    said = merged_sidecars(paths)
    facts = {key: value for key, (value, _) in said.items() if _is_fact(key, value)}
    own = {key: value for key, (value, path) in said.items() if path == paths[0]}
    if not own:
        return ScanSidecar(facts=facts)
    weights = own.get(_WEIGHTS_KEY)
    return ScanSidecar(
        facts=facts,
        history=history_from_sidecar(own, paths[0]),
        weights=None if weights is None else _weights_file(paths[0], weights),
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
