"""How the noise of a signal is distributed: the kinds there are, and what goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ivimkit.errors import OptionError

__all__ = ["NOISES", "check_noise_kind"]

NOISES: Final = {
    "gaussian": "Gaussian",
    "rician": "Rician",
    "chi": "non-central chi-distributed",
}
"""Names for people, by the names that options take."""


def check_noise_kind(kind: str, coils: float = 1, *, known: Sequence[str] = tuple(NOISES)) -> None:
    """Refuse a kind of noise that is not known, or a number of coils that does not fit it.

    Parameters
    ----------
    kind : str
        Its name.
    coils : int
        Number of coils whose squares were added; more than one are noise ``"chi"``.
    known : sequence of str
        The kinds that can be taken here.

    Raises
    ------
    OptionError
        If it cannot be taken.

    Examples
    --------
    >>> from ivimkit.noise.noise_kinds import check_noise_kind
    >>> check_noise_kind("chi", 4)
    """
    if kind not in known:
        raise OptionError(
            f"noise is {kind!r}; expected one of {', '.join(known)}. Magnitude images of one "
            "coil, or of coils combined with their phases, are rician"
        )
    if not coils >= 1 or coils % 1 != 0:
        raise OptionError(f"coils is {coils!r}; expected a whole number >= 1")
    if coils != 1 and kind != "chi":
        raise OptionError(
            f"coils is {coils} with noise {kind}; expected 1. Several coils are noise chi"
        )
