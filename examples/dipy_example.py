"""DIPY's example of intravoxel incoherent motion, with one import changed.

    python examples/dipy_example.py [FOLDER]

The steps are those of DIPY's example "Intravoxel incoherent motion": look at a slice, fit part of
it by two methods, show the maps, and compare both fits in one voxel. A brain phantom replaces the
scan, so that nothing is downloaded. Figures go to FOLDER, or to a new temporary folder.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import ivimkit as ik

# In DIPY's example: from dipy.reconst.ivim import IvimModel
from ivimkit.compat.dipy import IvimModel

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="ivim-"))
folder.mkdir(parents=True, exist_ok=True)

# The b-values are those of the scan in DIPY's example. Its gtab is a GradientTable; any object
# with b-values in .bvals works. With fewer than nine averages, D* of the brain
# cannot be seen.
phantom = ik.simulate.phantom(
    "brain", shape=(96, 108, 6), bvals=ik.simulate.B21, snr=80, n_averages=9, seed=1
)
data = phantom.dwi.signal
gtab = SimpleNamespace(bvals=phantom.dwi.acquisition.bvals)
print(f"data.shape {data.shape}")

z, b = 3, 0
plt.imshow(data[:, :, z, b].T, origin="lower", cmap="gray", interpolation="nearest")
plt.axhline(y=54)
plt.axvline(x=48)
plt.savefig(folder / "slice.png")
plt.close()

# Part of the slice: fluid in the ventricles, with white and grey matter around it.
x1, x2, y1, y2 = 22, 74, 30, 82
data_slice = data[x1:x2, y1:y2, z, :]
plt.imshow(data_slice[..., b].T, origin="lower", cmap="gray", interpolation="nearest")
plt.savefig(folder / "part_of_slice.png")
plt.close()


def plot_map(raw_data, variable, limits, filename):
    fig, ax = plt.subplots(1)
    ax.set_title(f"Map for {variable}")
    im = ax.imshow(raw_data.T, origin="lower", clim=limits, cmap="gray", interpolation="nearest")
    fig.colorbar(im)
    fig.savefig(folder / filename)
    plt.close(fig)


def plot_maps(fit, name):
    S0_limits = (0, float(np.nanmax(data_slice[..., 0])))
    plot_map(fit.S0_predicted, "predicted S0", S0_limits, f"{name}_predicted_S0.png")
    plot_map(data_slice[..., 0], "measured S0", S0_limits, f"{name}_measured_S0.png")
    plot_map(fit.perfusion_fraction, "f", (0, 0.2), f"{name}_perfusion_fraction.png")
    plot_map(fit.D_star, "D*", (0, 0.1), f"{name}_perfusion_coeff.png")
    plot_map(fit.D, "D", (0, 0.003), f"{name}_diffusion_coeff.png")


# First with two straight lines as the start of least squares.
ivimmodel = IvimModel(gtab, fit_method="trr")
ivimfit = ivimmodel.fit(data_slice)
ivimparams = ivimfit.model_params
print(f"ivimparams.shape : {ivimparams.shape}")

i, j = 10, 10
print("trr   ", ivimfit.model_params[i, j, :])
plot_maps(ivimfit, "trr")

# Then by variable projection, which needs neither thresholds nor starting values.
ivimmodel_vp = IvimModel(gtab, fit_method="VarPro")
ivimfit_vp = ivimmodel_vp.fit(data_slice)
print("VarPro", ivimfit_vp.model_params[i, j, :])
plot_maps(ivimfit_vp, "varpro")

# The signal of one voxel and the prediction of both fits.
fig, ax = plt.subplots(1)
ax.scatter(gtab.bvals, data_slice[i, j, :], color="green", label="Measured signal")
for name, fit, height in (("trr", ivimfit, 0.34), ("VarPro", ivimfit_vp, 0.14)):
    style = "-" if name == "trr" else "--"
    ax.plot(gtab.bvals, fit.predict(gtab)[i, j, :], style, label=f"{name} prediction")
    S0_est, f_est, D_star_est, D_est = fit.model_params[i, j, :]
    text_fit = (
        f"{name} param estimates:\nS0={S0_est:06.3f} f={f_est:06.4f}\n"
        f"D*={D_star_est:06.5f} D={D_est:06.5f}"
    )
    ax.text(0.25, height, text_fit, ha="center", va="center", transform=ax.transAxes)
ax.set_xlabel("bvalues")
ax.set_ylabel("Signals")
ax.legend(loc="upper right")
fig.savefig(folder / "ivim_voxel_plot.png")
plt.close(fig)
print(f"{len(list(folder.glob('*.png')))} figures in {folder}")
