"""Deprecation: what goes away, since when, with which release, and what to use instead.

Every `Deprecation` names the release that removes the thing, and the day before which that release
is not made. `tests/unit/test_deprecation.py` finds all of them in the source, and fails for each
whose time has come. CONTRIBUTING.md has the policy.
"""

from __future__ import annotations

import datetime
import functools
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from ivimkit.errors import DeprecatedWarning, OptionError

__all__ = [
    "RENAMED_PLUGINS",
    "Deprecation",
    "current_name",
    "deprecated",
    "deprecated_argument",
    "deprecated_option",
]

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """When something goes away, and what to use instead.

    Parameters
    ----------
    since : str
        The release that warns first, such as ``"0.2.0"``.
    removed_in : str
        The release that no longer has it.
    not_before : str
        The earliest day of that release, such as ``"2027-06-01"``.
    use : str
        What to use instead, as the end of a sentence that begins with "use".

    Examples
    --------
    >>> from ivimkit.deprecation import Deprecation
    >>> old = Deprecation(
    ...     since="0.2.0", removed_in="0.4.0", not_before="2027-06-01", use="method 'trr'"
    ... )
    >>> old.sentence("method 'lm'")
    "method 'lm' is deprecated since ivimkit 0.2.0 and will be removed in 0.4.0; use method 'trr'"
    """

    since: str
    removed_in: str
    not_before: str
    use: str

    def __post_init__(self) -> None:
        """Check that the release comes after the first warning."""
        if release(self.removed_in) <= release(self.since):
            raise ValueError(
                f"removed_in is {self.removed_in}; expected a later release than {self.since}"
            )
        datetime.date.fromisoformat(self.not_before)

    def sentence(self, what: str) -> str:
        """Return what a warning says of `what`."""
        return (
            f"{what} is deprecated since ivimkit {self.since} and will be removed in "
            f"{self.removed_in}; use {self.use}"
        )

    def warn(self, what: str, stacklevel: int = 2) -> None:
        """Warn about `what`; `stacklevel` counts from the caller."""
        warnings.warn(self.sentence(what), DeprecatedWarning, stacklevel=stacklevel + 1)


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: (0, 2, 0) of 0.2.0, of its candidates, and of its commits.

    Raises
    ------
    ValueError
        If it does not begin with three numbers.
    """
    found = _VERSION.match(version)
    if found is None:
        raise ValueError(f"the version is {version!r}; expected three numbers, like '0.2.0'")
    return tuple(map(int, found.groups()))


def deprecated(
    old: Deprecation,
) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Return a decorator for a function that goes away: it warns, and its docstring says so.

    Parameters
    ----------
    old : Deprecation
        When, and what to use.

    Examples
    --------
    >>> import warnings
    >>> from ivimkit.deprecation import Deprecation, deprecated
    >>> @deprecated(
    ...     Deprecation(since="0.2.0", removed_in="0.4.0", not_before="2027-06-01", use="`fit`")
    ... )
    ... def fit_all() -> int:
    ...     return 1
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     fit_all()
    1
    >>> print(said[0].message)
    fit_all is deprecated since ivimkit 0.2.0 and will be removed in 0.4.0; use `fit`
    """

    def decorate(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        @functools.wraps(function)
        def called(*arguments: Parameters.args, **named: Parameters.kwargs) -> Returned:
            old.warn(function.__name__)
            return function(*arguments, **named)

        said = f".. deprecated:: {old.since}\n    Removed in {old.removed_in}; use {old.use}."
        called.__doc__ = _with_notice(function.__doc__ or "", said)
        return called

    return decorate


def _with_notice(text: str, said: str) -> str:
    """Return a docstring with a notice below its summary, where numpydoc has it."""
    summary, rest = (*text.split("\n", 1), "")[:2]
    indent = min(
        (len(line) - len(line.lstrip()) for line in rest.splitlines() if line.strip()), default=0
    )
    notice = "\n".join(" " * indent + line for line in said.splitlines())
    return f"{summary}\n\n{notice}\n{rest}"


def deprecated_argument(
    name: str, old: Deprecation, *, renamed: str | None = None
) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Return a decorator for a function one of whose keyword arguments goes away.

    Parameters
    ----------
    name : str
        The old argument.
    old : Deprecation
        When, and what to use.
    renamed : str, optional
        The argument that has its value now; without, the function still takes the old one.

    Examples
    --------
    >>> import warnings
    >>> from ivimkit.deprecation import Deprecation, deprecated_argument
    >>> @deprecated_argument(
    ...     "n_jobs",
    ...     Deprecation(since="0.2.0", removed_in="0.4.0", not_before="2027-06-01", use="threads"),
    ...     renamed="threads",
    ... )
    ... def fit(*, threads: int = 1) -> int:
    ...     return threads
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     fit(n_jobs=3)
    3
    >>> print(str(said[0].message).split(";")[0])
    argument n_jobs of fit is deprecated since ivimkit 0.2.0 and will be removed in 0.4.0
    """

    def decorate(function: Callable[..., Returned]) -> Callable[..., Returned]:
        @functools.wraps(function)
        def called(*arguments: Any, **named: Any) -> Returned:
            if name in named:
                old.warn(f"argument {name} of {function.__name__}")
                if renamed is not None:
                    if renamed in named:
                        raise OptionError(
                            f"{function.__name__} got both {name} and {renamed}; expected "
                            f"{renamed} alone"
                        )
                    named[renamed] = named.pop(name)
            return function(*arguments, **named)

        return called

    return decorate


def deprecated_option(name: str, old: Deprecation) -> Callable[[Any], Any]:
    """Return the callback of an option of a command that goes away.

    Parameters
    ----------
    name : str
        The option, such as ``"--n-jobs"``.
    old : Deprecation
        When, and what to use.

    Returns
    -------
    callable
        For ``typer.Option(..., callback=..., hidden=True)``: warns if a value was given, and
        returns the value.
    """

    def check(value: Any) -> Any:
        if value not in (None, False, (), []):
            old.warn(f"option {name}")
        return value

    return check


RENAMED_PLUGINS: Mapping[tuple[str, str], tuple[str, Deprecation]] = {}
"""Models, methods, priors, steps and estimators with a new name: (kind, old name) to (new name,
when the old one goes away). Results with the old name load as long as it is listed here, so a name
that leaves this table goes to the reader of results."""


def current_name(kind: str, name: str) -> str:
    """Return the name of a plug-in; a former name becomes the present one, with a warning."""
    if (kind, name) not in RENAMED_PLUGINS:
        return name
    new, old = RENAMED_PLUGINS[kind, name]
    old.warn(f"{kind} {name!r}", stacklevel=4)
    return new
