"""What every method makes of 2 000 noisy voxels with every model of one or two decays of b.

``PYTHONPATH=tests python -m golden.fits`` writes the file anew. Do that only where a change of the
numbers is meant.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

import ivimkit as ik
from ivimkit.status import BOUND_SHIFT

FILE = Path(__file__).with_name("fits.npz")
MODELS = ("biexp", "sivim", "monoexp")
MAPS = ("S0", "f", "D_star", "D", "ADC", "cost", "sigma", "ln_evidence")


def methods() -> dict[str, object]:
    """Return every method, with the options that lead to other code."""
    return {
        "varpro": ik.methods.VarPro(),
        "varpro rician": ik.methods.VarPro(noise="rician"),
        "segmented 2": ik.methods.Segmented(steps=2),
        "segmented 3": ik.methods.Segmented(steps=3),
        "trr": ik.methods.TRR(),
        "loglinear": ik.methods.LogLinear(),
        "bayes flat": ik.methods.Bayes(prior=ik.priors.Flat()),
    }


def made_signals(bvals: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return 2 000 voxels of abdominal tissue at two noise levels, some of them odd."""
    parts = []
    for snr in (20, 60):
        dwi = ik.simulate.phantom("abdomen", shape=(72, 56, 1), bvals=bvals, snr=snr, seed=snr).dwi
        parts.append(dwi.signal[dwi.mask][:1000])
    signals = np.concatenate(parts).astype(np.float32)
    signals[0] = 0.0
    signals[1] = -signals[1]
    signals[2, 3] = np.nan
    signals[4, -4:] = -5.0
    signals[5] = signals[5, ::-1]
    return signals


def here() -> str:
    """Return what decides the last digits: the processor and the compiler."""
    llvm = ".".join(map(str, binding.llvm_version_info))
    return f"{binding.get_host_cpu_name()}, numba {numba.__version__}, LLVM {llvm}"


def fits(
    signals: NDArray[np.float32], bvals: NDArray[np.float64]
) -> Iterator[tuple[str, NDArray]]:
    """Yield the name of every map and its values."""
    for name, method in methods().items():
        for model in MODELS:
            try:
                result = ik.fit(
                    signals.astype(float), bvals, model=model, method=method, device="cpu"
                )
            except ik.errors.OptionError:
                continue
            # The flags of uncertain parameters follow from the maps, and are not in the file.
            old = (1 << BOUND_SHIFT + 2 * len(result.model.parameters)) - 1
            yield f"{name}/{model}/status", result.status & old
            for key in MAPS:
                if key in result.maps:
                    yield f"{name}/{model}/{key}", np.asarray(result.maps[key])


def main(out: Path) -> None:
    """Fit the stored voxels and write all maps; the file of the repository gets new voxels."""
    bvals = np.array(ik.simulate.B21, float)
    signals = made_signals(bvals) if out == FILE else np.load(FILE)["signals"]
    np.savez_compressed(
        out, machine=here(), signals=signals, bvals=bvals, **dict(fits(signals, bvals))
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
