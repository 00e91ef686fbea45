"""NNLS: the spectrum of decay rates, and what its windows say about the compartments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar, Self, final

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


@final
@dataclass(frozen=True)
class NNLS(FitMethod):
    """The spectrum of decay rates: non-negative least squares with a penalty on roughness.

    The signal is a sum of many decays with given rates, log-spaced bins, whose amplitudes x >= 0
    minimise ``|W (E x - S)|^2 + mu^2 |L x|^2``, with the decays E, the roots of the weights W and
    differences L of neighbouring amplitudes. The number of compartments does not have to be known:
    the peaks of the spectrum show it. The ranges of the rates of the model, without their overlap,
    are the windows of the spectrum: for each of them the maps contain its share (the fraction),
    the logarithmic mean of its rates and the standard deviation of their logarithms
    (``D_width``), and of compartments with a fraction its product with the rate (``_flow``).

    Further maps are ``n_peaks``, the number of peaks with 1 % of the spectrum or more, and
    ``spectrum_rmse``, the residual of the spectrum. ``cost``, ``rmse`` and ``r2`` are those of the
    sum of decays that the maps of the parameters describe, as for any other method. A window
    without a detectable share has the status of a compartment that is not detected.

    Parameters
    ----------
    regularisation : {"gcv", "lcurve", "discrepancy"} or float
        mu, or the rule that finds it, once for the scan, from up to 500 of its voxels: generalised
        cross-validation, the corner of the L-curve, or residuals as large as the noise (with a
        given or estimated sigma). The method of the result contains the number.
    order : {0, 1, 2}
        What is penalised: amplitudes (0), their differences (1) or second differences (2).
    bins : int
        Number of bins, 10 to 300.
    lowest : float, optional
        The rate at which the bins begin, and the slowest window, mm^2/s; by default that of the
        decay that loses a tenth at the highest b-value.
    highest : float, optional
        The rate at which they end, mm^2/s; by default that of the decay that has a hundredth left
        at the lowest b-value above the first.
    windows : "bounds" or tuple of float
        Edges between the windows, mm^2/s, ascending, one less than there are compartments, which
        replace the bounds of the rates; or these bounds, divided in the geometric middle where
        they overlap.
    keep_spectrum : bool
        Whether the result keeps the spectrum of every voxel, and `ivimkit.save` writes it. If not,
        `FitResult.spectrum` computes it again from the scan.

    Raises
    ------
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> b = np.array([0, 10, 20, 40, 60, 80, 100, 150, 200, 400, 600, 800, 1000])
    >>> signal = ik.simulate.signals("triexp", [1000, 0.15, 0.1, 0.2, 0.01, 1.5e-3], b)
    >>> result = ik.fit(signal, b, model="triexp", method=ik.methods.NNLS(regularisation=0.02))
    >>> spectrum = result.spectrum(())
    >>> [round(peak.fraction, 2) for peak in spectrum.peaks]
    [0.67, 0.19, 0.15]

    References
    ----------
    Whittall KP, MacKay AL. J Magn Reson 1989;84:134-152. doi:10.1016/0022-2364(89)90011-5
    Bro R, De Jong S. J Chemom 1997;11:393-401.
    doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L
    Wurnig MC et al. NMR Biomed 2018;31:e3852. doi:10.1002/nbm.3852
    """

    name: ClassVar[str] = "nnls"
    title: ClassVar[str] = "regularised spectrum of rates"
    full_fit: ClassVar[bool] = False
    voxel = staticmethod(fit_spectrum)
    references: ClassVar[tuple[str, ...]] = (
        "Whittall KP, MacKay AL. Quantitative interpretation of NMR relaxation data. J Magn Reson "
        "1989;84:134-152. doi:10.1016/0022-2364(89)90011-5",
        "Bro R, De Jong S. A fast non-negativity-constrained least squares algorithm. J Chemom "
        "1997;11:393-401. doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L",
        "Wurnig MC et al. Is there evidence for more than two diffusion components in abdominal "
        "organs? A magnetic resonance imaging study in healthy volunteers. NMR Biomed "
        "2018;31:e3852. doi:10.1002/nbm.3852",
    )

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


METHOD = NNLS
