"""FitSetup: the model and the method that the options of a command describe."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivimkit import io, methods, organs, priors
from ivimkit.cli.options.assignments import number, pair, parse_assignments
from ivimkit.cli.options.estimator_words import estimator_of
from ivimkit.cli.options.files_per_scan import files_for
from ivimkit.cli.options.fit_options import FitOptions
from ivimkit.cli.options.model_file import model_of
from ivimkit.cli.options.scan_options import BUnit
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.option_values import typed
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.pooled_prior import SHARED
from ivimkit.fitting.settings import FitSettings
from ivimkit.io.scan_bvals import B_UNITS
from ivimkit.io.scan_files import open_volume
from ivimkit.noise import FIT_SOURCES, NoiseEstimate, for_fit
from ivimkit.organs import OrganPreset
from ivimkit.scan.dwi import DWI

__all__ = ["FitSetup"]

_FIX_EXAMPLE = "D_star=0.02 or D=D.nii.gz"


@dataclass(frozen=True)
class FitSetup(FitOptions):
    """The options of a fit, and the model and the method that they give.

    Parameters
    ----------
    b_unit : BUnit
        Unit of the b-values among the options of the method, see `ivimkit.load`.
    """

    b_unit: BUnit = BUnit.s_mm2

    def preset(self) -> OrganPreset | None:
        """Return the preset of the organ, if one was named."""
        return None if self.organ is None else organs.get(self.organ)

    def each(self, scans: Sequence[Path], screen: Screen) -> list[FitSetup]:
        """Return the options of each scan, with its maps.

        Parameters
        ----------
        scans : sequence of Path
            The scans; of a scan of several files, the first.
        screen : Screen
            Where to say that there are two files of one name.

        Raises
        ------
        InputError
            If there is no map for some of the scans, or one that cannot be opened.
        """
        setups = [self] * len(scans)
        given = None if self.sigma in FIT_SOURCES else self.sigma
        sigma = None if given is None else _number_or_file(given)
        if isinstance(sigma, Path):
            for k, file in enumerate(_maps(str(sigma), "--sigma", scans, screen)):
                setups[k] = dataclasses.replace(setups[k], sigma=str(file.absolute()))
        texts = parse_assignments(self.fix, "--fix", _FIX_EXAMPLE, str)
        for name, value in self._fixed().items():
            if not isinstance(value, Path):
                continue
            for k, file in enumerate(_maps(texts[name], f"--fix {name}", scans, screen)):
                others = [
                    word for word in setups[k].fix or () if word.partition("=")[0].strip() != name
                ]
                own = [*others, f"{name}={file.absolute()}"]
                setups[k] = dataclasses.replace(setups[k], fix=own)
        return setups

    def signal_model(self, dwi: DWI | None = None) -> SignalModel:
        """Return the model with the organ's values first and the user's on top of them.

        Parameters
        ----------
        dwi : DWI, optional
            The scan that maps are placed on; by default they are as in their files.
        """
        model = model_of(self.model)
        if self.organ is not None:
            model = model.for_organ(self.organ)
        model = model.with_bounds(**parse_assignments(self.bounds, "--bounds", "D=0:5e-3", pair))
        for name, value in self._fixed().items():
            model.index(name)
            model = model.with_fixed(**{name: _loaded(name, value, dwi)})
        return model.with_start(**parse_assignments(self.start, "--start", "D_star=0.02", number))

    def fit_method(self, model: SignalModel) -> FitMethod:
        """Return the method; the organ's threshold is used unless another one is given."""
        usual = methods.get(self.method).options()
        given = parse_assignments(self.option, "--option", "b_split=150", str)
        options: dict[str, Any] = {
            name: typed(f"--option {name}", text, usual[name]) if name in usual else text
            for name, text in given.items()
        }
        for name, value in self._short_options().items():
            if value is None:
                continue
            if name in options:
                short = "--" + name.replace("_", "-")
                raise OptionError(
                    f"both {short} and --option {name} are given; expected one. Leave out one"
                )
            options[name] = value
        for name in _b_values(methods.get(self.method)):
            if isinstance(options.get(name), int | float):
                options[name] = float(options[name]) * B_UNITS[self.b_unit]
        if "prior" in options and "prior" in usual:
            options["prior"] = self._prior(options["prior"], model)
        organ = self.preset()
        if organ is not None and "b_split" in usual and _has_perfusion(model):
            options.setdefault("b_split", organ.b_split)
        return methods.get(self.method, **options)

    def other_method(self, name: str | None, model: SignalModel) -> FitMethod | None:
        """Return the method to fit by as well, if one was named: its options are the usual ones.

        Parameters
        ----------
        name : str or None
            Its name.
        model : SignalModel
            The model.

        Raises
        ------
        OptionError
            If it is unknown, or the method itself.
        """
        if name is None:
            return None
        own = ("option", "b_split", "noise", "coils", "prior", "estimate")
        usual: dict[str, Any] = dict.fromkeys(own)
        other = dataclasses.replace(self, method=name, **usual)
        found = other.fit_method(model)
        FitSettings.of(model, self.method).by_another(model, found)
        return found

    def _fixed(self) -> dict[str, float | Path]:
        """Return the values of fixed parameters: numbers, or files that may not exist."""
        return parse_assignments(self.fix, "--fix", _FIX_EXAMPLE, _number_or_file)

    def _short_options(self) -> dict[str, Any]:
        """Return the options of the method that have separate options of the command."""
        return {
            "b_split": self.b_split,
            "noise": self.noise,
            "coils": self.coils,
            "prior": self.prior,
            "estimate": self.estimate,
            "robust": self.robust or None,
        }

    def _prior(self, text: str, model: SignalModel) -> Any:
        """Return the prior of a name, or of a file."""
        if text == "organ":
            if self.organ is None:
                raise OptionError(
                    "--prior organ is given without --organ; expected one of "
                    f"{', '.join(organs.names())}, like --organ liver"
                )
            return priors.get(text, organ=self.organ)
        if text in priors.names():
            return text
        if text == SHARED:
            raise OptionError(
                f"--prior is {SHARED}, which ivimkit bids learns from all scans of a cohort; "
                "expected its file here, like out/priors/protocol-1_prior.npz"
            )
        if not Path(text).is_file():
            raise OptionError(
                f"--prior is {text!r}: that is neither a prior nor a file; expected one of "
                f"{', '.join(priors.names())}, or a file like prior.npz. Check the path"
            )
        table = io.load_prior(text)
        table.check(model)
        return table

    def estimator(self, model: SignalModel, method: FitMethod) -> Estimator | None:
        """Return the uncertainty estimator, if one was named, after it accepted the rest."""
        if self.uncertainty is None:
            return None
        estimator = estimator_of(self.uncertainty)
        estimator.check(model, method)
        return estimator

    def noise_level(self, dwi: DWI | None = None) -> Any:
        """Return the noise as a number, a map or an estimate; None if residuals shall tell it.

        Parameters
        ----------
        dwi : DWI, optional
            The scan that a map is placed on, and an estimate is from; by default a map is as in
            its file, and no source is looked at.
        """
        if self.sigma is None:
            return None
        if self.sigma in FIT_SOURCES:
            return None if dwi is None else for_fit(dwi, self.sigma)
        value = _number_or_file(self.sigma)
        if isinstance(value, float):
            if not (math.isfinite(value) and value > 0.0):
                raise OptionError(
                    f"--sigma is {self.sigma}; expected the standard deviation of the noise of "
                    "one volume, > 0, in the unit of the scan"
                )
            return value
        if not value.exists():
            raise OptionError(
                f"--sigma is {self.sigma!r}: that is neither a number nor a file; expected "
                f"something like 12.5 or sigma.nii.gz, or one of {', '.join(FIT_SOURCES)}. Check "
                "the path"
            )
        found = io.load_map(value, dwi)
        lost = 0 if dwi is None else int(np.count_nonzero(np.isnan(found) & dwi.mask))
        if dwi is not None and lost:
            raise ShapeError(
                f"the map {value} of --sigma has no value in {lost} of the {dwi.n_voxels} voxels "
                "to be fitted; expected one in each. Give a map of all of them, or a smaller mask"
            )
        return found

    def noise_line(self, noise: Any) -> str:
        """Return what to say about the noise if it was estimated; empty if it was given."""
        if self.sigma not in FIT_SOURCES:
            return ""
        if isinstance(noise, NoiseEstimate):
            return f"noise: {noise}"
        return "noise: from the residuals of each voxel"


def _maps(text: str, option: str, scans: Sequence[Path], screen: Screen) -> list[Path]:
    """Return the map for each scan; the error for a missing one also mentions a number."""
    try:
        files = files_for(text, option, scans, screen)
    except OptionError as error:
        if not str(error).startswith("there is no file"):
            raise
        raise OptionError(
            f"{option} is {text!r}: that is neither a number nor a file next to the scan or in "
            "the working directory; expected something like 12.5 or map.nii.gz"
            f"{', or one of ' + ', '.join(FIT_SOURCES) if option == '--sigma' else ''}. Check the "
            "path"
        ) from None
    for file in dict.fromkeys(files):
        open_volume(file, "a map")
    return files


def _b_values(method: FitMethod) -> list[str]:
    """Name the options of a method that are b-values."""
    fields = dataclasses.fields(method)
    return [field.name for field in fields if field.metadata.get("unit") == "s/mm^2"]


def _has_perfusion(model: SignalModel) -> bool:
    # Without a perfusion fraction there is no threshold: an ADC uses all b-values.
    return bool(model.fractions)


def _number_or_file(text: str) -> float | Path:
    try:
        return number(text)
    except ValueError:
        return Path(text)


def _loaded(name: str, value: float | Path, dwi: DWI | None) -> Any:
    if isinstance(value, float):
        return value
    if not value.exists():
        raise OptionError(
            f"--fix {name}={value}: that is neither a number nor a file; expected something like "
            "D_star=0.02 or D=D.nii.gz. Check the path"
        )
    return io.load_map(value, dwi)
