"""PhantomFiles: a digital phantom as a folder of files; the work behind ``ivimkit simulate``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ivimkit import __version__, io, models, simulate
from ivimkit.cli.options.assignments import number_list, triple
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.io.json_text import write_json
from ivimkit.io.result_folder import check_free
from ivimkit.simulate import Phantom
from ivimkit.writing import write_folder

__all__ = ["PhantomFiles"]

_SETS = {"b13": simulate.B13, "b21": simulate.B21}
_MODEL = models.get(simulate.PHANTOM_MODEL)
_TRUTH = _MODEL.names
_NAMES = (
    "dwi.nii.gz",
    "dwi.bval",
    "mask.nii.gz",
    "labels.nii.gz",
    *(f"true_{name}.nii.gz" for name in _TRUTH),
    "phantom.json",
)


@dataclass(frozen=True)
class PhantomFiles:
    """The settings of a phantom.

    Parameters
    ----------
    kind : str
        See `ivimkit.simulate.phantom`.
    shape : str
        ``X,Y,Z``.
    bvals : str
        List of b-values, or the name of a set.
    snr : float
        See `ivimkit.simulate.phantom`.
    noise : str
        Kind of noise, or ``"none"``.
    averages, seed : int
        See `ivimkit.simulate.phantom`.
    """

    kind: str = "abdomen"
    shape: str = "128,96,10"
    bvals: str = "b13"
    snr: float = 40.0
    noise: str = "rician"
    averages: int = 1
    seed: int = 0

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
        check_free(folder, _NAMES, overwrite=overwrite)
        made = self._simulated()
        write_folder(folder, _NAMES, partial(self._write_all, made))
        return made

    def _simulated(self) -> Phantom:
        silent = self.noise == "none"
        named = _SETS.get(self.bvals)
        return simulate.phantom(
            self.kind,
            shape=triple(self.shape, "--shape"),
            bvals=number_list(self.bvals, "--bvals") if named is None else named,
            snr=None if silent else self.snr,
            noise="rician" if silent else self.noise,
            seed=self.seed,
            n_averages=self.averages,
        )

    def _write_all(self, made: Phantom, folder: Path) -> None:
        geometry = made.dwi.geometry
        io.save_scan(made.dwi, folder / "dwi.nii.gz")
        io.save_map(made.dwi.mask.astype(np.uint8), folder / "mask.nii.gz", geometry)
        io.save_map(made.labels, folder / "labels.nii.gz", geometry)
        for name in _TRUTH:
            about = dataclasses.replace(_MODEL[name], name=f"true_{name}")
            io.save_map(made.truth[name], folder / f"true_{name}.nii.gz", geometry, about=about)
        write_json(folder / "phantom.json", self._record(made))

    def _record(self, made: Phantom) -> dict[str, Any]:
        tissues = dict(zip(made.label_names, made.tissues, strict=True))
        return {
            "ivimkit": __version__,
            **dataclasses.asdict(self),
            "bvals": made.dwi.acquisition.bvals,
            "sigma": made.sigma,
            "labels": {str(label): _known(tissue) for label, tissue in tissues.items()},
        }


def _known(tissue: simulate.Tissue) -> dict[str, Any]:
    """Return the defined values of a tissue: without perfusion there is no D*."""
    return {"name": tissue.name, **tissue.values, "source": tissue.source}
