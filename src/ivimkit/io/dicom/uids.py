"""Uids: identifiers that a repeated export makes again, so that a resend never doubles."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

from ivimkit.errors import OptionError

__all__ = ["MAX_UID_LENGTH", "Uids"]

MAX_UID_LENGTH = 64
"""Characters of a UID."""

# Digits that an organisation's root is followed by: enough to never meet twice.
_MIN_DIGITS, _MAX_DIGITS = 24, 39
_ROOT = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
# An arbitrary name space for uuid5, which hashes it with a text.
_SPACE = uuid.UUID("5d0b6a2e-4a0c-5c6f-9d5e-1f1b7f3a9c10")


@dataclass(frozen=True)
class Uids:
    """Makes UIDs from what they identify.

    Parameters
    ----------
    seed : str
        Everything that distinguishes one result from others.
    root : str, optional
        Root of an organisation. By default 2.25, under which anybody may make UIDs from UUIDs.

    Raises
    ------
    OptionError
        If the root is not one, or leaves too little room.

    Examples
    --------
    >>> from ivimkit.io.dicom.uids import Uids
    >>> Uids("scan 7").of("D") == Uids("scan 7").of("D") != Uids("scan 8").of("D")
    True
    """

    seed: str
    root: str | None = None

    def __post_init__(self) -> None:
        if self.root is None:
            return
        longest = MAX_UID_LENGTH - 1 - _MIN_DIGITS
        if _ROOT.fullmatch(self.root) is None or len(self.root) > longest:
            raise OptionError(
                f"the UID root is {self.root[:80]!r}; expected numbers with dots between them, "
                f"like 1.2.826.0.1.3680043.10.1234, of up to {longest} characters. Leave it out "
                "to use 2.25"
            )

    def of(self, *parts: str) -> str:
        """Return the UID of a part of the result, the same each time."""
        text = "\0".join((self.seed, *parts))
        if self.root is None:
            return f"2.25.{uuid.uuid5(_SPACE, text).int}"
        n_digits = min(_MAX_DIGITS, MAX_UID_LENGTH - 1 - len(self.root))
        number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
        # Its first digit is not 0, which would be illegal.
        return f"{self.root}.{10 ** (n_digits - 1) + number % (9 * 10 ** (n_digits - 1))}"
