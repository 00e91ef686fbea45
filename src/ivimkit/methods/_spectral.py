"""SpectralMethod: the spectrum of decay rates, and what its windows say of the compartments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay
from ivimkit.kernels.spectrum.layout import MAX_WINDOWS, NOTHING_MORE
from ivimkit.kernels.spectrum.plan import Bins, Window, bins_of, spectrum_plan
from ivimkit.kernels.spectrum.voxel_spectrum import fit_spectrum
from ivimkit.scan.acquisition import Acquisition

__all__ = ["SpectralMethod"]

BOUNDS = "bounds"
RULES = ("gcv", "lcurve", "discrepancy")
ORDERS = (0, 1, 2)
MIN_BINS, MAX_BINS = 10, 300
# Where the bins end: the slowest decay is down by this share at the highest b-value, and the
# fastest one to the other at the lowest b-value above the first. Slower and faster ones look the
# same.
_SLOWEST_LOSS = 0.1
_FASTEST_REST = 0.01
_MIN_RATE = 1e-6


@dataclass(frozen=True)
class SpectralMethod(FitMethod):
    """A method that fits a spectrum of decay rates; see `ivimkit.methods.NNLS` for the options."""

    voxel = staticmethod(fit_spectrum)

    regularisation: float | str = "gcv"
    order: int = field(default=2, metadata={"choices": ORDERS})
    bins: int = 60
    lowest: float | None = None
    highest: float | None = None
    windows: str | tuple[float, ...] = BOUNDS
    keep_spectrum: bool = False

    def __post_init__(self) -> None:
        if self.regularisation not in RULES:
            _require_number("regularisation", self.regularisation, f"{', '.join(RULES)}, or", 0.0)
        if self.order not in ORDERS:
            raise OptionError(f"order is {self.order!r}; expected one of 0, 1, 2")
        if self.bins not in range(MIN_BINS, MAX_BINS + 1):
            raise OptionError(
                f"bins is {self.bins!r}; expected a whole number from {MIN_BINS} to {MAX_BINS}"
            )
        for name in ("lowest", "highest"):
            if getattr(self, name) is not None:
                _require_rate(name, getattr(self, name))
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise OptionError(
                f"lowest is {self.lowest:g} and highest {self.highest:g} mm^2/s; expected lowest "
                "< highest"
            )
        if self.windows != BOUNDS and not (isinstance(self.windows, tuple) and self.windows):
            raise OptionError(
                f"windows is {self.windows!r}; expected {BOUNDS}, or edges like 0.004,0.025",
                python="Give a tuple of numbers",
            )
        if not isinstance(self.keep_spectrum, bool):
            raise OptionError(f"keep_spectrum is {self.keep_spectrum!r}; expected yes or no")
        for edge in self.edges:
            _require_rate("windows", edge)
        if any(b <= a for a, b in pairwise(self.edges)):
            raise OptionError(
                f"windows is {_listed(self.edges)}; expected ascending edges, like 0.004,0.025"
            )

    @property
    def edges(self) -> tuple[float, ...]:
        """The edges between the windows that were given; none where the bounds are used."""
        return self.windows if isinstance(self.windows, tuple) else ()

    @classmethod
    def from_options(cls, **options: Any) -> Self:
        """Build the method from named options; numbers may be text, as on a command line."""
        if isinstance(options.get("regularisation"), str):
            options["regularisation"] = _number_or_text(options["regularisation"])
        windows = options.get("windows", BOUNDS)
        if isinstance(windows, str) and windows != BOUNDS:
            windows = [_number_or_text(word) for word in windows.replace(",", " ").split()]
        options["windows"] = tuple(windows) if isinstance(windows, list) else windows
        return super().from_options(**options)

    @property
    def has_penalty(self) -> bool:
        """Return True: the penalty biases the spectrum, and lowers its scatter."""
        return True

    @property
    def learns(self) -> bool:
        """Whether the weight of the penalty is found from the voxels of the scan."""
        return isinstance(self.regularisation, str)

    @property
    def mu(self) -> float:
        """The weight of the penalty.

        Raises
        ------
        OptionError
            If it is still to be found from a scan.
        """
        if isinstance(self.regularisation, str):
            raise OptionError(
                f"regularisation is {self.regularisation!r}, which is found from a scan; expected "
                "a number. Fit a scan, and use the method of the result"
            )
        return float(self.regularisation)

    def fitted_model(self, model: SignalModel) -> SignalModel:
        """Return the model with the windows, if there are any, as bounds of its rates."""
        if not (self.edges and _is_sum_of_decays(model)):
            return model
        rates = _rates(model)
        if len(self.edges) != len(rates) - 1:
            raise OptionError(
                f"windows is {_listed(self.edges)}; expected the edges between the rates "
                f"{', '.join(rates)} of model {model.name}, {len(rates) - 1} in number"
            )
        ends = [model[rates[0]].lower, *self.edges, model[rates[-1]].upper]
        if not (ends[0] < ends[1] and ends[-2] < ends[-1]):
            raise OptionError(
                f"windows is {_listed(self.edges)}; expected edges between {ends[0]:g} and "
                f"{ends[-1]:g} mm^2/s, the bounds of {rates[0]} and {rates[-1]}"
            )
        return model.with_bounds(**dict(zip(rates, pairwise(ends), strict=True)))

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model is not a sum of decays of b, or is bound by more than windows."""
        if not _is_sum_of_decays(model):
            there = [name for name in models.names() if _is_sum_of_decays(models.get(name))]
            raise OptionError(
                f"method {self.name} fits sums of exponential decays of b; model {model.name} is "
                f"not one. Use one of {', '.join(there)}, or method varpro"
            )
        self._check_bounds(model)
        self.windows_of(model, np.asarray(acquisition.shell_bvals))

    def _check_bounds(self, model: SignalModel) -> None:
        """Refuse fixed parameters, and bounds of anything but rates."""
        rates = _rates(model)
        for parameter in model.parameters:
            usual = (0.0, math.inf) if parameter.name == "S0" else (0.0, 1.0)
            bounds = parameter.lower, parameter.upper
            if parameter.name in model.fixed_maps or bounds[0] == bounds[1]:
                raise OptionError(
                    f"{parameter.name} is fixed; method {self.name} has a range of rates for each "
                    f"compartment, and a spectrum has no fixed values. Leave {parameter.name} "
                    "free, or use method varpro"
                )
            if parameter.name not in rates and bounds != usual:
                raise OptionError(
                    f"{parameter.name} is bound to {bounds[0]:g} to {bounds[1]:g}; method "
                    f"{self.name} can bound rates only. Leave {parameter.name} free, or use "
                    "method varpro"
                )

    def windows_of(self, model: SignalModel, b: NDArray[np.float64]) -> tuple[Window, ...]:
        """Return the windows of a model at b-values, from the slowest to the fastest.

        Parameters
        ----------
        model : SignalModel
            A sum of decays.
        b : ndarray, shape (n_b,)
            b-values in s/mm^2.

        Raises
        ------
        OptionError
            If the ranges of two rates overlap too much, or a window has no bin.
        """
        rates = _rates(model)
        if len(rates) > MAX_WINDOWS:
            raise OptionError(
                f"model {model.name} has {len(rates)} compartments; method {self.name} takes up "
                f"to {MAX_WINDOWS}"
            )
        ends = [[model[name].lower, model[name].upper] for name in rates]
        for (slow, below), (fast, above) in pairwise(zip(rates, ends, strict=True)):
            if below[1] > above[0]:
                below[1] = above[0] = math.sqrt(below[1] * above[0])
            if not (below[0] < below[1] and above[0] < above[1]):
                raise OptionError(
                    f"the bounds of {slow} and {fast} overlap too much to tell their windows "
                    "apart; expected ranges one behind the other. Give the edges with the option "
                    "windows, like windows=0.004,0.025"
                )
        lowest, highest = self._range(b)
        ends[0][0] = self._end(rates[0], ends[0], lowest, is_low=True)
        ends[-1][1] = self._end(rates[-1], ends[-1], highest, is_low=False)
        flows = {name for product in model.products for name in product.factors}
        found = []
        for name, (low, high) in zip(rates, ends, strict=True):
            compartment = model.compartment_of(name)
            assert compartment is not None
            share = compartment.fraction
            found.append(
                Window(
                    low,
                    high,
                    model.index(name),
                    -1 if share is None else model.index(share.name),
                    model.unseen_flag(name),
                    share is not None and name not in flows,
                )
            )
        return tuple(found)

    def _range(self, b: NDArray[np.float64]) -> tuple[float, float]:
        """Return where the bins end: the options, or what the protocol can tell apart."""
        values = np.unique(b)
        lowest, highest = self.lowest, self.highest
        if lowest is None:
            lowest = -math.log1p(-_SLOWEST_LOSS) / float(values[-1])
        if highest is None:
            highest = -math.log(_FASTEST_REST) / float(values[1] - values[0])
        return lowest, highest

    def _end(self, name: str, window: Sequence[float], end: float, *, is_low: bool) -> float:
        """Return the end of the first or the last window: that of the bins, if it is inside."""
        low, high = window
        if low < end < high:
            return end
        given = self.lowest if is_low else self.highest
        if given is not None and (given >= high if is_low else given <= low):
            raise OptionError(
                f"{'lowest' if is_low else 'highest'} is {given:g} mm^2/s, which leaves no bin in "
                f"the window of {name}, {low:g} to {high:g}; expected a rate "
                f"{'below its end' if is_low else 'above its start'}"
            )
        if is_low:
            # A window that is all below what the protocol can tell apart is kept as it is.
            return low if low > 0.0 else _SLOWEST_LOSS * high
        return high

    def bins_of(self, model: SignalModel, b: NDArray[np.float64]) -> Bins:
        """Return the bins of the spectrum of a model at b-values."""
        return bins_of(self.windows_of(model, b), self.bins)

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        """Return the maps of widths, flows, the number of peaks and the residual."""
        flows = {name for product in model.products for name in product.factors}
        rates = _rates(model)
        with_flow = [
            name
            for name in rates
            if name not in flows and getattr(model.compartment_of(name), "fraction", None)
        ]
        return (
            *(f"{name}_width" for name in rates),
            *(f"{name}_flow" for name in with_flow),
            "n_peaks",
            "spectrum_rmse",
        )

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute bins, decays and the normal matrix of the protocol."""
        return self.plan_with(NOTHING_MORE, model, x, weight)

    def plan_with(
        self,
        more: int,
        model: SignalModel,
        x: NDArray[np.float64],
        weight: NDArray[np.float64],
    ) -> VoxelPlan:
        """Return the plan of a fit that writes more than the maps."""
        windows = self.windows_of(model, x[0][weight > 0.0])
        bins = bins_of(windows, self.bins)
        return VoxelPlan(*spectrum_plan(windows, bins, x[0], weight, self.order, self.mu, more))


def _is_sum_of_decays(model: SignalModel) -> bool:
    return (
        model.variables == ("b",)
        and bool(model.compartments)
        and all(compartment.atom is decay for compartment in model.compartments)
    )


def _rates(model: SignalModel) -> list[str]:
    """Return the names of the rates of a sum of decays, from the slowest to the fastest."""
    rates = [compartment.parameters[0] for compartment in model.compartments]
    return [one.name for one in sorted(rates, key=lambda rate: (rate.upper, rate.lower))]


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _listed(edges: Sequence[float]) -> str:
    return ",".join(f"{edge:g}" for edge in edges)


def _require_rate(name: str, value: Any) -> None:
    _require_number(name, value, "a rate in mm^2/s,", _MIN_RATE)
    if value > 1.0:
        raise OptionError(
            f"{name} is {value:g}; expected rates in mm^2/s, at most 1, like 0.025. Divide "
            "numbers in um^2/ms by 1000"
        )


def _require_number(name: str, value: Any, expected: str, least: float) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and math.isfinite(float(value)) and float(value) >= least):
        raise OptionError(f"{name} is {value!r}; expected {expected} a number >= {least:g}")
