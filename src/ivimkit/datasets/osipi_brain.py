"""The brain scan of the OSIPI task force on IVIM."""

from ivimkit.datasets._osipi import CITATION, LICENCE, LICENCE_URL, archive
from ivimkit.extend.data_set import DataSet

DATA_SET = DataSet(
    name="osipi-brain",
    title="Brain of a volunteer at 3 T, 85 volumes: a scan of the OSIPI task force on IVIM",
    about="112 x 112 x 56 voxels; one volume at b = 0 and six directions each at 14 b-values from "
    "10 to 1000 s/mm². Philips; the volumes were registered on the console. With masks of grey "
    "and white matter.",
    licence=LICENCE,
    licence_url=LICENCE_URL,
    citation=CITATION,
    scan="brain.nii.gz",
    downloads=(
        archive(
            {
                "Data/brain.nii.gz": "brain.nii.gz",
                "Data/brain.bval": "brain.bval",
                "Data/brain.bvec": "brain.bvec",
                "Data/brain_mask_gray_matter.nii.gz": "grey_matter.nii.gz",
                "Data/brain_mask_white_matter.nii.gz": "white_matter.nii.gz",
                "Data/brain_readme.txt": "brain_readme.txt",
            }
        ),
    ),
)
