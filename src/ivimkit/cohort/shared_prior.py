"""The priors that the scans of a cohort share: one for each protocol, organ and region.

Each is a file of `ivimkit.save_prior` in the folder `PRIORS` of the output, with a sidecar that
says what it was learned from. They are learned once: a prior that is there is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path

import msgspec

from ivimkit.cohort.ledger import PRIORS
from ivimkit.cohort.protocol import Protocol
from ivimkit.cohort.scan_samples import SampleFile
from ivimkit.cohort.subject_scan import SubjectScan
from ivimkit.cohort.task import Task
from ivimkit.errors import FileFormatError, OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior import ChoosingPrior, Prior
from ivimkit.extend.prior_table import COHORT, PriorTable
from ivimkit.fitting.pooled_prior import SHARED, pooled_prior, sampled_x
from ivimkit.fitting.prior_choice import with_prior
from ivimkit.fitting.region_fits import WHOLE, regions_of
from ivimkit.fitting.settings import FitSettings
from ivimkit.io.checksum import sha256
from ivimkit.io.prior_files import load_prior, write_prior
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.rounding import several, thousands
from ivimkit.writing import Files, write_files

__all__ = ["Pool", "TakenPrior", "learn_pools", "read_pools", "taken_prior"]

_FORMAT = "ivimkit prior of a cohort"

AnyPrior = PriorTable | ModelPrior


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Scans that share a prior, and what became of it.

    Parameters
    ----------
    number : int
        Number of the protocol, from 1.
    protocol : Protocol
        How the scans were acquired: that of the first one.
    organ : str, optional
        Organ whose presets were used.
    region : str
        Number of the label, or ``all``.
    model : str
        Name of the model.
    options : str
        Checksum of the recipe.
    scans : tuple of str
        Names of the scans.
    n_voxels : int
        Number of voxels that it was learned from.
    sha256 : str
        Checksum of its file; empty if there is none.
    sentence : str
        Why there is none.
    """

    number: int
    protocol: Protocol
    organ: str | None
    region: str
    model: str
    options: str
    scans: tuple[str, ...]
    n_voxels: int = 0
    sha256: str = ""
    sentence: str = ""
    version: str = msgspec.field(default_factory=lambda: version("ivimkit"))
    format: str = _FORMAT

    @property
    def name(self) -> str:
        """Beginning of the names of its files."""
        parts = [f"protocol-{self.number}"]
        if self.organ is not None:
            parts.append(f"organ-{self.organ}")
        if self.region != WHOLE:
            parts.append(f"label-{self.region}")
        return "_".join([*parts, "prior"])

    @property
    def file(self) -> str:
        """Name of the file of the prior."""
        return f"{self.name}.npz"

    @property
    def title(self) -> str:
        """What it is of, in words."""
        parts = [f"protocol {self.number}"]
        if self.organ is not None:
            parts.append(self.organ)
        if self.region != WHOLE:
            parts.append(f"label {self.region}")
        return ", ".join(parts)

    @property
    def is_learned(self) -> bool:
        """Whether there is a prior."""
        return bool(self.sha256)

    @property
    def summary(self) -> str:
        """What became of it, in a sentence."""
        if not self.is_learned:
            return f"no prior of {self.title}: {self.sentence}"
        return (
            f"prior of {self.title}: {thousands(self.n_voxels)} voxels of "
            f"{several(len(self.scans), 'scan')}, {PRIORS}/{self.file}"
        )

    def is_of(self, options: str) -> bool:
        """Return whether it was learned with these options, by this version."""
        return (self.options, self.version) == (options, version("ivimkit"))


def read_pools(out: Path) -> tuple[Pool, ...]:
    """Return what is known of the priors of a cohort, in the order of their numbers.

    Raises
    ------
    FileFormatError
        If a file is damaged.
    """
    found = []
    for path in sorted((out / PRIORS).glob("*_prior.json")):
        stat = path.stat()
        found.append(_read_pool(path, stat.st_mtime_ns, stat.st_ino))
    return tuple(sorted(found, key=lambda pool: (pool.number, pool.region)))


@lru_cache(maxsize=1024)
def _read_pool(path: Path, modified_ns: int, inode: int) -> Pool:
    """Read a file, once for all scans that are fitted in a process while it stays the same."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pool)
    except msgspec.MsgspecError as error:
        raise FileFormatError(
            f"{path} cannot be read ({error}); expected what a prior of the cohort was "
            "learned from. Learn the priors again (--overwrite)"
        ) from None


def learn_pools(
    samples: Iterable[SampleFile],
    known: Sequence[Pool],
    settings: FitSettings,
    options: str,
    *,
    out: Path,
    threads: int | None = None,
) -> tuple[Pool, ...]:
    """Learn the priors that are not known yet, and write all at once.

    Parameters
    ----------
    samples : iterable of SampleFile
        The samples, in an order that does not depend on who took them.
    known : sequence of Pool
        Priors that are kept.
    settings : FitSettings
        How scans are going to be fitted.
    options : str
        Checksum of the recipe.
    out : Path
        The output folder.
    threads : int, optional
        Number of threads.

    Returns
    -------
    tuple of Pool
        All, those that were known among them.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    made: list[Pool] = []
    priors: dict[str, AnyPrior] = {}
    for (number, region), members in _groups(samples, known).items():
        first = Pool(
            number=number,
            protocol=members[0].protocol,
            organ=settings.organ,
            region=region,
            model=settings.model.name,
            options=options,
            scans=tuple(one.name for one in members),
        )
        about = {"protocol": first.protocol.title, "organ": settings.organ, "label": region}
        try:
            prior = pooled_prior(
                [one.sample for one in members],
                region,
                settings,
                about=about,
                threads=threads,
            )
        except OptionError as error:
            made.append(msgspec.structs.replace(first, sentence=str(error)))
            continue
        priors[first.name] = prior
        made.append(msgspec.structs.replace(first, n_voxels=int(prior.about["voxels"])))
    names = {f"{name}.npz" for name in priors} | {f"{pool.name}.json" for pool in made}
    kept = {f"{pool.name}{ending}" for pool in known for ending in (".json", ".npz")}
    there = {path.name for path in (out / PRIORS).glob("*_prior.*")}
    if made:
        write = partial(_write, priors, made)
        write_files(out / PRIORS, Files(sorted(names), write, sorted(there - names - kept)))
    return read_pools(out)


def _groups(
    samples: Iterable[SampleFile], known: Sequence[Pool]
) -> dict[tuple[int, str], list[SampleFile]]:
    """Return the samples of each protocol and region that has no prior yet."""
    protocols = {pool.number: pool.protocol for pool in known}
    done = {(pool.number, pool.region) for pool in known}
    found: dict[tuple[int, str], list[SampleFile]] = {}
    for one in samples:
        number = next((k for k, own in protocols.items() if one.protocol.is_like(own)), None)
        if number is None:
            number = 1 + max(protocols, default=0)
            protocols[number] = one.protocol
        for region in one.sample.signals:
            if (number, region) not in done:
                found.setdefault((number, region), []).append(one)
    return dict(sorted(found.items()))


def _write(priors: Mapping[str, AnyPrior], pools: Sequence[Pool], stage: Path) -> None:
    for pool in pools:
        if pool.name in priors:
            path = stage / pool.file
            write_prior(path, priors[pool.name])
            pool = msgspec.structs.replace(pool, sha256=sha256(path))
        content = msgspec.json.format(msgspec.json.encode(pool), indent=1)
        (stage / f"{pool.name}.json").write_bytes(content)


@dataclass(frozen=True, eq=False)
class TakenPrior:
    """What the cohort knows of the prior of a scan.

    Parameters
    ----------
    priors : mapping of str to Prior, PriorTable or ModelPrior, optional
        The prior of each region; None if the scan has to do without.
    files : tuple of Path
        Their files.
    sentence : str
        What it has to do without, and why; empty if it has all.
    """

    priors: Mapping[str, Prior | AnyPrior] | None = None
    files: tuple[Path, ...] = ()
    sentence: str = ""

    @property
    def sources(self) -> list[str]:
        """The files as URIs of BIDS."""
        return [f"bids::{PRIORS}/{path.name}" for path in self.files]

    def in_method(self, method: FitMethod) -> FitMethod:
        """Return the method with the first of the priors."""
        learned = [one for one in (self.priors or {}).values() if isinstance(one, AnyPrior)]
        return with_prior(method, learned[0]) if learned else method


def taken_prior(task: Task, scan: SubjectScan) -> TakenPrior:
    """Return the priors of the cohort for a scan; nothing if its recipe shares none.

    Raises
    ------
    FileFormatError
        If a file of a prior is not the one that was learned.
    """
    recipe = task.recipe
    if not recipe.shares_prior:
        return TakenPrior()
    settings = recipe.settings
    rule = settings.method.rule if isinstance(settings.method, PosteriorMethod) else None
    assert isinstance(rule, ChoosingPrior)
    x = sampled_x(scan.dwi, settings.model)
    protocol = Protocol.of(scan, settings.model, x)
    own = [pool for pool in read_pools(task.out) if protocol.is_like(pool.protocol)]
    # The first protocol that it agrees with, as when the samples were pooled.
    pools = {pool.region: pool for pool in own if pool.number == own[0].number}
    priors: dict[str, Prior | AnyPrior] = {}
    files: list[Path] = []
    missing: list[str] = []
    for region in regions_of(scan.dwi.voxels(), scan.learning_labels()):
        pool = pools.get(region)
        if pool is not None and pool.is_learned:
            files.append(task.out / PRIORS / pool.file)
            priors[region] = _loaded(files[-1], pool.sha256)
            continue
        priors[region] = rule.fixed_for(settings.model, settings.organ)
        missing.append(region)
    if files:
        return TakenPrior(priors, tuple(files), _told_of_regions(missing))
    why = {pool.sentence for pool in pools.values()} or {"no sample of its protocol"}
    told = f"prior {SHARED}: {'; '.join(sorted(why))}. It was fitted with prior auto"
    return TakenPrior(sentence=told)


def _told_of_regions(missing: Sequence[str]) -> str:
    """Say which regions have no prior of the cohort."""
    if not missing:
        return ""
    which = f"region{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    return f"prior {SHARED}: none of {which}, fitted with prior flat or that of the organ"


@lru_cache(maxsize=32)
def _loaded(path: Path, checksum: str) -> AnyPrior:
    """Return a prior that says which file it is from."""
    if not path.is_file() or sha256(path) != checksum:
        raise FileFormatError(
            f"{path} is not the prior that the cohort was fitted with; expected the file with the "
            f"SHA-256 {checksum}. Bring it back, or learn it again (--overwrite)"
        )
    prior = load_prior(path)
    of = {**prior.about[COHORT], "file": f"{PRIORS}/{path.name}", "sha256": checksum}
    return replace(prior, about={**prior.about, COHORT: of})
