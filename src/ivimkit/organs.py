"""Organ presets: literature means, display ranges and the threshold of each organ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ivimkit.errors import OptionError

__all__ = ["OrganPreset", "get", "names"]

TYPICAL = "typical of published values, rounded"
"""Marks a number in `OrganPreset.sources` that is not the mean of one study."""

DE_BAZELAIRE_2004 = "de Bazelaire et al. 2004, 3 T, doi:10.1148/radiol.2303021331"
LUCIANI_2008 = "Luciani et al. 2008, healthy liver, doi:10.1148/radiol.2493080080"
LEMKE_2009 = "Lemke et al. 2009, healthy pancreas, doi:10.1097/RLI.0b013e3181b62271"
EDDEN_2010 = "Edden et al. 2010, fibroglandular tissue, 3 T, doi:10.1002/jmri.22306"
SIGMUND_2011 = "Sigmund et al. 2011, invasive ductal carcinoma, doi:10.1002/mrm.22740"
DOEPFERT_2011 = "Döpfert et al. 2011, healthy prostate tissue, doi:10.1016/j.mri.2011.06.001"
MAZAHERI_2012 = "Mazaheri et al. 2012, prostate, doi:10.1002/jmri.22888"
RYDHOG_2014 = "Rydhög et al. 2014, grey and white matter, doi:10.1016/j.mri.2014.07.013"
VAN_BAALEN_2017 = "van Baalen et al. 2017, kidney, doi:10.1002/jmri.25519"
RIEXINGER_2019 = "Riexinger et al. 2019, healthy liver, doi:10.1002/jmri.26730"
VIENI_2020 = "Vieni et al. 2020, normal brain, doi:10.1016/j.neuroimage.2019.116228"
MALAGI_2021 = "Malagi et al. 2021, prostate, doi:10.1007/s10334-021-00932-1"
TAMURA_2014 = "Tamura et al. 2014, healthy peripheral zone, doi:10.1002/jmri.24379"
WETSCHEREK_2015 = "Wetscherek et al. 2015, speed as root mean square, doi:10.1002/mrm.25410"
WURNIG_2018 = "Wurnig et al. 2018, abdominal organs, doi:10.1002/nbm.3852"
ENGLUND_2022 = "Englund et al. 2022, resting muscle, doi:10.1002/jmri.27875"


@dataclass(frozen=True)
class OrganPreset:
    """Typical values of an organ.

    A preset sets starting values, the ranges that figures show and the threshold; see
    `ivimkit.extend.SignalModel.for_organ`. It does not narrow the bounds, as diseased tissue lies
    outside the healthy range, but for one purpose: where two compartments of blood are told apart
    by a split between their rates, the split is that of the organ.

    Parameters
    ----------
    name : str
        Short name used in calls and on the command line.
    title : str
        Name to display.
    means : mapping of str to float
        Starting values of ``f`` (fraction), ``D_star`` and ``D`` (mm^2/s).
    display : mapping of str to tuple of float
        Display range of ``f``, ``D_star``, ``D``, ``ADC`` and ``fD_star``, in the unit of the
        parameter.
    b_split : float
        Lowest b-value, in s/mm^2, at which perfusion is assumed to be negligible.
    sources : mapping of str to str
        Source of each of `means` and `further`; the numbers are rounded, those of the brain are
        between grey and white matter.
    references : tuple of str
        The literature, each with its DOI.
    further : mapping of str to float
        Starting values of parameters of other models, such as ``K`` or ``D_inter``, where there
        are published ones; `sources` has their sources, too.
    bounds : mapping of str to tuple of float
        Bounds of rates of blood, in mm^2/s.

    Examples
    --------
    >>> from ivimkit import organs
    >>> liver = organs.get("liver")
    >>> liver.means["D"], liver.b_split
    (0.0011, 200.0)
    """

    name: str
    title: str
    means: Mapping[str, float]
    display: Mapping[str, tuple[float, float]]
    b_split: float
    sources: Mapping[str, str]
    references: tuple[str, ...]
    further: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def value(self, name: str, like: str = "") -> float | None:
        """Return the typical value of a parameter; None if the preset does not have one.

        Parameters
        ----------
        name : str
            Its name.
        like : str
            Name of the parameter of the bi-exponential model with the same values, if any.

        Examples
        --------
        >>> from ivimkit import organs
        >>> organs.get("prostate").value("K"), organs.get("liver").value("MD", like="D")
        (0.63, 0.0011)
        """
        known = {**self.means, **self.further}
        return known.get(name, known.get(like))


def get(name: str) -> OrganPreset:
    """Return the preset of an organ.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    OrganPreset

    Raises
    ------
    OptionError
        If there is no preset of that name; the message lists the available ones.

    Examples
    --------
    >>> from ivimkit import organs
    >>> organs.get("muscle").means["D"]
    0.00146
    """
    if name not in _ORGANS:
        raise OptionError(f"there is no organ {name!r}; expected one of {', '.join(names())}")
    return _ORGANS[name]


def names() -> tuple[str, ...]:
    """Return the names of all presets.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from ivimkit import organs
    >>> "liver" in organs.names()
    True
    """
    return tuple(_ORGANS)


def _organ(
    name: str,
    title: str,
    means: tuple[float, float, float],
    highest: tuple[float, float, float],
    sources: tuple[str, str, str],
    *,
    further: Mapping[str, tuple[float, str]] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    cited: tuple[str, ...] = (),
    b_split: float = 200.0,
) -> OrganPreset:
    """Build a preset from triples in the order f, D_star, D; display ranges start at 0.

    `further` has a value and its source for each name.
    """
    keys = ("f", "D_star", "D")
    f, D_star, D = highest
    # ADC is shown like D, so that the two can be compared by eye; f D* up to twice its mean,
    # because the product of both ranges would leave the map dark.
    display = {
        "f": (0.0, f),
        "D_star": (0.0, D_star),
        "D": (0.0, D),
        "ADC": (0.0, D),
        "fD_star": (0.0, 2 * means[0] * means[1]),
    }
    more = further or {}
    every = [*sources, *cited, *(source for _, source in more.values())]
    references = tuple(dict.fromkeys(source for source in every if "doi:" in source))
    of_more = {key: source for key, (_, source) in more.items()}
    return OrganPreset(
        name,
        title,
        MappingProxyType(dict(zip(keys, means, strict=True))),
        MappingProxyType(display),
        b_split,
        MappingProxyType({**dict(zip(keys, sources, strict=True)), **of_more}),
        references,
        MappingProxyType({key: value for key, (value, _) in more.items()}),
        MappingProxyType(dict(bounds or {})),
    )


_ORGANS: dict[str, OrganPreset] = {
    organ.name: organ
    for organ in (
        _organ(
            "brain",
            "brain (grey and white matter)",
            (0.04, 80e-3, 0.85e-3),
            (0.2, 150e-3, 2.0e-3),
            (RYDHOG_2014, RYDHOG_2014, RYDHOG_2014),
            cited=(VIENI_2020,),
            further={"T2_tissue": (80.0, TYPICAL)},
        ),
        _organ(
            "liver",
            "liver",
            (0.29, 79e-3, 1.10e-3),
            (0.5, 150e-3, 2.0e-3),
            (RIEXINGER_2019, LUCIANI_2008, LUCIANI_2008),
            # Fractions at 3 T; rates that a spectrum found.
            further={
                "f_fast": (0.16, RIEXINGER_2019),
                "D_fast": (270e-3, WURNIG_2018),
                "f_inter": (0.17, RIEXINGER_2019),
                "D_inter": (43.8e-3, WURNIG_2018),
                "T2_tissue": (34.0, DE_BAZELAIRE_2004),
                "v": (5.3, WETSCHEREK_2015),
                "tau": (144.0, WETSCHEREK_2015),
            },
            bounds={"D_fast": (0.1, 1.0), "D_inter": (5e-3, 0.1)},
        ),
        _organ(
            "kidney",
            "kidney (cortex)",
            (0.10, 20e-3, 2.1e-3),
            (0.5, 100e-3, 3.5e-3),
            (VAN_BAALEN_2017, VAN_BAALEN_2017, VAN_BAALEN_2017),
            further={
                "D_fast": (264e-3, WURNIG_2018),
                "D_inter": (23.8e-3, WURNIG_2018),
                "T2_tissue": (76.0, DE_BAZELAIRE_2004),
            },
            bounds={"D_fast": (60e-3, 1.0), "D_inter": (3e-3, 60e-3)},
        ),
        _organ(
            "prostate",
            "prostate (healthy tissue)",
            (0.21, 20e-3, 1.21e-3),
            (0.4, 50e-3, 2.5e-3),
            (DOEPFERT_2011, TYPICAL, DOEPFERT_2011),
            cited=(MAZAHERI_2012, MALAGI_2021),
            further={"K": (0.63, TAMURA_2014), "T2_tissue": (74.0, DE_BAZELAIRE_2004)},
        ),
        _organ(
            "pancreas",
            "pancreas",
            (0.25, 20e-3, 1.13e-3),
            (0.5, 100e-3, 2.5e-3),
            (LEMKE_2009, TYPICAL, LEMKE_2009),
            further={
                "T2_tissue": (43.0, DE_BAZELAIRE_2004),
                "v": (4.5, WETSCHEREK_2015),
                "tau": (224.0, WETSCHEREK_2015),
            },
        ),
        _organ(
            "muscle",
            "resting muscle",
            (0.111, 29.7e-3, 1.46e-3),
            (0.3, 100e-3, 2.5e-3),
            (ENGLUND_2022, ENGLUND_2022, ENGLUND_2022),
            further={"T2_tissue": (29.0, DE_BAZELAIRE_2004)},
        ),
        _organ(
            "breast",
            "breast (cancer)",
            (0.105, 14.9e-3, 1.14e-3),
            (0.3, 50e-3, 3.0e-3),
            (SIGMUND_2011, SIGMUND_2011, SIGMUND_2011),
            further={"T2_tissue": (71.0, EDDEN_2010)},
        ),
    )
}
