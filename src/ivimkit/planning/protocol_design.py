"""ProtocolDesign: the volumes to measure, the errors to expect, and how others compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ivimkit import organs
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.planning.candidates import Candidates, counted_settings
from ivimkit.planning.information import Information, PlanningProblem
from ivimkit.planning.interleaving import interleaved
from ivimkit.planning.simulated_fits import simulated_estimates
from ivimkit.rounding import rounded
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import B
from ivimkit.simulate.protocol import Protocol, protocol_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Needed", "ProtocolDesign"]

_MIN_SNR, _MAX_SNR = 0.1, 1e5
_MAX_FACTOR = 1e6
_PRECISION = 1e-3


@dataclass(frozen=True)
class Needed:
    """What a wanted error takes.

    Parameters
    ----------
    name : str
        The parameter.
    error : float
        The wanted error, in its unit.
    snr : float
        The signal-to-noise ratio that gives it, with the volumes of the design; NaN if none does.
    volumes : float
        The number of volumes that gives it at the present signal-to-noise ratio, with b-values in
        the proportions of the design; NaN if none does.
    """

    name: str
    error: float
    snr: float
    volumes: float


@dataclass(frozen=True, eq=False, repr=False)
class ProtocolDesign:
    """A protocol with the errors that it leaves; what `ivimkit.design` returns.

    Parameters
    ----------
    problem : PlanningProblem
        The tissues, the noise and the goal that it was made for.
    settings : Candidates
        Its distinct settings, ascending.
    counts : ndarray of int, shape (n_settings,)
        Number of volumes (averages) of each.

    Examples
    --------
    >>> import ivimkit as ik
    >>> plan = ik.design("kidney", snr=30, n=8, goal=ik.planning.Goal(min_distinct=4))
    >>> plan.n
    8
    """

    problem: PlanningProblem
    settings: Candidates
    counts: NDArray[np.intp]

    @property
    def n(self) -> int:
        """Number of volumes."""
        return int(self.counts.sum())

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters whose errors are minimised, in the model's order, without S0."""
        return self.problem.population.names

    @cached_property
    def volumes(self) -> dict[str, NDArray[np.float64]]:
        """The variables of every volume in the order to acquire them, b among them."""
        each = np.repeat(np.arange(len(self.settings)), self.counts)
        order = each[interleaved(self.settings.b[each])]
        return {name: values[order] for name, values in self.settings.columns.items()}

    @property
    def bvals(self) -> NDArray[np.float64]:
        """b-value of every volume in s/mm^2, in the order to acquire them; shape (n,)."""
        return self.volumes[B.name]

    @cached_property
    def acquisition(self) -> Acquisition:
        """The volumes in the order to acquire them."""
        return protocol_of(self.volumes)

    @property
    def echo_time_ms(self) -> float:
        """Echo time of all volumes, in ms; NaN if the design does not determine it."""
        echo_time = self.problem.echo_time
        return math.nan if echo_time is None else echo_time.ms(float(self.settings.b.max()))

    @cached_property
    def _coordinate_errors(self) -> NDArray[np.float64]:
        return self.problem.errors(self.settings, self.counts.astype(np.float64))

    @cached_property
    def errors(self) -> dict[str, float]:
        """Expected error of each parameter, in its unit, over the tissues."""
        return dict(zip(self.names, self._coordinate_errors * self._units, strict=True))

    @property
    def criterion(self) -> float:
        """What was minimised, see `Goal`."""
        return self.problem.value(self._coordinate_errors)

    @property
    def _scales(self) -> NDArray[np.float64]:
        """Number in the unit of each parameter by that of its coordinate."""
        population = self.problem.population
        means = np.array(list(population.mean.values()))
        return np.where(np.array(population.relative), means, 1.0)

    @property
    def _units(self) -> NDArray[np.float64]:
        """Error in the unit of each parameter by the error that the criterion counts."""
        if self.problem.goal.criterion == "relative":
            return np.array(list(self.problem.population.size.values()))
        return self._scales

    def to_dataframe(self) -> pd.DataFrame:
        """Return the settings with their numbers of volumes, ascending.

        Returns
        -------
        pandas.DataFrame
            Columns of the variables of the model, ``averages``, and ``echo_time_ms`` if the design
            determines it.
        """
        import pandas as pd

        table = pd.DataFrame({**self.settings.columns, "averages": self.counts})
        if self.problem.echo_time is not None:
            table["echo_time_ms"] = self.echo_time_ms
        return table

    def error_table(self) -> pd.DataFrame:
        """Return the typical value and the expected error of each parameter.

        Returns
        -------
        pandas.DataFrame
            Indexed by parameter: ``typical`` and ``error`` in the unit of the parameter, ``share``
            the error by the size of the value, ``prior`` what the error would be without a scan,
            and ``unit``.
        """
        import pandas as pd

        population = self.problem.population
        means = population.mean
        prior = np.sqrt(np.diag(np.linalg.inv(population.precision[1:, 1:]))) * self._scales
        rows = {
            name: {
                "typical": means[name],
                "error": self.errors[name],
                "share": self.errors[name] / population.size[name],
                "prior": float(before),
                "unit": population.model[name].unit,
            }
            for name, before in zip(self.names, prior, strict=True)
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")

    def comparison(self, protocols: Mapping[str, Protocol]) -> pd.DataFrame:
        """Compare other protocols with the design, at the same scan time.

        Parameters
        ----------
        protocols : mapping of str to array_like, Acquisition or mapping
            Others by name: b-values in s/mm^2, acquisitions, or tables of variables. Each is
            repeated, or cut, as a whole to the number of volumes of the design; an echo time that
            depends on b is that of its own highest b-value.

        Returns
        -------
        pandas.DataFrame
            Indexed by name, the design first: ``volumes`` and ``b_max`` of the protocol;
            expected errors of the parameters at the same scan time, in their units; ``ratio`` of
            the criterion to that of the design.

        Raises
        ------
        InputError
            If one of them does not have the variables of the model.

        Examples
        --------
        >>> import ivimkit as ik
        >>> plan = ik.design("liver", snr=40, n=13)
        >>> table = plan.comparison({"common": ik.simulate.B13})
        >>> bool(table.loc["common", "ratio"] > 1.0)
        True
        """
        import pandas as pd

        rows = {"design": self._row(self.settings, self.counts.astype(np.float64))}
        for name, given in protocols.items():
            rows[name] = self._row(*counted_settings(self.problem.population.model, given))
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("protocol")

    def _row(self, settings: Candidates, counts: NDArray[np.float64]) -> dict[str, float]:
        errors = self.problem.errors(settings, counts * (self.n / float(counts.sum())))
        return {
            "volumes": int(counts.sum()),
            "b_max": float(settings.b.max()),
            **dict(zip(self.names, map(float, errors * self._units), strict=True)),
            "ratio": self.problem.value(errors) / self.criterion,
        }

    def error_curves(
        self, volumes: NDArray[np.float64], protocol: Protocol | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return the expected errors over the number of volumes, for figures.

        Parameters
        ----------
        volumes : ndarray, shape (k,)
            Numbers of volumes; b-values stay in the proportions of the protocol.
        protocol : array_like, Acquisition or mapping, optional
            Another protocol; by default the design.

        Returns
        -------
        dict of str to ndarray, shape (k,)
            By parameter, in its unit.
        """
        if protocol is None:
            settings, counts = self.settings, self.counts.astype(np.float64)
        else:
            settings, counts = counted_settings(self.problem.population.model, protocol)
        information = Information(self.problem, settings)
        found = [information.errors(counts * (n / counts.sum())) for n in volumes]
        return dict(zip(self.names, (np.array(found) * self._units).T, strict=True))

    def needed(self, name: str, error: float) -> Needed:
        """Return the signal-to-noise ratio, or the number of volumes, that a wanted error takes.

        Parameters
        ----------
        name : str
            The parameter.
        error : float
            The wanted error, in its unit.

        Raises
        ------
        OptionError
            If it is not an estimated parameter, or the error is not above 0.

        Examples
        --------
        >>> import ivimkit as ik
        >>> plan = ik.design("liver", snr=40, n=8)
        >>> found = plan.needed("D", plan.errors["D"])
        >>> round(found.snr, 1), round(found.volumes, 1)
        (40.0, 8.0)
        """
        if name not in self.names:
            raise OptionError(
                f"{name!r} is not estimated; expected one of {', '.join(self.names)} (--wanted)"
            )
        if not (math.isfinite(error) and error > 0.0):
            raise OptionError(f"the wanted error of {name} is {error!r}; expected a number > 0")
        place = self.names.index(name)
        aim = error / float(self._units[place])
        counts = self.counts.astype(np.float64)
        information = Information(self.problem, self.settings)

        def excess_at_snr(logarithm: float) -> float:
            problem = self.problem.with_snr(math.exp(logarithm))
            return math.log(problem.errors(self.settings, counts)[place] / aim)

        def excess_with(logarithm: float) -> float:
            return math.log(information.errors(math.exp(logarithm) * counts)[place] / aim)

        snr = _root(excess_at_snr, _MIN_SNR, _MAX_SNR)
        factor = _root(excess_with, 1.0 / _MAX_FACTOR, _MAX_FACTOR)
        return Needed(name, error, snr, factor * self.n)

    def monte_carlo(
        self, n: int, methods: Mapping[str, FitMethod], *, seed: int = 0
    ) -> pd.DataFrame:
        """Check the expected errors: fit simulated volumes of the tissues.

        Parameters
        ----------
        n : int
            Number of voxels.
        methods : mapping of str to FitMethod
            The fit methods by name.
        seed : int
            The same seed gives the same numbers.

        Returns
        -------
        pandas.DataFrame
            Indexed by method and parameter: ``bias`` (mean error), ``rmse`` (root of the mean
            squared error) and ``expected`` in the unit of the parameter, ``failed`` the share of
            voxels without an estimate. Errors of rates are those of their logarithms, times the
            typical value: like those of the criterion.

        Raises
        ------
        OptionError
            If n is not a whole number >= 1.
        """
        import pandas as pd

        if not (float(n).is_integer() and n >= 1):
            raise OptionError(f"n is {n!r}; expected a number of voxels >= 1 (--monte-carlo)")
        population = self.problem.population
        tissues = population.params[np.arange(n) % len(population.params)]
        gain = self.problem.gain(float(self.settings.b.max()))
        rows: dict[tuple[str, str], dict[str, float]] = {}
        for label, method in methods.items():
            found = simulated_estimates(
                population.model,
                method,
                tissues,
                self.acquisition,
                sigma=self.problem.sigma / gain,
                noise=self.problem.goal.noise,
                seed=seed,
            )
            for place, name in enumerate(self.names):
                column = population.model.index(name)
                pair = (found[:, column], tissues[:, column])
                error = _errors(*pair, relative=population.relative[place]) * self._scales[place]
                rows[label, name] = {
                    "bias": float(np.nanmean(error)),
                    "rmse": float(np.sqrt(np.nanmean(error**2))),
                    "expected": self.errors[name],
                    "failed": float(np.mean(~np.isfinite(error))),
                }
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index = table.index.set_names(["method", "parameter"])
        return table

    @property
    def organ(self) -> str | None:
        """The organ preset of the tissues; None for other populations."""
        name = self.problem.population.name
        return name if name in organs.names() else None

    def __repr__(self) -> str:
        return f"<ProtocolDesign: {self}>"

    def __str__(self) -> str:
        volumes = ", ".join(
            f"{b:g}" if count == 1 else f"{b:g} × {count}"
            for b, count in zip(self.settings.b, self.counts, strict=True)
        )
        shares = (
            f"{name} {rounded(100 * share, digits=2)} %"
            for name, share in self.error_table()["share"].items()
        )
        return (
            f"{self.n} volumes for {self.problem.population.name} at SNR {self.problem.snr:g}: "
            f"b = {volumes} s/mm²; expected errors {', '.join(shares)}"
        )


def _errors(
    found: NDArray[np.float64], true: NDArray[np.float64], *, relative: bool
) -> NDArray[np.float64]:
    """Return errors of the coordinate of a parameter."""
    if not relative:
        return np.asarray(found - true)
    positive = np.where(found > 0.0, found, np.nan)
    return np.asarray(np.log(positive / true))


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function of the logarithm is 0; NaN if it is not in the range."""
    ends = math.log(low), math.log(high)
    if excess(ends[1]) > 0.0 or excess(ends[0]) < 0.0:
        return math.nan
    return math.exp(float(brentq(excess, *ends, xtol=_PRECISION / 10)))
