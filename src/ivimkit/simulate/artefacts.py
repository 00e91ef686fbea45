"""Artefacts: what goes wrong while a phantom is scanned."""

from __future__ import annotations

from dataclasses import dataclass

from ivimkit.errors import OptionError
from ivimkit.simulate.anatomy import Anatomy
from ivimkit.simulate.drift import Drift
from ivimkit.simulate.dropouts import Dropouts
from ivimkit.simulate.motion import Motion
from ivimkit.simulate.ringing import Ringing

__all__ = ["Artefacts", "check_artefacts"]

_MIN_PARTS = 2


@dataclass(frozen=True)
class Artefacts:
    """What goes wrong while a phantom is scanned; ``Artefacts()`` is a scan without a fault.

    The volumes are measured in the order of their b-values in the protocol. Ringing is that of the
    moved tissue; drift and drop-outs change the signal afterwards, and noise comes last.

    Parameters
    ----------
    motion : Motion, optional
        How the tissue moves.
    drift : Drift, optional
        How the signal falls during the session.
    dropouts : Dropouts, optional
        Slices that lose signal.
    ringing : Ringing, optional
        Gibbs ringing.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> faults = simulate.Artefacts(drift=simulate.Drift(5), dropouts=simulate.Dropouts(2))
    >>> made = simulate.phantom(shape=(32, 24, 4), bvals=[0, 50, 0, 800], artefacts=faults)
    >>> made.artefacts.drift.round(3).tolist(), int(made.artefacts.dropped.sum())
    ([1.0, 0.983, 0.967, 0.95], 2)
    """

    motion: Motion | None = None
    drift: Drift | None = None
    dropouts: Dropouts | None = None
    ringing: Ringing | None = None


def check_artefacts(artefacts: Artefacts, anatomy: Anatomy, parts: int) -> None:
    """Raise if an anatomy, or its sample points, cannot have some artefacts.

    Parameters
    ----------
    artefacts : Artefacts
        The artefacts.
    anatomy : Anatomy
        The anatomy.
    parts : int
        Sample points per voxel edge.

    Raises
    ------
    OptionError
        If the anatomy does not breathe, or there is one sample point per voxel.
    """
    motion = artefacts.motion
    if motion is not None and motion.kind == "breathing" and anatomy.breathing is None:
        raise OptionError(
            f"the {anatomy.name} does not breathe; expected the abdomen, or rigid, affine or "
            "slices as the kind of motion"
        )
    for name in ("motion", "ringing"):
        if getattr(artefacts, name) is not None and parts < _MIN_PARTS:
            raise OptionError(
                f"partial_volume is {parts}, and {name} needs several sample points in a voxel; "
                f"expected at least {_MIN_PARTS}"
            )
