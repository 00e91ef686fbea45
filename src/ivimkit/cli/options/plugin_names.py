"""Names for help and shell completion, found without importing the plugins."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pkgutil import iter_modules

from ivimkit import organs
from ivimkit.extend.plugin import entry_points

__all__ = [
    "complete",
    "method_names",
    "model_names",
    "organ_names",
    "prior_names",
    "step_names",
    "uncertainty_names",
]


def model_names() -> tuple[str, ...]:
    """Return the names of all signal models."""
    return _modules("models")


def method_names() -> tuple[str, ...]:
    """Return the names of all fit methods."""
    return _modules("methods")


def uncertainty_names() -> tuple[str, ...]:
    """Return the names of all uncertainty estimators."""
    return _modules("uncertainty")


def prior_names() -> tuple[str, ...]:
    """Return the names of all priors."""
    return _modules("priors")


def organ_names() -> tuple[str, ...]:
    """Return the names of all organ presets."""
    return organs.names()


def step_names() -> tuple[str, ...]:
    """Return the names of all steps before a fit."""
    return _modules("steps")


def complete(names: Callable[[], tuple[str, ...]]) -> Callable[[str], list[str]]:
    """Return a function that completes the beginning of a name."""

    def matching(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return matching


def _modules(package: str) -> tuple[str, ...]:
    # Importing the package would load numpy and numba, which --help cannot wait for.
    spec = find_spec(f"ivimkit.{package}")
    if spec is None or spec.submodule_search_locations is None:
        return ()
    files = (module.name for module in iter_modules(spec.submodule_search_locations))
    own = {name for name in files if not name.startswith("_")}
    return tuple(sorted(own | set(entry_points(f"ivimkit.{package}"))))
