"""ivimkit methods: the available models, methods, uncertainty estimators, steps and organs."""

from __future__ import annotations

from ivimkit.cli.options.shared_options import Json

__all__ = ["methods"]


def methods(*, json: Json = False) -> None:
    """List models, methods and steps with their options, uncertainty, and organ presets.

    Options of a method are given as --option NAME=VALUE to ivimkit fit, those of
    a step with its name, like --preprocess align:transform=affine.
    """
    # Here and not above: --help must not wait for numpy and numba.
    from ivimkit.cli.answers.catalogue_answer import catalogue_answer
    from ivimkit.cli.screen.methods_tables import catalogue
    from ivimkit.cli.screen.terminal import Screen

    if json:
        Screen(json=True).answer(catalogue_answer())
    else:
        Screen().show(*catalogue())
