"""Contexts: the kinds of object that the node accepts, and in which encoding."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

__all__ = ["supported_contexts"]

# The first one that a sender offers is taken. With implicit VR, private elements, which contain
# b-values, would lose their types.
_SYNTAXES = [
    ExplicitVRLittleEndian,
    *(syntax for syntax in ALL_TRANSFER_SYNTAXES if syntax != ExplicitVRLittleEndian),
]


class _SharedContexts(list[PresentationContext]):
    """Contexts of all associations.

    pynetdicom copies them for each one, which takes longer than a small image, and changes none.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> _SharedContexts:
        return self


@cache
def supported_contexts() -> list[PresentationContext]:
    """Return what is accepted: everything that can be stored, and C-ECHO."""
    kinds = [context.abstract_syntax for context in AllStoragePresentationContexts]
    storage = [build_context(kind, _SYNTAXES) for kind in kinds if kind is not None]
    return _SharedContexts([*storage, build_context(Verification)])
