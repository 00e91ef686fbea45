"""Published b-values: those of studies that optimised them, and two common sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ivimkit import simulate
from ivimkit.errors import OptionError

__all__ = ["PublishedSet", "published", "published_for", "published_names"]


@dataclass(frozen=True)
class PublishedSet:
    """The b-values of a publication.

    Parameters
    ----------
    name : str
        Short name used in calls and on the command line.
    title : str
        Name to display.
    bvals : tuple of float
        b-value of each volume, in s/mm^2.
    organ : str
        The organ that they are for; empty for none in particular.
    model : str
        The model that they are for.
    reference : str
        The publication.
    """

    name: str
    title: str
    bvals: tuple[float, ...]
    organ: str
    model: str
    reference: str


_SETS = {
    one.name: one
    for one in (
        PublishedSet(
            "dyvorne2014",
            "Dyvorne 2014, liver",
            (0, 15, 150, 800),
            "liver",
            "biexp",
            "Dyvorne H et al. Intravoxel incoherent motion diffusion imaging of the "
            "liver: optimal b-value subsampling and impact on parameter precision and "
            "reproducibility. Eur J Radiol 2014;83:2109-2113. doi:10.1016/j.ejrad.2014.09.003",
        ),
        PublishedSet(
            "jalnefjord2019",
            "Jalnefjord 2019, D and f",
            (0, 200, 200, 800, 800),
            "liver",
            "sivim",
            "Jalnefjord O et al. Optimization of b-value schemes for estimation of the diffusion "
            "coefficient and the perfusion fraction with segmented intravoxel incoherent motion "
            "model fitting. Magn Reson Med 2019;82:1541-1552. doi:10.1002/mrm.27826",
        ),
        PublishedSet(
            "chabert2020",
            "Chabert 2020 after Lemke 2011, brain",
            (0, 40, 50, 60, 150, 160, 170, 190, 200, 260, 440, 560, 600, 700, 980, 1000),
            "brain",
            "biexp",
            "Chabert S et al. Impact of b-value sampling scheme on brain IVIM parameter "
            "estimation in healthy subjects. Magn Reson Med Sci 2020;19:216-226. "
            "doi:10.2463/mrms.mp.2019-0061; b-values: Proc ISMRM 2018, 3098",
        ),
        PublishedSet(
            "chabert2020-regular",
            "Chabert 2020, usual set, brain",
            (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 150, 200, 400, 800, 1000),
            "brain",
            "biexp",
            "Chabert S et al. Impact of b-value sampling scheme on brain IVIM parameter "
            "estimation in healthy subjects. Magn Reson Med Sci 2020;19:216-226. "
            "doi:10.2463/mrms.mp.2019-0061; b-values: Proc ISMRM 2018, 3098",
        ),
        PublishedSet(
            "b13",
            "13 common b-values",
            tuple(map(float, simulate.B13)),
            "",
            "biexp",
            "the b-values of ivimkit's phantoms",
        ),
        PublishedSet(
            "b21",
            "21 common b-values",
            tuple(map(float, simulate.B21)),
            "",
            "biexp",
            "the b-values of DIPY's example scan",
        ),
    )
}


def published_names() -> tuple[str, ...]:
    """Return the names of all published sets.

    Examples
    --------
    >>> from ivimkit.planning import published_names
    >>> "dyvorne2014" in published_names()
    True
    """
    return tuple(_SETS)


def published(name: str) -> PublishedSet:
    """Return a published set by its name.

    Raises
    ------
    OptionError
        If there is none of this name; the message lists the available ones.

    Examples
    --------
    >>> from ivimkit.planning import published
    >>> published("dyvorne2014").bvals
    (0, 15, 150, 800)
    """
    if name not in _SETS:
        raise OptionError(
            f"there is no published set {name!r}; expected one of {', '.join(_SETS)}"
        )
    return _SETS[name]


def published_for(organ: str | None) -> Iterator[PublishedSet]:
    """Yield the sets that are for an organ, or for none in particular.

    Examples
    --------
    >>> from ivimkit.planning import published_for
    >>> [one.name for one in published_for("liver")]
    ['dyvorne2014', 'jalnefjord2019', 'b13', 'b21']
    """
    yield from (one for one in _SETS.values() if one.organ in ("", organ))
