"""The archive of the OSIPI task force 2.4, with a scan of a brain and one of an abdomen.

The MD5 checksum that Zenodo publishes for it is e7b3fe1d811a7a45c5aaf6c604c82793.
"""

from collections.abc import Mapping

from ivimkit.extend.data_set import Download

__all__ = ["CITATION", "LICENCE", "LICENCE_URL", "archive"]

LICENCE = "CC BY 4.0"
LICENCE_URL = "https://creativecommons.org/licenses/by/4.0/"
CITATION = (
    "Gurney-Champion O, Rashid I, van der Thiel M, Kuppens D, Voorter P, van Houdt P, Peterson E, "
    "Jalnefjord O. Data to https://github.com/OSIPI/TF2.4_IVIM-MRI_CodeCollection. Zenodo 2025. "
    "doi:10.5281/zenodo.14605039"
)


def archive(members: Mapping[str, str]) -> Download:
    """Return the archive with those members that are files of a data set."""
    return Download(
        name="OSIPI_TF24_data_phantoms.zip",
        urls=("https://zenodo.org/records/14605039/files/OSIPI_TF24_data_phantoms.zip",),
        sha256="2a53054d6e6e76335c9fcdae245e6003460db014e88147b6030d9de4dd650b3e",
        n_bytes=245_080_480,
        members=members,
    )
