"""Average: the volumes of each setting are replaced by their mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError
from ivimkit.extend.preprocessing_step import Outcome, Progress, Step, Workpiece, check_yes_or_no
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import DIRECTION, B

__all__ = ["STEP", "Average"]

_CHUNK = 1 << 16


@final
@dataclass(frozen=True)
class Average(Step):
    """The volumes of each setting are replaced by their mean, so that a saved scan is small.

    By the rule of the scan (`DWI.average`), as a fit would average them: values of weight 0 have
    no part in it. A value of which nothing is left is missing. The number of images behind each
    mean is kept, as the weight of a value depends on it.

    Parameters
    ----------
    directions : bool
        Whether directions stay apart, as models of the direction need; by default all volumes of a
        b-value become one.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(16, 12, 1), bvals=np.repeat([0, 50, 800], 4)).dwi
    >>> made = ik.preprocess(dwi, "average").dwi
    >>> made.signal.shape, made.averages.tolist()
    ((16, 12, 1, 3), [4.0, 4.0, 4.0])
    """

    name: ClassVar[str] = "average"
    title: ClassVar[str] = "Averages"
    stage: ClassVar[str] = "average"

    directions: bool = False

    def __post_init__(self) -> None:
        check_yes_or_no("directions", self.directions)

    def check(self, dwi: DWI) -> None:
        """Refuse a scan whose volumes are not to be averaged, or without directions to keep."""
        if dwi.average == "none":
            raise InputError(
                "step average: the scan is one whose volumes are fitted one by one (average "
                "none); expected another rule. Leave out the step, or choose a rule"
            )
        if self.directions and dwi.acquisition.bvecs is None:
            raise InputError(
                "step average: the directions of the volumes are not known, so they cannot stay "
                "apart; expected b-vectors. Leave out directions=yes"
            )

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Average the volumes of each setting."""
        before = work.dwi
        dwi = before
        if self.directions:
            dwi = before.for_variables((B.name, *(axis.name for axis in DIRECTION)))
        n = before.acquisition.n_volumes
        made = _averaged(dwi, progress)
        counts = dwi.fit_averages
        return Outcome(
            replace(work, dwi=made, unmoved=None, transforms=None),
            f"{n} volumes were averaged to {made.acquisition.n_volumes}, one per "
            f"{'b-value and direction' if self.directions else 'setting'}",
            {"volumes": n, "means": made.acquisition.n_volumes, "images": counts.tolist()},
        )


def _averaged(dwi: DWI, progress: Progress) -> DWI:
    """Return the scan with one volume per setting."""
    everywhere = dwi.with_mask(None)
    reader = everywhere.voxels()
    n, columns = reader.n_voxels, reader.n_columns
    signal = np.empty((n, columns), dtype=np.float32)
    rows = np.empty((_CHUNK, columns))
    shares: NDArray[np.float32] | None = None
    if dwi.value_weights is not None:
        shares = np.empty((n, columns), dtype=np.float32)
    # A setting without any weight keeps its plain mean, and has the weight 0 as a volume.
    total = np.where(dwi.fit_counts > 0.0, dwi.fit_counts, 1.0)
    for start in range(0, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        reader.read(start, stop, rows[: stop - start])
        signal[start:stop] = rows[: stop - start]
        if shares is not None:
            shares[start:stop] = reader.read_weights(start, stop) / total
        progress(stop / n)
    return dwi.with_signal(
        _volumes(reader, signal, dwi),
        acquisition=dwi.value_acquisition,
        average="auto",
        averages=dwi.fit_averages,
        weights=_weights(dwi),
        value_weights=None if shares is None else _volumes(reader, shares, dwi),
        source_context=_context(dwi),
    )


def _volumes(reader: Any, values: NDArray[np.float32], dwi: DWI) -> NDArray[np.float32]:
    """Return values per voxel as volumes, in the memory order of the scan."""
    found = np.empty((*dwi.shape, values.shape[1]), dtype=np.float32, order="F")
    for column in range(values.shape[1]):
        found[..., column] = reader.scatter(values[:, column], np.nan)
    return found


def _weights(dwi: DWI) -> NDArray[np.float64] | None:
    """Return the weights of the means, if they are not the numbers of their images."""
    counts = dwi.fit_counts
    return None if np.array_equal(counts, dwi.fit_averages) else counts


def _context(dwi: DWI) -> Any:
    """Return what the files say of the first volume of each setting."""
    context = dwi.source_context
    if context is None:
        return None
    firsts = [int(dwi.volumes[shell.volumes[0]]) for shell in dwi.acquisition.shells]
    return context.of_volumes(firsts)


STEP = Average
