"""protocol_errors(): what a protocol can tell of each parameter at a signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ivimkit import methods, models
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.cramer_rao import crlb
from ivimkit.planning.candidates import counted_settings
from ivimkit.planning.criterion import Goal
from ivimkit.planning.planner import problem_of
from ivimkit.planning.population import population_of
from ivimkit.planning.simulated_fits import simulated_estimates
from ivimkit.rounding import percent, thousands
from ivimkit.simulate.protocol import Protocol, protocol_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_RELATIVE_ERROR", "ParameterErrors", "ProtocolErrors", "protocol_errors"]

MAX_RELATIVE_ERROR = 0.2
"""Up to this share of its typical value, the error of an estimated parameter is acceptable."""

_MAX_REGION_VOXELS = 10_000
_MIN_SIMULATED = 10


@dataclass(frozen=True)
class ParameterErrors:
    """What a protocol can tell of one parameter.

    Parameters
    ----------
    name, symbol, unit : str
        The parameter.
    typical : float
        Its value in the tissue, in its unit.
    sd : float
        Standard deviation by the Cramér-Rao bound, in its unit; infinite if it cannot be
        determined.
    simulated_sd, simulated_bias : float
        Standard deviation and bias of simulated fits, in its unit; NaN if there are none.
    size : float
        What errors are compared with, in its unit; by default the typical value. A parameter that
        may be negative can have a typical value of 0.
    """

    name: str
    symbol: str
    unit: str
    typical: float
    sd: float
    simulated_sd: float = math.nan
    simulated_bias: float = math.nan
    size: float = math.nan

    @property
    def _size(self) -> float:
        return abs(self.typical) if math.isnan(self.size) else self.size

    @property
    def share(self) -> float:
        """The larger of bound and simulated error, divided by the typical value."""
        simulated = math.hypot(self.simulated_sd, self.simulated_bias)
        return max(self.sd, simulated if math.isfinite(simulated) else 0.0) / self._size

    @property
    def region_voxels(self) -> float:
        """Voxels of a region whose mean signal gives an acceptable error; infinite if none does.

        The error falls with the root of the number of voxels, by the bound: that of simulated fits
        is limited by bounds of the parameters.
        """
        share = self.sd / self._size
        if not math.isfinite(share):
            return math.inf
        return float(max(2, math.ceil((share / MAX_RELATIVE_ERROR) ** 2)))

    @property
    def per_voxel(self) -> bool:
        """Whether the error in one voxel is acceptable."""
        return self.share <= MAX_RELATIVE_ERROR

    @property
    def verdict(self) -> str:
        """One sentence: whether voxels, or regions of which size, can be estimated."""
        if self.per_voxel:
            return f"{self.symbol} can be estimated per voxel"
        if self.region_voxels > _MAX_REGION_VOXELS:
            return f"{self.symbol} cannot be estimated with this protocol at this SNR"
        return (
            f"{self.symbol} cannot be estimated per voxel at this SNR; regions of "
            f"{thousands(self.region_voxels)} voxels can"
        )


@dataclass(frozen=True)
class ProtocolErrors:
    """What a protocol can tell of each parameter; what `ivimkit.protocol_errors` returns.

    Parameters
    ----------
    model : str
        Name of the model.
    tissue : str
        Whose typical values these are.
    snr : float
        Signal at the lowest b-value by the noise of one volume.
    parameters : tuple of ParameterErrors
        One for each estimated parameter, without S0.
    simulated : int
        Number of simulated fits.
    """

    model: str
    tissue: str
    snr: float
    parameters: tuple[ParameterErrors, ...] = field(repr=False)
    simulated: int = 0

    def __getitem__(self, name: str) -> ParameterErrors:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise OptionError(
            f"there is no parameter {name!r}; expected one of "
            f"{', '.join(one.name for one in self.parameters)}"
        )

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table indexed by parameter, with the columns of `ParameterErrors`."""
        import pandas as pd

        rows = {
            one.name: {
                "typical": one.typical,
                "sd": one.sd,
                "simulated_sd": one.simulated_sd,
                "simulated_bias": one.simulated_bias,
                "region_voxels": 1.0 if one.per_voxel else one.region_voxels,
                "unit": one.unit,
                "verdict": one.verdict,
            }
            for one in self.parameters
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")

    def __str__(self) -> str:
        lines = (f"{one.verdict} (error {percent(one.share)})" for one in self.parameters)
        return f"{self.model}, {self.tissue}, SNR {self.snr:g}\n" + "\n".join(lines)


def protocol_errors(
    protocol: Protocol,
    model: str | SignalModel = "biexp",
    *,
    snr: float,
    organ: str | None = None,
    noise: str = "rician",
    monte_carlo: int = 0,
    method: str | FitMethod = "varpro",
    seed: int = 0,
) -> ProtocolErrors:
    """Return what a protocol can tell of each parameter of a model.

    The standard deviation of the best unbiased fit of one voxel is the Cramér-Rao bound; of the
    real fit, standard deviation and bias come from simulated voxels.

    Parameters
    ----------
    protocol : array_like, Acquisition or mapping
        b-values in s/mm^2, an acquisition, or a table of the variables of the volumes.
    model : str or SignalModel
        The model or its name.
    snr : float
        Signal without diffusion weighting by the noise of one volume.
    organ : str, optional
        Whose mean values the tissue has: one of `ivimkit.organs.names`, or ``"abdomen"``. By
        default the middle of the typical ranges.
    noise : {"rician", "gaussian"}
        Noise of each volume.
    monte_carlo : int
        Number of simulated fits, 0 or 10 and more.
    method : str or FitMethod
        Method of these fits.
    seed : int
        The same seed gives the same noise.

    Returns
    -------
    ProtocolErrors

    Raises
    ------
    OptionError
        If a value is out of range.
    InputError
        If the protocol cannot be fitted.

    Examples
    --------
    >>> import ivimkit as ik
    >>> found = ik.protocol_errors(ik.simulate.B13, snr=40, organ="liver")
    >>> found["D"].verdict, found["D_star"].per_voxel
    ('D can be estimated per voxel', False)
    """
    the_model = models.get(model)
    if monte_carlo and monte_carlo < _MIN_SIMULATED:
        raise OptionError(
            f"{monte_carlo} simulated fits were asked for; expected 0, or {_MIN_SIMULATED} and "
            "more (--monte-carlo)"
        )
    population = population_of(the_model, organ)
    settings, counts = counted_settings(the_model, protocol)
    goal = Goal(noise=noise)
    problem = problem_of(population, settings, snr=snr, goal=goal)
    tissue = population.params.mean(axis=0)
    bound = crlb(
        the_model, tissue, settings.columns, problem.sigma, counts=counts, noise=goal.noise
    ).sd
    spread: dict[str, float] = {}
    bias: dict[str, float] = {}
    if monte_carlo:
        found = simulated_estimates(
            the_model,
            methods.get(method),
            np.tile(tissue, (monte_carlo, 1)),
            protocol_of(protocol),
            sigma=problem.sigma,
            noise=noise,
            seed=seed,
        )
        spread, bias = _spread_and_bias(found, tissue, the_model)
    rows = tuple(
        ParameterErrors(
            name,
            the_model[name].symbol,
            the_model[name].unit,
            float(tissue[the_model.index(name)]),
            float(bound[name]),
            spread.get(name, math.nan),
            bias.get(name, math.nan),
            population.size[name],
        )
        for name in population.names
        # One element of an orientation says nothing, least of all by its value, which may be 0.
        if the_model[name].role != "orientation"
    )
    return ProtocolErrors(the_model.name, population.name, float(snr), rows, monte_carlo)


def _spread_and_bias(
    found: NDArray[np.float64], tissue: NDArray[np.float64], model: SignalModel
) -> tuple[dict[str, float], dict[str, float]]:
    spread = np.nanstd(found, axis=0, ddof=1)
    bias = np.nanmean(found, axis=0) - tissue
    return (
        dict(zip(model.names, map(float, spread), strict=True)),
        dict(zip(model.names, map(float, bias), strict=True)),
    )
