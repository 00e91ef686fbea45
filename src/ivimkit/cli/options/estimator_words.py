"""estimator_of: the estimator of --uncertainty, with its options."""

from __future__ import annotations

from typing import Any

from ivimkit import uncertainty as estimators
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.option_values import options_of, typed

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
    owner = f"--uncertainty {name}"

    def read(option: str, value: str) -> Any:
        # Those without a default are names of parameters, by default all.
        names = usual[option] is None
        return (
            tuple(value.split("+")) if names else typed(f"{owner}:{option}", value, usual[option])
        )

    options = options_of(owner, words, usual, read, example="bootstrap:n=500")
    return estimators.get(name, **options)
