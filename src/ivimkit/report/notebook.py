"""Notebook view of a result: the main maps of one slice, and a line of counts."""

from __future__ import annotations

from markupsafe import escape

from ivimkit.figures.map_panels import map_panels
from ivimkit.figures.orientation import choose_cut
from ivimkit.figures.picture import Picture
from ivimkit.figures.shown_maps import filled_mask
from ivimkit.fitting.result import FitResult
from ivimkit.rounding import thousands
from ivimkit.status import FitStatus, in_words

__all__ = ["result_html"]

_DPI = 80


def result_html(result: FitResult) -> str:
    """Return a result as a fragment of HTML: a small picture and a line of text.

    Parameters
    ----------
    result : FitResult
        The fit.

    Returns
    -------
    str
        Without a picture if the voxels do not form an image.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.report.notebook import result_html
    >>> result_html(ik.fit(ik.simulate.phantom(shape=(32, 24, 1)).dwi))[:11]
    '<div><img s'
    """
    return f"<div>{_picture(result)}<p>{escape(_line(result))}</p></div>"


def _picture(result: FitResult) -> str:
    names = [name for name in result.model.parameter_maps if name in result.maps]
    if len(result.shape) not in (2, 3) or not result.codes.inside.total or not names:
        return ""
    # Only the middle slice (the report shows three): one row of maps is enough here.
    (middle,) = choose_cut(filled_mask(result), None, most=1, crop=False).slices
    figure = map_panels(result, slices=middle, maps=names)
    picture = Picture(figure)
    shown = picture.encoded(dpi=_DPI)
    return (
        f'<img src="{shown.uri}" width="{shown.width:.0f}" style="max-width: 100%" '
        f'alt="{escape(picture.alt)}">'
    )


def _line(result: FitResult) -> str:
    total, fitted = result.codes.inside.total, result.codes.fitted.total
    apart = ("OK", FitStatus.OUTSIDE_MASK.name)
    flags = [
        f"{in_words(name, result.model)}: {thousands(n)}"
        for name, n in result.counts().items()
        if name not in apart
    ]
    return "; ".join(
        [
            f"{result.model.title} by {result.method.title}",
            f"{thousands(fitted)} of {thousands(total)} voxels fitted",
            *flags,
        ]
    )
