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
from ivimkit.scan.variables import ECHO_TIME, groups_of

# At an SNR of 30 at the first echo time, 24 volumes leave T2b and f an error of 40 %.
_MIN_VOLUMES = 36
# Above this b-value, in s/mm^2, blood has little signal left.
_MAX_LOW_B = 100.0

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
    if model["T2_blood"].fixed or "T2_blood" in model.fixed_maps:
        return
    if acquisition.n_volumes < _MIN_VOLUMES:
        yield (
            f"{acquisition.n_volumes} volumes; expected {_MIN_VOLUMES} or more for T2b and f of "
            "single voxels, whose errors are correlated by about -0.95, as a longer T2b looks "
            "like more blood. Fix T2b if it is known (--fix T2_blood=160), or fit the mean "
            "signals of regions"
        )
    low_b = (acquisition.bvals > 0.0) & (acquisition.bvals <= _MAX_LOW_B)
    times = acquisition.numbers_of(ECHO_TIME.name)[low_b]
    n_times = len(set(groups_of(ECHO_TIME.name, times).tolist()))
    if n_times < 2:
        yield (
            f"{n_times or 'no'} echo time with b-values above 0 and up to {_MAX_LOW_B:g} s/mm^2; "
            "expected two or more, as blood differs from tissue at low b-values alone. Fix T2b "
            "(--fix T2_blood=160), or measure low b-values at each echo time"
        )


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
