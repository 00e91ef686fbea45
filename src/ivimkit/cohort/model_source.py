"""ModelSource: a model from a Python file, which every worker reads for itself."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ivimkit import models
from ivimkit.errors import InputError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult
from ivimkit.io.checksum import sha256
from ivimkit.letters import readable
from ivimkit.scan.source import Source
from ivimkit.writing import full_path

__all__ = ["ModelSource"]


@dataclass(frozen=True)
class ModelSource:
    """A file that defines a model.

    Parameters
    ----------
    path : Path
        The file, at the same path on all machines.
    sha256 : str
        Its checksum: a worker does not use another file.
    """

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return what is known of a file now."""
        return cls(full_path(path), sha256(path))

    def load(self) -> SignalModel:
        """Return the model that the file defines.

        Raises
        ------
        InputError
            If it is not there, has changed since the run began, or does not define a model.
        """
        return _loaded(self)

    def named_in(self, result: FitResult) -> FitResult:
        """Return a result whose provenance names the file."""
        source = Source("model", readable(str(self.path)), self.sha256).to_dict()
        record = result.provenance
        return dataclasses.replace(
            result, provenance=dataclasses.replace(record, sources=[*record.sources, source])
        )


# Once in a process: compiled functions are found by their identity.
@functools.cache
def _loaded(source: ModelSource) -> SignalModel:
    path = source.path
    if not path.is_file() or sha256(path) != source.sha256:
        raise InputError(
            f"a worker does not find the model file {path} as it was when the run began; expected "
            "the same file at the same path on all machines, until the run ends. Put it on a file "
            "system that they share, and start again"
        )
    return models.from_file(path)
