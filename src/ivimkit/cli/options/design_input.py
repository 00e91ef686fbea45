"""DesignInput: the design, and the questions about it, that the options of a command ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivimkit import io, methods, planning, priors
from ivimkit.cli.options.assignments import number, number_list, parse_assignments
from ivimkit.cli.options.design_options import DesignOptions
from ivimkit.cli.options.model_file import model_of
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.io.gradient_files import read_bvals
from ivimkit.io.scan_bvals import in_s_mm2
from ivimkit.io.variable_files import read_variables
from ivimkit.planning import EchoTime, Goal, ProtocolDesign, StejskalTanner, TabledEchoTime
from ivimkit.simulate.protocol import Protocol, protocol_of

__all__ = ["DesignInput"]

_SCAN_ENDINGS = (".nii", ".nii.gz")
_TABLE_ENDINGS = (".tsv", ".csv")
_MAX_MINUTES, _MAX_TR = 1e4, 1e4


@dataclass(frozen=True)
class DesignInput(DesignOptions):
    """The options of a design, read."""

    def volumes(self) -> int:
        """Return the number of volumes.

        Raises
        ------
        OptionError
            If there is not exactly one of --n and --time, or --time without --tr.
        """
        _check_time("--tr", self.tr, _MAX_TR, "seconds")
        _check_time("--time", self.time, _MAX_MINUTES, "minutes")
        if self.n is not None and self.time is not None:
            raise OptionError("--n and --time are both given; expected one. Leave one out")
        if self.n is not None:
            return self.n
        if self.time is None:
            raise OptionError(
                "--n is missing; expected the number of volumes, like --n 12, or the scan time "
                "with that of one volume, like --time 4 --tr 5"
            )
        if self.tr is None:
            raise OptionError(
                "--time is given without --tr; expected the time of one volume in seconds, like "
                "--tr 5. Or give the number of volumes (--n)"
            )
        n = math.floor(60.0 * self.time / self.tr + 1e-9)
        if n < 1:
            raise OptionError(
                f"--time {self.time:g} is shorter than one volume of {self.tr:g} s; expected a "
                "longer time. It is in minutes"
            )
        return n

    def designed(self) -> ProtocolDesign:
        """Return the design.

        Raises
        ------
        InputError
            If an option cannot be used.
        """
        if self.snr is None:
            raise OptionError(
                "--snr is missing; expected the signal at b = 0 by the noise of one volume, like "
                "--snr 40. ivimkit check SCAN prints that of a scan"
            )
        return planning.design(
            self.organ,
            snr=self.snr,
            n=self.volumes(),
            model=self.signal_model(),
            b_max=None if self.bmax is None else float(self._b(self.bmax)),
            candidates=self._candidates(),
            echo_time=self._echo_time(),
            goal=Goal(
                criterion=self.criterion.value,
                weights=self._weights(),
                min_distinct=self.min_distinct,
                noise=self.noise.value,
                starts=self.starts,
            ),
        )

    def signal_model(self) -> SignalModel:
        """Return the model."""
        return model_of(self.model)

    def protocols(self) -> dict[str, Protocol]:
        """Return the protocols to compare with: those asked for, and published ones.

        Raises
        ------
        InputError
            If one of them is neither a list of b-values, nor a file, nor a published set.
        """
        found: dict[str, Protocol] = {}
        for text in self.compare or ():
            if text in planning.published_names():
                label = text
            else:
                label = Path(text).name if _exists(text) else "yours"
            number_of = sum(name.split(" ")[0] == label for name in found)
            found[f"{label} {number_of + 1}" if number_of else label] = self._protocol(text)
        if self.signal_model().variables == ("b",):
            rule = self._echo_time()
            for one in planning.published_for(self.organ):
                if rule is None or rule.reaches(max(one.bvals)):
                    found.setdefault(one.name, one.bvals)
        return found

    def wanted_errors(self, plan: ProtocolDesign) -> dict[str, float]:
        """Return the wanted error of each parameter, in its unit.

        Raises
        ------
        OptionError
            If one of them is not a number or a percentage above 0, or not of a parameter.
        """
        texts = parse_assignments(self.wanted, "--wanted", "D=5% or f=0.02", str)
        typical = plan.problem.population.size
        found = {}
        for name, text in texts.items():
            if name not in typical:
                raise OptionError(
                    f"--wanted names {name!r}; expected one of {', '.join(typical)}, the "
                    f"parameters of model {plan.problem.population.model.name}"
                )
            found[name] = _error(name, text, typical[name])
        return found

    def fit_methods(self, plan: ProtocolDesign) -> dict[str, FitMethod]:
        """Return the methods that check the design.

        Method bayes needs the prior of an organ, and a model of two decays.
        """
        found = {"varpro": methods.get("varpro")}
        two_decays = plan.problem.population.model.two_decays()
        known = plan.organ is not None and two_decays is not None and two_decays.fast is not None
        if known and plan.problem.goal.criterion == "bayes":
            found["bayes"] = methods.get("bayes", prior=priors.get("organ", organ=plan.organ))
        return found

    def _weights(self) -> dict[str, float]:
        if self.weights is None:
            return {}
        words = [word for word in self.weights.split(",") if word.strip()]
        found = parse_assignments(words, "--weights", "D=2", number)
        if not found:
            raise OptionError(
                f"--weights is {self.weights!r}; expected names and numbers, like D=2"
            )
        return found

    def _echo_time(self) -> EchoTime | None:
        if self.gradient is not None and self.te_of_bmax is not None:
            raise OptionError(
                "--gradient and --te-of-bmax are both given; expected one rule for the echo time. "
                "Leave one out"
            )
        if self.gradient is None and self.te_of_bmax is None:
            if self.t2 is not None:
                raise OptionError(
                    "--t2 is given without a rule for the echo time; expected --gradient or "
                    "--te-of-bmax. Leave it out"
                )
            return None
        t2 = planning.tissue_T2_ms(self.organ) if self.t2 is None else self.t2
        if self.gradient is not None:
            return StejskalTanner(T2_ms=t2, gradient=self.gradient)
        assert self.te_of_bmax is not None
        columns, b_has_unit = read_variables(self.te_of_bmax)
        missing = [name for name in ("b", "echo_time") if name not in columns]
        if missing:
            raise OptionError(
                f"{self.te_of_bmax} has no column {missing[0]}; expected b and echo_time. Add it"
            )
        b = self._b(columns["b"], b_has_unit)
        return TabledEchoTime(T2_ms=t2, b_max=tuple(b), times_ms=tuple(columns["echo_time"]))

    def _candidates(self) -> Protocol | None:
        if self.candidates is None:
            return None
        return self._of_file(self.candidates)

    def _protocol(self, text: str) -> Protocol:
        if text in planning.published_names():
            return planning.published(text).bvals
        if _exists(text):
            return self._of_file(Path(text))
        try:
            values = number_list(text, "--compare")
        except OptionError:
            raise OptionError(
                f"--compare is {text!r}; expected b-values like 0,10,50,800, the path of a "
                f"file or scan, or one of {', '.join(planning.published_names())}"
            ) from None
        return protocol_of(self._b(values))

    def _of_file(self, path: Path) -> Protocol:
        """Return the protocol of a file: a scan, a table of variables, or b-values."""
        if path.is_dir() or path.name.lower().endswith(_SCAN_ENDINGS):
            return io.load(path, b_unit=self.b_unit.value).acquisition
        if path.suffix.lower() in _TABLE_ENDINGS:
            columns, b_has_unit = read_variables(path)
            table: Mapping[str, Any] = columns
            if "b" in columns:
                table = {**columns, "b": self._b(columns["b"], b_has_unit)}
            return protocol_of(table)
        return protocol_of(self._b(read_bvals(path)))

    def _b(self, values: Any, has_unit: bool = False) -> Any:
        unit = "s/mm2" if has_unit else self.b_unit
        return np.asarray(in_s_mm2(values, unit), dtype=np.float64)


def _check_time(option: str, value: float | None, most: float, unit: str) -> None:
    if value is not None and not 0.0 < value <= most:
        raise OptionError(f"{option} is {value!r}; expected a number of {unit} > 0")


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:
        return False


def _error(name: str, text: str, typical: float) -> float:
    try:
        share = text.endswith("%")
        value = number(text[:-1]) / 100.0 * typical if share else number(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0.0):
        raise OptionError(
            f"--wanted {name} is {text!r}; expected a number > 0 in the unit of {name}, or a "
            "percentage of its typical value, like 5%"
        )
    return value
