"""Subject: the pages of the documentation that the records are on."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SUBJECTS", "Subject", "subject_of"]


@dataclass(frozen=True)
class Subject:
    """One page of benchmarks.

    Parameters
    ----------
    name : str
        Name of its file.
    title : str
        Its heading.
    question : str
        What its figures answer.
    records : tuple of str
        The records on it.
    """

    name: str
    title: str
    question: str
    records: tuple[str, ...]


SUBJECTS = (
    Subject(
        "peers",
        "Against other packages",
        "How do speed and errors compare with DIPY, the OSIPI collection, scipy and others?",
        ("peers", "emcee"),
    ),
    Subject(
        "optimum",
        "The right answer",
        "Is the optimum found, are integrals right, and are results reproducible to the bit?",
        (
            *("optimum", "exact", "bits", "golden", "portable"),
            *("models", "every_model", "posterior"),
        ),
    ),
    Subject(
        "errors",
        "Errors and uncertainty",
        "How large are the errors, do intervals keep what they promise, what does a prior do?",
        (
            *("accuracy", "rician", "learned", "coverage", "uncertain", "curvature"),
            *("lesion", "space", "regions"),
        ),
    ),
    Subject(
        "models",
        "Models and protocols",
        "Which model do the data support, and which b-values tell most?",
        ("prostate", "spectrum", "flow", "which_model", "ambiguity", "design"),
    ),
    Subject(
        "scans",
        "Imperfect scans",
        "What do motion, drop-outs, drift and noise do to the maps, and what do steps repair?",
        (
            *("robust", "scan_checks", "moving", "denoising", "preprocessing"),
            *("alignment", "following", "telling"),
        ),
    ),
    Subject(
        "speed",
        "Speed and memory",
        "How long does it take, and how much memory, from one voxel to scans larger than memory?",
        (
            *("speed", "volume", "startup", "bayes_speed", "anatomy", "scaling", "report"),
            *("viewer", "precision", "gpu_code", "dicom", "node", "large", "large_view"),
        ),
    ),
    Subject(
        "cohorts",
        "Cohorts",
        "What do many scans cost, and what survives when they are interrupted?",
        ("cohort", "kills", "shared_prior", "throughput", "many_scans"),
    ),
)


def subject_of(record: str) -> Subject:
    """Return the subject of a record.

    Raises
    ------
    ValueError
        If it has none; the message lists all subjects.
    """
    for subject in SUBJECTS:
        if record in subject.records:
            return subject
    raise ValueError(
        f"the record {record} is on no page; add it to one of "
        f"{', '.join(subject.name for subject in SUBJECTS)} in benchmarks/subjects.py"
    )
