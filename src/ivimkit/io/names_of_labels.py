"""Names of the regions of a label image, from the image itself or from files next to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from pathlib import Path

from ivimkit.errors import FileFormatError
from ivimkit.io.gradient_files import stem_of
from ivimkit.io.label_names import load_label_names
from ivimkit.io.table_cells import escaped
from ivimkit.io.untrusted_files import untrusted

__all__ = ["names_of_labels", "own_names", "with_names"]

# As Connectome Workbench writes it, and TotalSegmentator after it. A pattern, not a parser: the
# text may come from anywhere, and nothing else of it is used.
_LABEL = re.compile(
    r'<Label\b[^>]{0,400}?\bKey="(\d{1,9})"[^>]{0,400}>'
    r"(?:<!\[CDATA\[([^\]]{0,200})\]\]>|([^<]{0,200}))</Label>"
)
_ECODE = 30
"""Code of an extension of Connectome Workbench."""

_MAX_BYTES = 1 << 22
"""Maximum length of an extension that is looked at."""

_ENDINGS = (".tsv", ".csv", ".txt", ".label", ".ctbl")
_OF_FOLDER = ("dseg.tsv", "dataset.json", "FreeSurferColorLUT.txt")
"""The tables of BIDS, nnU-Net and FreeSurfer that go with all images of a folder."""


def names_of_labels(path: Path) -> Mapping[int, str]:
    """Return the names of the regions of a label image.

    From the label table in its header, as TotalSegmentator and Connectome Workbench write it; or a
    file of the same name with the ending ``.tsv``, ``.csv``, ``.txt``, ``.label`` or ``.ctbl``; or
    ``dseg.tsv`` (BIDS), ``dataset.json`` (nnU-Net) or ``FreeSurferColorLUT.txt`` in its folder.

    Parameters
    ----------
    path : Path
        A NIfTI file.

    Returns
    -------
    mapping of int to str
        Empty if there are none.
    """
    found = own_names(path)
    if found:
        return found
    for file in _beside(path):
        try:
            return load_label_names(file)
        except FileFormatError:
            continue
    return {}


def own_names(path: Path) -> Mapping[int, str]:
    """Return the names in the header of a NIfTI file; empty if there are none."""
    import nibabel as nib

    with untrusted(lambda why: FileFormatError(f"{path} is damaged: {why}. Convert it again")):
        image = nib.load(path)
        extensions = getattr(image.header, "extensions", [])
        texts = [bytes(one.content) for one in extensions if one.get_sizeondisk()]
    for text in texts:
        names = _table(text[:_MAX_BYTES].decode("utf-8", errors="replace"))
        if names:
            return names
    return {}


def with_names(image: bytes, names: Mapping[int, str]) -> bytes:
    """Return a label image with a table of names in its header, as `names_of_labels` reads them.

    Parameters
    ----------
    image : bytes
        A ``.nii`` file.
    names : mapping of int to str
        Names of the numbers; without any the image is returned as it is.

    Returns
    -------
    bytes
        A ``.nii`` file.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> from ivimkit.io.names_of_labels import with_names
    >>> plain = ik.io.image_bytes(np.ones((3, 2, 1), np.uint8), ik.Geometry())
    >>> b"lesion" in with_names(plain, {1: "lesion"})
    True
    """
    import nibabel as nib

    if not names:
        return image
    rows = "".join(
        f'<Label Key="{number}">{escape(name)}</Label>' for number, name in names.items()
    )
    table = f"<CaretExtension><VolumeInformation><LabelTable>{rows}</LabelTable>"
    made = nib.Nifti1Image.from_bytes(image)
    text = f"{table}</VolumeInformation></CaretExtension>".encode()
    made.header.extensions.append(nib.nifti1.Nifti1Extension(_ECODE, text))
    content: bytes = made.to_bytes()
    return content


def _table(text: str) -> dict[int, str]:
    found = {}
    for number, quoted, plain in _LABEL.findall(text):
        name = (quoted or unescape(plain)).strip()
        if int(number) and name and escaped(name) == name:
            found[int(number)] = name
    return found


def _beside(path: Path) -> Iterator[Path]:
    stem = stem_of(path)
    names = [*(f"{stem}{ending}" for ending in _ENDINGS), *_OF_FOLDER]
    yield from (file for name in names if (file := path.parent / name).is_file())
