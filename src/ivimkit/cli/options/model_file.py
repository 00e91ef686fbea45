"""Models from Python files: where a model is named, and for results whose model is not known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ivimkit import io, models
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult
from ivimkit.io.checksum import sha256
from ivimkit.io.result_loading import fitted_model
from ivimkit.letters import readable
from ivimkit.scan.source import Source

__all__ = ["ModelFile", "is_model_file", "model_of", "with_model_file"]

_ENDING = ".py"


def is_model_file(text: str) -> bool:
    """Return whether a text names a Python file, not a model that is known by its name."""
    return text.endswith(_ENDING)


def model_of(text: str) -> SignalModel:
    """Return the model of a name, or of a Python file such as ``./mine.py``.

    Raises
    ------
    OptionError
        If there is no such model or file, the file does not define a model, or its model has the
        name of another one: results are read back by the names of their models.
    """
    if not is_model_file(text):
        try:
            return models.get(text)
        except OptionError as error:
            if text in models.names():
                raise
            raise OptionError(f"{error}, and files like ./mine.py that define one") from None
    model = models.from_file(text)
    if model.name in models.names() and models.get(model.name) is not model:
        raise OptionError(
            f"the model of the file {text} is called {model.name!r}, and there is another model "
            "of this name; expected a new name. Change it in the file"
        )
    return model


def with_model_file(result: FitResult, text: str) -> FitResult:
    """Return a result whose provenance names the file that its model is from, if it is from one.

    Parameters
    ----------
    result : FitResult
        A new fit.
    text : str
        The model as it was named, see `model_of`.
    """
    if not is_model_file(text):
        return result
    path = Path(text).absolute()
    source = Source("model", readable(str(path)), sha256(path)).to_dict()
    record = result.provenance
    return dataclasses.replace(
        result, provenance=dataclasses.replace(record, sources=[*record.sources, source])
    )


class ModelFile:
    """The equation of saved results whose model is not one of ivimkit's.

    Results name the file that their model is from, but only a file that the user names is run.

    Parameters
    ----------
    file : Path or None
        The file, if one was named.
    screen : Screen
        Where to say what is missing without it.

    Raises
    ------
    OptionError
        If the file does not define a model, see `model_of`.
    """

    def __init__(self, file: Path | None, screen: Screen) -> None:
        self._file = file
        self._screen = screen
        if file is not None and file.suffix != _ENDING:
            raise OptionError(
                f"--model is {str(file)!r}; expected the Python file of the model that was "
                "fitted, like mine.py. The models that ivimkit has are found by their names"
            )
        self._model = None if file is None else model_of(str(file))

    def load(self, folders: Sequence[Path], missing: str = "") -> list[FitResult]:
        """Load results, with the equation of the file for those of its model.

        Parameters
        ----------
        folders : sequence of Path
            Of the results.
        missing : str
            What there is not without the equation, for a warning; empty for none.

        Raises
        ------
        OptionError
            If none of the results was fitted with the model of the file.
        """
        names = [fitted_model(folder) for folder in folders]
        model = self._model
        if model is not None and model.name not in names:
            fitted = " or ".join(repr(name) for name in dict.fromkeys(names))
            raise OptionError(
                f"the file {self._file} defines model {model.name!r}; expected the model of the "
                f"result, {fitted}. Leave --model out for models that ivimkit has"
            )
        results = [
            io.load_result(folder, model=model if model and model.name == name else None)
            for folder, name in zip(folders, names, strict=True)
        ]
        self._warn(results, missing)
        return results

    def _warn(self, results: Sequence[FitResult], missing: str) -> None:
        unknown = [one.model.name for one in results if not one.model.has_equation]
        for name in dict.fromkeys(unknown if missing else ()):
            self._screen.warn(
                f"{missing}: the equation of model {name} is not known, as a saved result does "
                "not contain it; expected the Python file of the model. Name it (--model FILE)"
            )
        if self._file is None or self._model is None:
            return
        now = sha256(self._file)
        then = {
            source["sha256"]
            for one in results
            if one.model.name == self._model.name
            for source in one.provenance.sources
            if source["role"] == "model"
        }
        if then - {now}:
            self._screen.warn(
                f"the file {self._file} is not the one that was fitted, or has changed since (its "
                "SHA-256 differs): curves and residuals are those of the model as it is now"
            )
