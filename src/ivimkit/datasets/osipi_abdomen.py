"""The abdominal scan of the OSIPI task force on IVIM."""

from ivimkit.datasets._osipi import CITATION, LICENCE, LICENCE_URL, archive
from ivimkit.extend.data_set import DataSet

DATA_SET = DataSet(
    name="osipi-abdomen",
    title="Abdomen of a volunteer at 3 T, 104 volumes: a scan of the OSIPI task force on IVIM",
    about="144 x 144 x 21 voxels; 12 b-values from 0 to 600 s/mm² with repeats. Philips; first "
    "published with IVIM-NET. The usual mask is that of the whole abdomen.",
    licence=LICENCE,
    licence_url=LICENCE_URL,
    citation=CITATION,
    scan="abdomen.nii.gz",
    mask="abdomen_mask.nii.gz",
    downloads=(
        archive(
            {
                "Data/abdomen.nii.gz": "abdomen.nii.gz",
                "Data/abdomen.bval": "abdomen.bval",
                "Data/mask_full_temp.nii.gz": "abdomen_mask.nii.gz",
                "Data/mask_abdomen_homogeneous.nii.gz": "homogeneous_tissue.nii.gz",
                "Data/abdomen_readme.txt": "abdomen_readme.txt",
            }
        ),
    ),
)
