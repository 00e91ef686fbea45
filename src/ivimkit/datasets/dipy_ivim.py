"""The brain scan of DIPY's IVIM example.

The MD5 checksums that DIPY publishes (`dipy.data.fetch_ivim`) are
cda596f89dc2676af7d9bf1cabccf600, f03d89f84aa9a9397103a400e43af43a (b-values) and
fb633a06b02807355e49ccd85cb92565 (directions).
"""

from ivimkit.extend.data_set import DataSet, Download

_FIGSHARE = "https://ndownloader.figshare.com/files/"
_MIRROR = "https://workshop.dipy.org/services/data/files/"


def _from_figshare(name: str, number: int, sha256: str, n_bytes: int) -> Download:
    urls = (f"{_FIGSHARE}{number}", f"{_MIRROR}{number}")
    return Download(name, urls, sha256, n_bytes)


DATA_SET = DataSet(
    name="dipy-ivim",
    title="Brain of a volunteer, 21 b-values: the scan of DIPY's IVIM example",
    about="256 x 256 x 54 voxels, b = 0 to 1000 s/mm². The volumes were registered and averaged "
    "over three directions before they were published, so the file of directions names "
    "the z axis for all of them. Without a mask: use --mask auto.",
    licence="CC0 1.0",
    licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
    citation="Peterson E. IVIM dataset. figshare 2016. doi:10.6084/m9.figshare.3395704.v1",
    scan="ivim.nii.gz",
    downloads=(
        _from_figshare(
            "ivim.nii.gz",
            5305243,
            "c360a1eb252815bf6ad5cc1d27ff351bc57aaaea3349853c97a5cb5176cf727d",
            274_688_926,
        ),
        _from_figshare(
            "ivim.bval",
            5305246,
            "0d35b62862dc648dea241290024a3b6aeb2f7b63aaba79ac1a03e9001f8afea1",
            77,
        ),
        _from_figshare(
            "ivim.bvec",
            5305249,
            "1d3262bf345cab948873c2347a2e05d5117881a6fac2bc14a7949b7fb6c12aa3",
            126,
        ),
    ),
)
