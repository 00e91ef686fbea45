"""Recipe: what is done to every scan of a cohort."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import msgspec
import numpy as np

from ivimkit import io, models
from ivimkit.cohort.model_source import ModelSource
from ivimkit.cohort.subjects import SIGMA, Subject
from ivimkit.defaults import USUAL_METHOD
from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.pooled_prior import SHARED, check_poolable
from ivimkit.fitting.result import Learned
from ivimkit.fitting.settings import FitSettings, ScanReading
from ivimkit.io.checksum import sha256
from ivimkit.io.json_text import to_json
from ivimkit.io.prior_files import write_prior
from ivimkit.io.record import settings_of, settings_record
from ivimkit.io.record_form import SettingsRecord
from ivimkit.io.scan_sidecar import read_scan_sidecar
from ivimkit.noise import FIT_SOURCES, for_fit
from ivimkit.portable_bits import PORTABLE_TARGET, cpu_target, has_portable_bits
from ivimkit.preprocessing.step_list import steps_of
from ivimkit.scan.checks import scan_findings
from ivimkit.scan.dwi import DWI

__all__ = ["MAP", "Recipe"]

MAP = "map"
"""Noise from a map of each scan."""

_DENOISING = "denoise"


@dataclass(frozen=True)
class Recipe:
    """How each scan is read, preprocessed and fitted, and what is written of it.

    Parameters
    ----------
    settings : FitSettings
        The fit; its `reading` says which volumes are used.
    sigma : float or str, optional
        Noise of one volume, or what to estimate it from, see `ivimkit.noise.for_fit`; or ``map``
        for the map `SIGMA` of each scan, see `Subject`.
    steps : str, optional
        Steps before the fit, see `ivimkit.preprocess`.
    strict : bool
        Whether a scan that contradicts itself is refused.
    report : bool
        Whether each scan gets a report and figures.
    shares_prior : bool
        Whether the prior of method bayes is learned from all scans, see
        `ivimkit.fitting.pooled_prior`.
    portable_bits : bool
        Whether only processes with portable bits may fit, see `ivimkit.use_portable_bits`.
    fixed : tuple of str
        Parameters that are fixed to a map of each scan, see `Subject`.
    model_file : ModelSource, optional
        The Python file of the model, if it is from one.
    """

    settings: FitSettings
    sigma: float | str | None = None
    steps: str | None = None
    strict: bool = False
    report: bool = True
    shares_prior: bool = False
    portable_bits: bool = False
    fixed: tuple[str, ...] = ()
    model_file: ModelSource | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Send what results keep of settings, in words and numbers.

        A model finds its compiled functions by their identity, which a copy would not have.
        """
        record = msgspec.json.encode(settings_record(self.settings))
        others = {one.name: getattr(self, one.name) for one in fields(self)[1:]}
        return _received, (record, self._prior, others)

    @property
    def _prior(self) -> PriorTable | ModelPrior | None:
        """The prior of the method, if it was given by its numbers."""
        prior = getattr(self.settings.method, "prior", None)
        return prior if isinstance(prior, PriorTable | ModelPrior) else None

    @classmethod
    def of(
        cls,
        model: str | SignalModel = "biexp",
        method: str | FitMethod = USUAL_METHOD,
        uncertainty: str | Estimator | None = None,
        *,
        prior: str | None = None,
        sigma: float | str | None = None,
        preprocess: str | None = None,
        reading: ScanReading | None = None,
        strict: bool = False,
        report: bool = True,
        portable_bits: bool = False,
        fixed: Sequence[str] = (),
        model_file: Path | None = None,
    ) -> Self:
        """Return a recipe from the arguments of `ivimkit.fit`.

        Parameters
        ----------
        model, method, uncertainty, sigma
            As in `ivimkit.fit`; no maps, which belong to one scan.
        prior : {"shared"}, optional
            One prior of method bayes for all scans, learned from samples of them. Any other prior
            is an option of the method.
        preprocess : str, optional
            Steps before the fit, as in `ivimkit.preprocess`.
        reading : ScanReading, optional
            Which volumes are used.
        strict, report, portable_bits, fixed
            See `Recipe`.
        model_file : Path, optional
            A Python file whose model is used instead of `model`, as of `ivimkit.models.from_file`.

        Raises
        ------
        OptionError
            If the prior is another one.

        Examples
        --------
        >>> from ivimkit.cohort import Recipe
        >>> Recipe.of("biexp", "segmented").settings.method.name
        'segmented'
        """
        if prior not in (None, SHARED):
            raise OptionError(
                f"the prior of the cohort is {prior!r}; expected {SHARED!r}. Give any other one "
                "to the method: Bayes(prior=...)"
            )
        # Many processes would wait for one GPU.
        source = None if model_file is None else ModelSource.of(model_file)
        settings = FitSettings.of(
            model if source is None else source.load(),
            method,
            uncertainty,
            device="cpu",
            reading=reading,
        )
        return cls(
            settings,
            sigma,
            preprocess,
            strict,
            report,
            prior == SHARED,
            portable_bits,
            tuple(fixed),
            source,
        )

    def check(self) -> None:
        """Raise for what cannot work for any scan, before the first.

        Raises
        ------
        InputError
            For an unknown step, a wrong order of steps, a missing library, a source of noise that
            does not exist, or a model or map that a worker cannot be told by its name.
        """
        model = self.settings.model
        if model.name not in models.names() and self.model_file is None:
            raise OptionError(
                f"the model {model.name} is not installed; expected one of "
                f"{', '.join(models.names())}, as workers know models by their names. Install it "
                "as a plug-in, or name its file (model_file)"
            )
        if model.fixed_maps:
            raise OptionError(
                f"{', '.join(sorted(model.fixed_maps))} is fixed to a map, which belongs to one "
                "scan; expected a number. Name the parameter in fixed, and give the map of each "
                "scan (--fix NAME=param-D), or fit that scan by itself (ivimkit fit)"
            )
        if isinstance(self.sigma, str) and self.sigma not in (*FIT_SOURCES, MAP):
            raise OptionError(
                f"sigma is {self.sigma!r}; expected a number or one of {', '.join(FIT_SOURCES)}, "
                f"or {MAP!r} for the map of each scan. Correct it"
            )
        for name in self.fixed:
            model.index(name)
        steps = None if self.steps is None else steps_of(self.steps)
        for step in steps or ():
            step.require_libraries()
        if self.shares_prior:
            check_poolable(self.settings)
            if self.fixed:
                raise OptionError(
                    f"prior {SHARED} is given with {', '.join(self.fixed)} fixed to a map of each "
                    "scan; expected one of the two, as a prior is of all parameters. Leave one out"
                )
            if any(step.name == _DENOISING for step in steps or ()):
                raise OptionError(
                    f"prior {SHARED} is given with step {_DENOISING}, which draws voxels towards "
                    "each other: a prior that is learned from them would be too narrow; expected "
                    "one of the two. Leave one out"
                )

    def digest(self) -> str:
        """Return a checksum of everything that decides the numbers."""
        record = msgspec.to_builtins(settings_record(self.settings))
        del record["call"]
        content = {
            "settings": record,
            "prior": _digest_of_prior(self._prior),
            "sigma": self.sigma,
            "steps": self.steps,
            "strict": self.strict,
            "shares_prior": self.shares_prior,
            "portable_bits": self.portable_bits,
            "fixed": self.fixed,
            "model_file": None if self.model_file is None else self.model_file.sha256,
        }
        return hashlib.sha256(to_json(content).encode("utf-8")).hexdigest()

    def check_process(self) -> None:
        """Raise if this process would compute other bits than the recipe asks for.

        Raises
        ------
        OptionError
            If it would.
        """
        if self.portable_bits and not has_portable_bits():
            raise OptionError(
                f"portable bits are asked for, and a process compiles for {cpu_target()}; "
                f"expected {PORTABLE_TARGET} in all. Call ivimkit.use_portable_bits() first, and "
                "start workers anew"
            )

    def load(self, subject: Subject) -> DWI:
        """Load a scan as the recipe says, with what its sidecars tell the steps and the protocol.

        Raises
        ------
        InputError
            If it cannot be read, or contradicts itself and `strict` is set.
        """
        reading = self.settings.reading or ScanReading()
        mask: Any = Path(subject.mask) if subject.mask and subject.has_mask_file else subject.mask
        dwi = io.load(
            subject.scan,
            subject.bval,
            subject.bvec,
            mask,
            variables=subject.variables,
            b_unit=reading.b_unit,
            average=reading.average,
            tolerance=reading.tolerance,
        )
        inherited = read_scan_sidecar(subject.sidecars).facts
        # What lies next to the scan comes first.
        dwi = dwi.with_sidecar({**inherited, **dwi.sidecar})
        if reading.selection:
            dwi = dwi.select(**reading.selection)
        faults = [one for one in scan_findings(dwi) if one.is_fault] if self.strict else []
        if faults:
            raise AcquisitionError(" ".join(f"{fault}." for fault in faults)[:-1])
        return dwi

    def settings_of(self, subject: Subject, dwi: DWI) -> FitSettings:
        """Return the settings, with the maps of a scan that fix parameters.

        Raises
        ------
        InputError
            If there is no such map, or it cannot be read.
        """
        maps = {name: io.load_map(_map_of(subject, name), dwi) for name in self.fixed}
        model = self.settings.model.with_fixed(**maps) if maps else self.settings.model
        return replace(self.settings, model=model)

    def noise(self, subject: Subject, dwi: DWI) -> Any:
        """Return the noise of a scan: a number, its map, or what is estimated.

        Raises
        ------
        InputError
            If it cannot be estimated, or the map is missing or has no value in a voxel.
        """
        if self.sigma == MAP:
            path = _map_of(subject, SIGMA)
            found = io.load_map(path, dwi)
            lost = int(np.count_nonzero(np.isnan(found) & dwi.mask))
            if lost:
                raise ShapeError(
                    f"the map {path} of sigma has no value in {lost} of the {dwi.n_voxels} voxels "
                    "to be fitted; expected one in each. Give a map of all of them, or a smaller "
                    "mask"
                )
            return found
        return for_fit(dwi, self.sigma) if isinstance(self.sigma, str) else self.sigma


def _map_of(subject: Subject, name: str) -> Path:
    if name not in subject.maps:
        raise OptionError(
            f"there is no map of {name} for {subject.name}; expected one for each scan. Give it "
            f"by its entities, or in a column {name if name == SIGMA else f'fix_{name}'} of the "
            "table"
        )
    return subject.maps[name]


def _received(
    record: bytes, prior: PriorTable | ModelPrior | None, others: dict[str, Any]
) -> Recipe:
    """Return a recipe in the process that it was sent to."""
    known = {} if prior is None else {"": Learned(prior, (math.nan, math.nan))}
    source: ModelSource | None = others["model_file"]
    settings = settings_of(
        msgspec.json.decode(record, type=SettingsRecord),
        {},
        known,
        None if source is None else source.load(),
    )
    return Recipe(settings, **others)


def _digest_of_prior(prior: PriorTable | ModelPrior | None) -> str | None:
    """Return a checksum of the numbers of a prior; None for one given by its name."""
    if prior is None:
        return None
    with TemporaryDirectory(prefix="ivimkit-") as folder:
        path = Path(folder) / "prior.npz"
        write_prior(path, prior)
        return sha256(path)
