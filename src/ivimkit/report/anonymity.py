"""Anonymity: region names that cannot be the names of patients."""

from __future__ import annotations

import re

from ivimkit.scan.labels import Labels

__all__ = ["without_names"]

_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    adc anterior aorta artery background benign bile bladder blood body bone bowel bph brain
    breast cancer carcinoma caudate central contralateral control core cortex cortical csf
    cyst d deep diffusion dwi edema fat fibroid gallbladder gastric gland gm gray grey
    haemangioma hcc head healthy heart hemangioma hepatic high ivim kidney label labels left
    lesion lesions liver lobe low lower lung lymph malignant marrow mask matter medulla
    metastasis mets midbrain muscle necrosis nerve node nodule normal oedema organ ovary
    pancreas parenchyma parotid perfusion peripheral placenta posterior prostate putamen pz
    rectum reference region renal right ring roi rois seg segment segmentation solid spinal
    spleen stomach stroma subcutaneous tail thalamus thyroid tissue transition tumor tumors
    tumour tumours tz upper uterus vein vessel volume wall water white whole wm zone
    """,
    )
)
_MAX_DIGITS = 2
"""A longer number may be a date of birth or a patient number."""


def without_names(labels: Labels) -> Labels:
    """Return regions named after their files, without words that may name a patient.

    A name is kept if all its words are terms of anatomy and imaging, and all its numbers are
    short: ``roi_tumor``, ``liver-2``. Any other becomes ``region 1``, with its number.

    Parameters
    ----------
    labels : Labels
        The regions.

    Returns
    -------
    Labels

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.report.anonymity import without_names
    >>> list(without_names(ik.Labels([0, 1, 2], {1: "liver", 2: "Mueller_lesion"})))
    ['liver', 'region 2']
    """
    names = {
        number: name if _is_harmless(name) else f"region {number}"
        for number, name in labels.names.items()
    }
    return Labels(labels.array, names)


def _is_harmless(name: str) -> bool:
    words = re.findall(r"[^\W\d_]+", name.lower())
    numbers = re.findall(r"\d+", name)
    return all(word in _WORDS for word in words) and all(len(n) <= _MAX_DIGITS for n in numbers)
