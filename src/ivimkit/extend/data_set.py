"""DataSet: a public scan that can be fetched by its name, and where its files come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["DataSet", "Download"]


@dataclass(frozen=True)
class Download:
    """One file on a server: a file of the data set, or a ZIP archive with some of them.

    Parameters
    ----------
    name : str
        Its name here.
    urls : tuple of str
        Where it is; those after the first are mirrors with the same bytes.
    sha256 : str
        Its checksum, 64 hexadecimal digits. What does not match is not kept.
    n_bytes : int
        Its size.
    members : mapping
        Of an archive: which of its members are files of the data set, as ``{"Data/brain.bval":
        "brain.bval"}``. Nothing else is unpacked.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    n_bytes: int
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files of the data set that it gives."""
        return tuple(self.members.values()) or (self.name,)


@dataclass(frozen=True)
class DataSet:
    """A public scan, with everything a reader has to know before using it.

    Parameters
    ----------
    name : str
        What it is fetched by, such as ``"dipy-ivim"``.
    title : str
        What it is, in one line.
    about : str
        Matrix, b-values, how it was acquired and processed, and what to look out for.
    licence : str
        Terms of its use, such as ``"CC BY 4.0"``.
    licence_url : str
        Where they are written.
    citation : str
        What to cite, with the DOI as ``doi:10...``.
    scan : str
        The file that `ivimkit.load` reads; its b-values are next to it.
    downloads : tuple of Download
        Where the files come from.
    mask : str
        The file that is the usual mask of the scan; empty for none.
    """

    name: str
    title: str
    about: str
    licence: str
    licence_url: str
    citation: str
    scan: str
    downloads: tuple[Download, ...]
    mask: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all its files."""
        return tuple(name for download in self.downloads for name in download.files)

    @property
    def n_bytes(self) -> int:
        """How much is downloaded."""
        return sum(download.n_bytes for download in self.downloads)

    @property
    def doi(self) -> str:
        """The DOI in the citation."""
        return self.citation.rpartition("doi:")[2].rstrip(".")
