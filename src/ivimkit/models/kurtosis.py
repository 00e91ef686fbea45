"""IVIM with kurtosis: blood, and tissue whose diffusion is not Gaussian."""

from __future__ import annotations

from ivimkit.extend.compartment import Compartment, Product
from ivimkit.extend.derived_maps import FLOW
from ivimkit.extend.ivim_parameters import D_STAR, D, F
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import decay, decay_bend, kurtosis, kurtosis_bend
from ivimkit.parameter import Parameter

# Tumours have 0.5 to 1.2, healthy tissue of the body a little less. The signal rises again beyond
# b = 3 / (D K), which is no diffusion any more.
K = Parameter(
    "K",
    "K",
    "",
    0.0,
    3.0,
    0.7,
    display=(0.0, 2.0),
    description="kurtosis",
    plausible=(0.0, 10.0),
    role="shape",
    typical=(0.5, 1.2),
)

MODEL = SignalModel(
    name="kurtosis",
    title="IVIM with kurtosis",
    equation="S(b) = S0 [f exp(-b D*) + (1-f) exp(-b D + (b D)^2 K / 6)]",
    compartments=(
        Compartment("blood", decay, (D_STAR,), fraction=F, signal="perfusion", second=decay_bend),
        Compartment("tissue", kurtosis, (D, K), second=kurtosis_bend),
    ),
    ascending=(("D", "D_star"),),
    products=(Product(FLOW, ("f", "D_star")),),
    special_cases={
        "biexp": {"K": 0.0},
        "sivim": {"D_star": float("inf"), "K": 0.0},
        "monoexp": {"f": 0.0, "K": 0.0},
    },
    references=(
        "Jensen JH et al. Diffusional kurtosis imaging: the quantification of non-Gaussian water "
        "diffusion by means of magnetic resonance imaging. Magn Reson Med 2005;53:1432-1440. "
        "doi:10.1002/mrm.20508",
        "Lu Y et al. Extension of the intravoxel incoherent motion model to non-Gaussian "
        "diffusion in head and neck cancer. J Magn Reson Imaging 2012;36:1088-1096. "
        "doi:10.1002/jmri.23770",
    ),
    b_needed=1500.0,
)
