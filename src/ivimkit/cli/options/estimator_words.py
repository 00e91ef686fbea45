"""estimator_of: the estimator of --uncertainty, with its options."""

from __future__ import annotations

from typing import Any

from ivimkit import uncertainty as estimators
from ivimkit.errors import OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.option_values import typed

__all__ = ["estimator_of"]


def estimator_of(text: str) -> Estimator:
    """Return an estimator by its name, with options or without.

    Parameters
    ----------
    text : str
        Like ``profile``, ``bootstrap:n=500:kind=wild`` or ``profile:parameters=D+f``.

    Raises
    ------
    OptionError
        For an unknown estimator or option, or a wrong value.

    Examples
    --------
    >>> from ivimkit.cli.options.estimator_words import estimator_of
    >>> estimator_of("bootstrap:n=500").n
    500
    """
    name, *words = (part.strip() for part in text.split(":"))
    usual = estimators.get(name).options()
    options: dict[str, Any] = {}
    for word in words:
        option, equals, value = (part.strip() for part in word.partition("="))
        what = f"--uncertainty {name}"
        if not (option and equals and value):
            raise OptionError(
                f"{what} has {word!r}; expected an option and a value, like bootstrap:n=500"
            )
        if option in options:
            raise OptionError(f"{what} has option {option} twice; expected it once")
        if option in usual and usual[option] is None:
            # Names of parameters, by default all.
            options[option] = tuple(value.split("+"))
        else:
            # An option that it does not have is refused below, with a list of those it has.
            found = typed(f"{what}:{option}", value, usual[option]) if option in usual else value
            options[option] = found
    return estimators.get(name, **options)
