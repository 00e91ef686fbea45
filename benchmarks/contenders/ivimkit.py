"""Every method in the registry of ivimkit, with default options."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Answer, Contender, Fit

_NAMES = ("S0", "f", "D_star", "D")


def _make(bvals: NDArray[np.float64], *, model: str, method: str) -> Fit:
    import ivimkit as ik

    chosen = ik.methods.get(method)

    def fit(signal: NDArray[np.float64]) -> Answer:
        result = ik.fit(signal, bvals, model=model, method=chosen, threads=1)
        params = np.full((signal.shape[0], len(_NAMES)), np.nan)
        for column, name in enumerate(_NAMES):
            if name in result.model.names:
                params[:, column] = result.maps[name]
        return Answer(params, result.status != 0)

    return fit


def _note(model: str, learns: bool) -> str:
    if learns:
        return "learns its prior anew from the voxels of each round, included in its times"
    return "" if model == "biexp" else "simplified IVIM, which has no D*"


def _contenders() -> tuple[Contender, ...]:
    from benchmarks.pairs import working_pairs

    made: dict[str, Contender] = {}
    # With the bi-exponential model or, if that is not possible, with simplified IVIM.
    for wanted in ("biexp", "sivim"):
        for model, method in working_pairs():
            # A penalty biases the parameters, also without noise.
            fits = model.name == wanted and not method.has_penalty
            if fits and method.name not in made:
                made[method.name] = Contender(
                    name=f"ivimkit-{method.name}",
                    label=f"ivimkit {method.name}",
                    package="ivimkit",
                    module="ivimkit",
                    install="pip install ivimkit",
                    convention="whole",
                    bounds={
                        name: (model[name].lower, model[name].upper)
                        for name in ("f", "D_star", "D")
                        if name in model.names
                    },
                    pace=4000 if method.learns else 400_000,
                    make=partial(_make, model=wanted, method=method.name),
                    estimates=tuple(name for name in ("D", "f", "D_star") if name in model.names),
                    note=_note(wanted, method.learns),
                )
    return tuple(made.values())


CONTENDERS = _contenders()
