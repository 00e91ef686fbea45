"""Bi-exponential IVIM at several echo times: blood and tissue with a T2 each."""

from __future__ import annotations

from collections.abc import Iterator

from ivimkit.extend.compartment import Compartment, Product
from ivimkit.extend.derived_maps import FLOW
from ivimkit.extend.ivim_parameters import D_STAR, D, F
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import relaxing, relaxing_bend
from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import ECHO_TIME

T2_BLOOD = Parameter(
    "T2_blood",
    "T2b",
    "ms",
    30.0,
    400.0,
    160.0,
    display=(0.0, 300.0),
    description="T2 of blood",
    plausible=(1.0, 2000.0),
    role="time",
    scale="log",
    typical=(60.0, 240.0),
    least=1.0,
)

T2_TISSUE = Parameter(
    "T2_tissue",
    "T2t",
    "ms",
    10.0,
    400.0,
    50.0,
    display=(0.0, 150.0),
    description="T2 of tissue",
    plausible=(1.0, 2000.0),
    role="time",
    scale="log",
    typical=(30.0, 100.0),
    least=1.0,
)


def advice(model: SignalModel, acquisition: Acquisition) -> Iterator[str]:
    """Yield why the echo times of a scan are a poor choice, a sentence each."""
    if not model["T2_blood"].fixed and "T2_blood" not in model.fixed_maps:
        yield (
            "T2b is hardly identifiable in single voxels, and with it f: their errors are "
            "correlated by about -0.97, as at few echo times a longer T2b looks like more blood; "
            "expected a T2b that is known, like --fix T2_blood=160, or mean signals of regions at "
            "an SNR of 100"
        )
    perfused = _echo_times(acquisition, 0.0, 100.0)
    if not model["T2_blood"].fixed and perfused < 2:
        yield (
            f"{perfused} echo time with b-values above 0 and up to 100 s/mm^2; expected two or "
            "more, as blood is told from tissue at low b-values alone. Fix T2b (--fix "
            "T2_blood=160), or measure low b-values at each echo time"
        )


def _echo_times(acquisition: Acquisition, low: float, high: float) -> int:
    """Return how many echo times have two or more b-values in a range, one of them above `low`."""
    times = acquisition.numbers_of(ECHO_TIME.name)
    inside = (acquisition.bvals > low) & (acquisition.bvals <= high)
    return len({round(2.0 * float(time)) for time in times[inside]})


MODEL = SignalModel(
    name="biexp_t2",
    title="bi-exponential IVIM with T2",
    equation="S(b, TE) = S0 [f exp(-b D* - TE/T2b) + (1-f) exp(-b D - TE/T2t)]",
    compartments=(
        Compartment(
            "blood",
            relaxing,
            (D_STAR, T2_BLOOD),
            fraction=F,
            variables=("b", "echo_time"),
            signal="perfusion",
            second=relaxing_bend,
        ),
        Compartment(
            "tissue", relaxing, (D, T2_TISSUE), variables=("b", "echo_time"), second=relaxing_bend
        ),
    ),
    ascending=(("D", "D_star"),),
    products=(Product(FLOW, ("f", "D_star")),),
    references=(
        "Jerome NP et al. Extended T2-IVIM model for correction of TE dependence of "
        "pseudo-diffusion volume fraction in clinical diffusion-weighted magnetic resonance "
        "imaging. Phys Med Biol 2016;61:N667-N680. doi:10.1088/1361-6560/61/24/N667",
    ),
    b_valid=1500.0,
    advise=advice,
)
