"""PhantomFiles: a digital phantom as a folder of files; the work behind ``ivimkit simulate``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import __version__, io, simulate
from ivimkit.cli.options.artefact_input import ArtefactInput
from ivimkit.cli.options.assignments import number, number_list, parse_assignments, triple
from ivimkit.cli.options.model_file import model_of
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.options.protocol_input import ProtocolInput
from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.io.json_text import write_json
from ivimkit.io.map_files import SCAN_ENDINGS
from ivimkit.io.result_folder import check_free
from ivimkit.io.variable_files import TABLE_ENDINGS
from ivimkit.scan.acquisition import Acquisition
from ivimkit.simulate import Artefacts, Phantom, TrueArtefacts
from ivimkit.writing import write_folder

__all__ = ["PhantomFiles"]

# What is read with the scan, if it is there: a new scan without one must not find an old one.
_OPTIONAL = tuple(
    f"dwi{ending}"
    for ending in dict.fromkeys((*SCAN_ENDINGS.values(), *TABLE_ENDINGS))
    if ending != SCAN_ENDINGS["bvals"]
)
_NAMES = "labels.tsv"
_RECORD = "phantom.json"
_DEFAULT_TEXTURE = "default"
_BODY = "body.nii.gz"
_DISPLACEMENT = "true_displacement.nii.gz"


@dataclass(frozen=True)
class PhantomFiles:
    """The settings of a phantom.

    Parameters
    ----------
    kind : str
        See `ivimkit.simulate.phantom`.
    shape : str
        ``X,Y,Z``.
    protocol : ProtocolInput
        The volumes.
    model : str
        Name of the model, or a Python file that defines one.
    snr : float
        See `ivimkit.simulate.phantom`.
    noise : str
        Kind of noise, or ``"none"``.
    averages, seed : int
        See `ivimkit.simulate.phantom`.
    texture : str, optional
        ``NAME=SD,...``, or ``default``.
    texture_smooth, texture_fwhm : float, optional
        See `ivimkit.simulate.Texture`; only with `texture`.
    lesions : str, optional
        Radii in mm, with commas.
    artefacts : ArtefactInput
        What goes wrong in the scan.
    """

    kind: str = "abdomen"
    shape: str = "128,96,10"
    protocol: ProtocolInput = field(default_factory=ProtocolInput)
    model: str = simulate.PHANTOM_MODEL
    snr: float = 40.0
    noise: str = "rician"
    averages: int = 1
    seed: int = 0
    texture: str | None = None
    texture_smooth: float | None = None
    texture_fwhm: float | None = None
    lesions: str | None = None
    artefacts: ArtefactInput = field(default_factory=ArtefactInput)

    def write(self, folder: Path, *, overwrite: bool) -> Phantom:
        """Simulate the phantom and write its files, all or none.

        Parameters
        ----------
        folder : Path
            Where to.
        overwrite : bool
            Whether files of the same names may be replaced.

        Returns
        -------
        Phantom
        """
        check_writable(folder)
        model, acquisition = model_of(self.model), self.protocol.acquisition()
        artefacts = self.artefacts.artefacts()
        names = _names(model, acquisition, artefacts)
        check_free(folder, (*names, *_OPTIONAL), overwrite=overwrite)
        made = self._simulated(model, acquisition, artefacts)
        outdated = [name for name in _outdated(folder) if name not in names] if overwrite else []
        write_folder(folder, names, partial(self._write_all, made), outdated=outdated)
        return made

    def _simulated(
        self, model: SignalModel, acquisition: Acquisition, artefacts: Artefacts | None
    ) -> Phantom:
        silent = self.noise == "none"
        return simulate.phantom(
            self.kind,
            model=model,
            shape=triple(self.shape, "--shape"),
            bvals=acquisition,
            snr=None if silent else self.snr,
            noise="rician" if silent else self.noise,
            seed=self.seed,
            n_averages=self.averages,
            texture=self._texture(),
            lesions=self._radii(),
            artefacts=artefacts,
        )

    def _texture(self) -> simulate.Texture | None:
        given = {"smooth": self.texture_smooth, "fwhm": self.texture_fwhm}
        further: dict[str, Any] = {k: value for k, value in given.items() if value is not None}
        if self.texture is None:
            if further:
                raise OptionError(
                    f"--texture-{min(further)} was given without --texture; expected both. Add "
                    "--texture default, or leave it out"
                )
            return None
        if self.texture.strip() == _DEFAULT_TEXTURE:
            return simulate.Texture(**further)
        words = [word for word in self.texture.split(",") if word.strip()]
        spread = parse_assignments(words, "--texture", "D=0.1", number)
        if not spread:
            raise OptionError(
                f"--texture is {self.texture!r}; expected names and numbers, like D=0.1,f=0.2, or "
                f"{_DEFAULT_TEXTURE}"
            )
        return simulate.Texture(spread, **further)

    def _radii(self) -> list[float]:
        return [] if self.lesions is None else number_list(self.lesions, "--lesions")

    def _write_all(self, made: Phantom, folder: Path) -> None:
        geometry = made.dwi.geometry
        io.save_scan(made.dwi, folder / "dwi.nii.gz")
        io.save_map(made.dwi.mask.astype(np.uint8), folder / "mask.nii.gz", geometry)
        io.save_map(made.labels, folder / "labels.nii.gz", geometry)
        (folder / _NAMES).write_text(_table_of_names(made.label_names), encoding="utf-8")
        for name, values in made.truth.items():
            about = dataclasses.replace(made.model[name], name=f"true_{name}")
            io.save_map(values, folder / f"true_{name}.nii.gz", geometry, about=about)
        if made.artefacts is not None:
            io.save_map(made.artefacts.body.astype(np.uint8), folder / _BODY, geometry)
            if _breathes(made.artefacts.given):
                io.save_map(_displacements(made.artefacts), folder / _DISPLACEMENT, geometry)
        write_json(folder / _RECORD, self._record(made))

    def _record(self, made: Phantom) -> dict[str, Any]:
        tissues = dict(zip(made.label_names, made.tissues, strict=True))
        acquisition = made.dwi.acquisition
        return {
            "ivimkit": __version__,
            "kind": self.kind,
            "model": made.model.name,
            "equation": made.model.equation,
            "shape": self.shape,
            "bvals": acquisition.bvals,
            "variables": acquisition.variables,
            "snr": self.snr,
            "noise": self.noise,
            "averages": self.averages,
            "seed": self.seed,
            **self._scene(),
            **({} if made.artefacts is None else _artefact_record(made.artefacts)),
            "sigma": made.sigma,
            "labels": {str(label): _known(tissue) for label, tissue in tissues.items()},
        }

    def _scene(self) -> dict[str, Any]:
        """Return texture and lesions for the record; nothing if there are none."""
        texture, radii = self._texture(), self._radii()
        found: dict[str, Any] = {} if texture is None else {"texture": dataclasses.asdict(texture)}
        return found | ({"lesions_mm": radii} if radii else {})


def _names(model: SignalModel, acquisition: Acquisition, artefacts: Artefacts | None) -> list[str]:
    """Return the names of all files of a phantom; that of its record last."""
    directions = [] if acquisition.bvecs is None else ["dwi.bvec"]
    table = [f"dwi{TABLE_ENDINGS[0]}"] if acquisition.variables else []
    truth = [f"true_{name}.nii.gz" for name in model.names]
    images = ["mask.nii.gz", "labels.nii.gz", _NAMES, *truth]
    if artefacts is not None:
        images += [_BODY, *([_DISPLACEMENT] if _breathes(artefacts) else [])]
    return ["dwi.nii.gz", "dwi.bval", *directions, *table, *images, _RECORD]


def _table_of_names(names: Mapping[int, str]) -> str:
    """Return the names of the labels as a table, which is found next to their image."""
    return "index\tname\n" + "".join(f"{label}\t{name}\n" for label, name in names.items())


def _outdated(folder: Path) -> list[str]:
    """Return what an earlier phantom left that is misleading with another protocol or model."""
    earlier = (folder / _RECORD).is_file()
    truth = sorted(path.name for path in folder.glob("true_*.nii.gz")) if earlier else []
    spoiled = [_BODY, _DISPLACEMENT] if earlier else []
    return [*_OPTIONAL, *truth, *spoiled]


def _known(tissue: simulate.Tissue) -> dict[str, Any]:
    """Return the defined values of a tissue: without perfusion there is no D*."""
    return {"name": tissue.name, **tissue.values, "source": tissue.source}


def _breathes(artefacts: Artefacts) -> bool:
    return artefacts.motion is not None and artefacts.motion.kind == "breathing"


def _displacements(truth: TrueArtefacts) -> NDArray[np.float32]:
    """Return the displacements of all volumes, shape (x, y, z, n_volumes, 3), mm."""
    volumes = range(truth.n_volumes)
    return np.stack([truth.displacement(k).astype(np.float32) for k in volumes], axis=3)


def _artefact_record(truth: TrueArtefacts) -> dict[str, Any]:
    """Return what was asked for, and what has happened to each volume."""
    given = dataclasses.asdict(truth.given)
    lost = [
        {"volume": int(volume), "slice": int(k), "factor": truth.dropout_factors[volume, k]}
        for volume, k in np.argwhere(truth.dropped)
    ]
    happened = {"drift": truth.drift, "dropouts": lost}
    if truth.transforms is not None:
        happened["transforms"] = truth.transforms
    return {
        "artefacts": {name: value for name, value in given.items() if value is not None},
        "true_artefacts": happened,
    }
