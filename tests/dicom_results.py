"""Results with the patient, study and images of a made-up scan, to be written as DICOM."""

from __future__ import annotations

import dataclasses

import numpy as np

import ivimkit as ik
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom.context import DicomContext, Instance
from made_results import BVALS, biexp_maps, made_result

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
PATIENT = {
    "PatientName": "Gödel^Kurt",
    "PatientID": "42",
    "PatientBirthDate": "19060428",
    "PatientSex": "M",
    "PatientAge": "071Y",
    "PatientWeight": "70.5",
}
STUDY = {
    "StudyInstanceUID": "1.2.3",
    "StudyDate": "20261003",
    "StudyTime": "101500",
    "StudyID": "S1",
    "AccessionNumber": "A7-4711",
    "StudyDescription": "Leber MRT",
    "ReferringPhysicianName": "Semmelweis^Ignaz",
}
SERIES = {"SeriesNumber": "7", "BodyPartExamined": "LIVER", "PatientPosition": "HFS"}
EQUIPMENT = {"Manufacturer": "SIEMENS", "ManufacturerModelName": "Vida", "EchoTime": "55"}


def rotated(first: float, second: float) -> np.ndarray:
    """Return a rotation about two axes."""
    a, b = np.cos([first, second])
    c, d = np.sin([first, second])
    return np.array([[a, -c, 0], [c, a, 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, b, -d], [0, d, b]]
    )


def oblique(flipped: bool = False) -> np.ndarray:
    """Return an affine whose slices are turned, and rounded as in headers."""
    affine = np.eye(4)
    sizes = [-2.0, 2.0 if flipped else -2.0, 5.0]
    affine[:3, :3] = np.round(rotated(0.1, 0.2), 6) @ np.diag(sizes)
    affine[:3, 3] = 10, 20, -7
    return affine


def context_of(n_slices: int, n_volumes: int = len(BVALS), **changes: object) -> DicomContext:
    """Return the context of single-frame images."""
    names = [f"1.2.3.4.{v}.{k}" for v in range(n_volumes) for k in range(n_slices)]
    content = {
        "patient": PATIENT,
        "study": STUDY,
        "series": SERIES,
        "equipment": EQUIPMENT,
        "frame_of_reference": "1.2.3.9",
        "instances": [Instance(MR_IMAGE, name, "1.2.3.4") for name in names],
        "volumes": [[(v * n_slices + k, 0) for k in range(n_slices)] for v in range(n_volumes)],
    }
    return DicomContext(**{**content, **changes})


def dicom_result(shape: tuple[int, int, int] = (7, 6, 4), **changes: object) -> FitResult:
    """Return a result of an oblique scan, with a voxel without values."""
    maps = biexp_maps(shape)
    maps["D"][2, 3, 0] = np.nan
    maps["D_star"][1, 1, 0] = 50e-3
    made = made_result(maps, affine=oblique())
    provenance = dataclasses.replace(made.provenance, started="2026-11-29T10:00:00+00:00")
    return dataclasses.replace(
        made,
        **{"source_context": context_of(shape[2]), "provenance": provenance, **changes},
    )


def regions_of(shape: tuple[int, int, int] = (7, 6, 4)) -> ik.Labels:
    """Return two regions, one with a name in letters that ASCII lacks, the other numbered 5."""
    array = np.zeros(shape, dtype=int)
    array[2:5, 2:4, : max(1, shape[2] // 2)] = 1
    array[5:, :2, 0] = 5
    return ik.Labels(array, {1: "Läsion \\ 肝", 5: "liver"})


def in_scan_order(array: np.ndarray, affine: np.ndarray, result: FitResult) -> np.ndarray:
    """Return voxels read from DICOM, at the positions of those of a result; NaN outside.

    `affine` is from (slice, row, column) to positions of DICOM.
    """
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ result.geometry.affine
    index = np.indices(result.shape).reshape(3, -1)
    found = np.linalg.inv(affine) @ lps @ np.vstack([index, np.ones(index.shape[1])])
    place = np.rint(found[:3]).astype(int)
    # Orientations are rounded in headers, by a hundredth of a voxel at most.
    assert np.abs(found[:3] - place).max() < 0.01
    inside = ((place >= 0) & (place < np.array(array.shape)[:, np.newaxis])).all(axis=0)
    out = np.full(index.shape[1], np.nan, dtype=np.result_type(array.dtype, np.float32))
    out[inside] = array[tuple(place[:, inside])]
    return out.reshape(result.shape)
