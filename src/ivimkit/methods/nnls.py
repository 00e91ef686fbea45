"""NNLS: the spectrum of decay rates by non-negative least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ivimkit.methods._spectral import SpectralMethod


@final
@dataclass(frozen=True)
class NNLS(SpectralMethod):
    """The spectrum of decay rates: non-negative least squares with a penalty on roughness.

    The signal is a sum of many decays with given rates, log-spaced bins, whose amplitudes x >= 0
    minimise ``|W (E x - S)|^2 + mu^2 |L x|^2``, with the decays E, the roots of the weights W and
    differences L of neighbouring amplitudes. The number of compartments does not have to be known:
    the peaks of the spectrum show it. The ranges of the rates of the model, without their overlap,
    are the windows of the spectrum: for each of them the maps contain its share (the fraction),
    the logarithmic mean of its rates and the standard deviation of their logarithms
    (``D_width``), and of compartments with a fraction its product with the rate (``_flow``).

    Further maps are ``n_peaks``, the number of peaks with 1 % of the spectrum or more, and
    ``spectrum_rmse``, the residual of the spectrum. ``cost``, ``rmse`` and ``r2`` are those of the
    sum of decays that the maps of the parameters describe, as for any other method. A window
    without a detectable share has the status of a compartment that is not detected.

    Parameters
    ----------
    regularisation : {"gcv", "lcurve", "discrepancy"} or float
        mu, or the rule that finds it, once for the scan, from up to 500 of its voxels: generalised
        cross-validation, the corner of the L-curve, or residuals as large as the noise (with a
        given or estimated sigma). The method of the result contains the number.
    order : {0, 1, 2}
        What is penalised: amplitudes (0), their differences (1) or second differences (2).
    bins : int
        Number of bins, 10 to 300.
    lowest : float, optional
        The rate at which the bins begin, and the slowest window, mm^2/s; by default that of the
        decay that loses a tenth at the highest b-value.
    highest : float, optional
        The rate at which they end, mm^2/s; by default that of the decay that has a hundredth left
        at the lowest b-value above the first.
    windows : "bounds" or tuple of float
        Edges between the windows, mm^2/s, ascending, one less than there are compartments, which
        replace the bounds of the rates; or these bounds, divided in the geometric middle where
        they overlap.
    keep_spectrum : bool
        Whether the result keeps the spectrum of every voxel, and `ivimkit.save` writes it. If not,
        `FitResult.spectrum` computes it again from the scan.

    Raises
    ------
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> b = np.array([0, 5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 400, 600, 800, 1000])
    >>> signal = ik.simulate.signals("triexp", [1000, 0.15, 0.1, 0.2, 0.01, 1.5e-3], b)
    >>> result = ik.fit(signal, b, model="triexp", method=ik.methods.NNLS(regularisation=0.02))
    >>> spectrum = result.spectrum(())
    >>> [round(peak.fraction, 2) for peak in spectrum.peaks]
    [0.67, 0.18, 0.15]

    References
    ----------
    Whittall KP, MacKay AL. J Magn Reson 1989;84:134-152. doi:10.1016/0022-2364(89)90011-5
    Bro R, De Jong S. J Chemom 1997;11:393-401.
    doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L
    Wurnig MC et al. NMR Biomed 2018;31:e3852. doi:10.1002/nbm.3852
    """

    name: ClassVar[str] = "nnls"
    title: ClassVar[str] = "regularised spectrum of rates"
    full_fit: ClassVar[bool] = False
    references: ClassVar[tuple[str, ...]] = (
        "Whittall KP, MacKay AL. Quantitative interpretation of NMR relaxation data. J Magn Reson "
        "1989;84:134-152. doi:10.1016/0022-2364(89)90011-5",
        "Bro R, De Jong S. A fast non-negativity-constrained least squares algorithm. J Chemom "
        "1997;11:393-401. doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L",
        "Wurnig MC et al. Is there evidence for more than two diffusion components in abdominal "
        "organs? A magnetic resonance imaging study in healthy volunteers. NMR Biomed "
        "2018;31:e3852. doi:10.1002/nbm.3852",
    )


METHOD = NNLS
