"""Intermediate IVIM: blood that turns a few times, or hardly, while the gradients are on."""

from __future__ import annotations

from collections.abc import Iterator

from ivimkit.extend.compartment import Compartment
from ivimkit.extend.flow_weighting import flow_weighting
from ivimkit.extend.ivim_parameters import D, F, V
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend
from ivimkit.kernels.separable.flow_atoms import turning, turning_bend
from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import ENCODING_TIME

# Blood turns too rarely in gradients that are shorter than this share of tau.
_MIN_SHARE_OF_TAU = 0.3

TAU = Parameter(
    "tau",
    "tau",
    "ms",
    10.0,
    1000.0,
    150.0,
    display=(0.0, 400.0),
    description="correlation time of the velocity of blood",
    plausible=(0.1, 10000.0),
    role="time",
    scale="log",
    typical=(60.0, 240.0),
    least=0.1,
)


def advice(model: SignalModel, acquisition: Acquisition) -> Iterator[str]:
    """Yield why the timing of the gradients is a poor choice, a sentence each."""
    if model["tau"].fixed or "tau" in model.fixed_maps:
        return
    weighting = flow_weighting(acquisition)
    if weighting == "sensitive":
        yield (
            "no volume with b > 0 is flow-compensated; expected some, at the same b-values. tau "
            "is hardly identifiable"
        )
    elif weighting == "compensated":
        yield (
            "all volumes are flow-compensated; expected some that are not, at the same b-values. "
            "v and tau can hardly be separated"
        )
    low, high = model["tau"].usual
    longest = acquisition.numbers_of(ENCODING_TIME.name)[acquisition.bvals > 0.0].max()
    if longest < _MIN_SHARE_OF_TAU * low:
        yield (
            f"encoding times of up to {longest:g} ms; expected some of the order of tau ({low:g} "
            f"to {high:g} ms). Blood hardly turns: use model ballistic"
        )


_TIMING = ("b", "gradient_duration", "gradient_separation", "encoding_time", "gradient_code")

MODEL = SignalModel(
    name="intermediate",
    title="intermediate IVIM",
    equation=(
        "S(b, gradients) = S0 [f exp(-b Db - b v^2 h(tau) / 3) + (1-f) exp(-b D)], "
        "Db = 0.00175 mm^2/s"
    ),
    compartments=(
        Compartment(
            "blood",
            turning,
            (V, TAU),
            fraction=F,
            variables=_TIMING,
            signal="perfusion",
            second=turning_bend,
        ),
        Compartment("tissue", decay, (D,), second=decay_bend),
    ),
    special_cases={"monoexp": {"f": 0.0}},
    references=(
        "Wetscherek A, Stieltjes B, Laun FB. Flow-compensated intravoxel incoherent motion "
        "diffusion imaging. Magn Reson Med 2015;74:410-419. doi:10.1002/mrm.25410",
        "Kennan RP, Gao JH, Zhong J, Gore JC. A general model of microcirculatory blood flow "
        "effects in gradient sensitized MRI. Med Phys 1994;21:539-545. doi:10.1118/1.597170",
    ),
    b_valid=1500.0,
    advise=advice,
)
