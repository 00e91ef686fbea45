"""Ballistic IVIM: blood that does not turn while the gradients are on."""

from __future__ import annotations

from collections.abc import Iterator

from ivimkit.extend.compartment import Compartment
from ivimkit.extend.flow_weighting import flow_weighting
from ivimkit.extend.ivim_parameters import D, F, V
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend
from ivimkit.kernels.separable.flow_atoms import ballistic, ballistic_bend
from ivimkit.scan.acquisition import Acquisition

# From this b-value on, in s/mm^2, blood has lost its signal, and only tissue is left.
_MIN_HIGH_B = 300.0


def advice(model: SignalModel, acquisition: Acquisition) -> Iterator[str]:
    """Yield why the flow weighting of a scan is a poor choice, a sentence each."""
    if model["v"].fixed or flow_weighting(acquisition) != "sensitive":
        return
    highest = float(acquisition.bvals.max())
    beginning = "no volume with b > 0 is flow-compensated; expected some, at the same b-values. "
    if highest < _MIN_HIGH_B:
        yield (
            f"{beginning}f, v and D cannot be separated: up to b = {highest:g} s/mm^2 the errors "
            "of f and D are correlated by nearly -1"
        )
    else:
        yield f"{beginning}f is separated from D by b alone, as in model biexp, with larger errors"


MODEL = SignalModel(
    name="ballistic",
    title="ballistic IVIM",
    equation="S(b, c) = S0 [f exp(-b Db - c^2 v^2 / 6) + (1-f) exp(-b D)], Db = 0.00175 mm^2/s",
    compartments=(
        Compartment(
            "blood",
            ballistic,
            (V,),
            fraction=F,
            variables=("b", "c"),
            signal="perfusion",
            second=ballistic_bend,
        ),
        Compartment("tissue", decay, (D,), second=decay_bend),
    ),
    special_cases={"monoexp": {"f": 0.0}},
    references=(
        "Kennan RP, Gao JH, Zhong J, Gore JC. A general model of microcirculatory blood flow "
        "effects in gradient sensitized MRI. Med Phys 1994;21:539-545. doi:10.1118/1.597170",
        "Ahlgren A et al. Quantification of microcirculatory parameters by joint analysis of "
        "flow-compensated and non-flow-compensated intravoxel incoherent motion (IVIM) data. NMR "
        "Biomed 2016;29:640-649. doi:10.1002/nbm.3505",
    ),
    b_valid=1500.0,
    advise=advice,
)
