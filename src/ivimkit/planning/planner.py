"""design(): the b-values and averages that measure an organ best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import models, organs
from ivimkit.engine import evaluate
from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.planning.candidates import Candidates, acquisition_for, candidates_of
from ivimkit.planning.criterion import LOW_B, Goal, low_of
from ivimkit.planning.echo_time import EchoTime
from ivimkit.planning.exchange import Constraints, best_counts
from ivimkit.planning.information import Information, PlanningProblem
from ivimkit.planning.population import Population, population_of
from ivimkit.planning.protocol_design import ProtocolDesign
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import ECHO_TIME

__all__ = ["design", "problem_of"]

_MAX_VOLUMES = 500


def design(
    organ: str | None = None,
    *,
    snr: float,
    n: int,
    model: str | SignalModel = "biexp",
    b_max: float | None = None,
    candidates: ArrayLike | Acquisition | Mapping[str, Any] | None = None,
    echo_time: EchoTime | None = None,
    goal: Goal | None = None,
) -> ProtocolDesign:
    """Choose the b-values, and the number of volumes of each, that measure an organ best.

    The expected error of every parameter, over the tissues of the organ, is computed from the
    Fisher information of the volumes and from the prior. Their weighted geometric mean is
    minimised by exchange: volumes are moved to the candidates where they help most, until none
    helps more. The same call always gives the same design.

    Parameters
    ----------
    organ : str, optional
        One of `ivimkit.organs.names`, or ``"abdomen"`` for the tissues of the digital abdomen. By
        default the typical ranges of the parameters.
    snr : float
        Signal without diffusion weighting by the noise of one volume. With `echo_time`, that at
        the echo time for a highest b-value of 800 s/mm^2.
    n : int
        Number of volumes.
    model : str or SignalModel
        The model or its name.
    b_max : float, optional
        Highest b-value in s/mm^2; by default 800, or more if the model needs it.
    candidates : array_like, Acquisition or mapping, optional
        What can be chosen: b-values, or a table with the variables of the model, like
        ``{"b": [...], "echo_time": [...]}``. By default the usual steps of scanners.
    echo_time : EchoTime, optional
        How the echo time, and so the signal, depends on the highest b-value. By default it does
        not.
    goal : Goal, optional
        Criterion, weights and constraints; by default those of `Goal`.

    Returns
    -------
    ProtocolDesign

    Raises
    ------
    OptionError
        If a number is out of range, the candidates are not enough, or the constraints cannot be
        kept.
    AcquisitionError
        If all candidates together cannot determine the parameters of the model.

    References
    ----------
    Lemke A et al. Magn Reson Imaging 2011;29:766-776. doi:10.1016/j.mri.2011.03.004
    Zhang JL et al. Magn Reson Med 2012;67:89-97. doi:10.1002/mrm.22982

    Examples
    --------
    >>> import ivimkit as ik
    >>> plan = ik.design("liver", snr=40, n=12)
    >>> plan.n, len(plan.settings) >= 6, float(plan.bvals[0])
    (12, True, 0.0)
    """
    the_model, the_goal = models.get(model), goal or Goal()
    if not (float(n).is_integer() and 1 <= n <= _MAX_VOLUMES):
        raise OptionError(f"n is {n!r}; expected a number of volumes from 1 to {_MAX_VOLUMES}")
    population = population_of(the_model, organ)
    known = organ if organ in organs.names() else None
    choice = candidates_of(the_model, candidates, b_max=b_max, organ=known)
    problem = problem_of(population, choice, snr=snr, goal=the_goal, echo_time=echo_time)
    constraints = _constraints(the_model, the_goal, int(n), choice.b)
    require_identifiable(the_model, acquisition_for(the_model, choice.columns))
    counts = best_counts(Information(problem, choice), constraints, the_goal.starts)
    used = np.flatnonzero(counts)
    picked = {name: values[used] for name, values in choice.columns.items()}
    settings = Candidates(picked, choice.x[..., used])
    return ProtocolDesign(problem, settings, counts[used].astype(np.intp))


def problem_of(
    population: Population,
    settings: Candidates,
    *,
    snr: float,
    goal: Goal,
    echo_time: EchoTime | None = None,
) -> PlanningProblem:
    """Return what a design is judged by.

    Parameters
    ----------
    population : Population
        The tissues.
    settings : Candidates
        The SNR is that of the strongest signal without diffusion weighting among these.
    snr : float
        Signal-to-noise ratio.
    goal : Goal
        Criterion and noise.
    echo_time : EchoTime, optional
        How the echo time depends on the highest b-value.

    Raises
    ------
    OptionError
        If a value is out of range, or the model knows the echo time itself.
    """
    model = population.model
    if not (math.isfinite(snr) and snr > 0.0):
        raise OptionError(
            f"the SNR is {snr!r}; expected a number > 0, like 40: the signal at b = 0 by the "
            "noise of one volume (--snr)"
        )
    if echo_time is not None and ECHO_TIME.name in model.variables:
        raise OptionError(
            f"model {model.name} depends on the echo time, which is among the settings to choose "
            "from; expected no other rule for it. Leave out --gradient or --te-of-bmax",
            python="Leave out echo_time=",
        )
    goal.weights_of(population.names)
    lowest = settings.b == settings.b.min()
    signal = evaluate(model, population.params, settings.x).mean(axis=0)
    return PlanningProblem(population, float(snr), float(signal[lowest].max()), goal, echo_time)


def _constraints(model: SignalModel, goal: Goal, n: int, b: NDArray[np.float64]) -> Constraints:
    distinct = goal.distinct_of(model)
    return Constraints(
        n=n,
        distinct=np.unique(b, return_inverse=True)[1],
        low=b <= LOW_B,
        min_distinct=distinct,
        min_low=low_of(model, distinct),
    )
