"""Source: a file that a scan or a result was made from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Source"]


@dataclass(frozen=True)
class Source:
    """One input file, for the provenance of results.

    Parameters
    ----------
    role : str
        Its use: ``"scan"``, ``"bvals"``, ``"bvecs"``, ``"variables"``, ``"sidecar"``,
        ``"mask"`` or ``"weights"``.
    path : str
        Absolute path.
    sha256 : str
        Hexadecimal SHA-256 of the file.
    """

    role: str
    path: str
    sha256: str

    def to_dict(self) -> dict[str, str]:
        """Return role, path and checksum, ready for JSON."""
        return {"role": self.role, "path": self.path, "sha256": self.sha256}
