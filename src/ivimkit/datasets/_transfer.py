"""Downloads by pooch, and what its errors mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ivimkit.errors import FileFormatError, InputError
from ivimkit.extend.data_set import DataSet, Download

__all__ = ["Progress", "cache_folder", "no_progress", "transfer"]

Progress = Callable[[int, int], None]
"""Takes the bytes that have come and all bytes of a file."""

_CONNECT_SECONDS, _SILENT_SECONDS = 30.0, 120.0
_CHUNK_BYTES = 1 << 16
_OTHER_FILE = "what came is another file: its checksum does not match"


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def cache_folder(*parts: str) -> Path:
    """Return a folder in the cache of the user.

    Raises
    ------
    InputError
        If pooch is not installed.
    """
    return Path(_pooch().os_cache("ivimkit"), *parts)


def transfer(download: Download, folder: Path, data_set: DataSet, progress: Progress) -> Path:
    """Download a file from the first address that has it, unless it is there already.

    Raises
    ------
    FileFormatError
        If all that comes has another checksum.
    InputError
        If no address can be reached.
    """
    reasons: list[str] = []
    kind: type[InputError] = InputError
    for url in download.urls:
        try:
            return _retrieved(url, download, folder, progress)
        except Exception as error:
            reason = _reason(error)
            if reason is None:
                raise
            kind = FileFormatError if reason == _OTHER_FILE else InputError
            reasons.append(f"{url}: {reason}")
    raise kind(
        f"{download.name} of {data_set.name} cannot be fetched, and nothing was kept "
        f"({'; '.join(reasons)}); expected {download.n_bytes} bytes with SHA-256 "
        f"{download.sha256}. Try again later, or see https://doi.org/{data_set.doi}"
    )


def _retrieved(url: str, download: Download, folder: Path, progress: Progress) -> Path:
    pooch = _pooch()
    downloader = pooch.HTTPDownloader(
        progressbar=_Bar(progress, download.n_bytes),
        chunk_size=_CHUNK_BYTES,
        timeout=(_CONNECT_SECONDS, _SILENT_SECONDS),
        # A file that the server compresses for the way would not be the one that it has.
        headers={"Accept-Encoding": "identity"},
    )
    with _quiet(pooch):
        return Path(
            pooch.retrieve(
                url,
                known_hash=f"sha256:{download.sha256}",
                fname=download.name,
                path=folder,
                downloader=downloader,
            )
        )


class _Bar:
    """The progress bar that pooch fills, which has the attributes of tqdm."""

    def __init__(self, progress: Progress, n_bytes: int) -> None:
        self.total = 0
        self._progress = progress
        self._n_bytes = n_bytes
        self._done = 0

    def update(self, n_bytes: int) -> None:
        """Count bytes that have come; of the last chunk pooch counts too many."""
        self._done = min(self._done + n_bytes, self._n_bytes)
        self._progress(self._done, self._n_bytes)

    def reset(self) -> None:
        """Begin again."""
        self._done = 0

    def close(self) -> None:
        """Do nothing at the end."""


def _reason(error: Exception) -> str | None:
    """Return in words why a download failed; None for what is not about the download."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"the server answers with status {error.response.status_code}"
    for kind, words in (
        (exceptions.Timeout, "the server does not answer"),
        (exceptions.ChunkedEncodingError, "the connection was cut in the middle"),
        (exceptions.ConnectionError, "the server cannot be reached; is there a network?"),
        (exceptions.RequestException, f"the transfer failed, {type(error).__name__}"),
    ):
        if isinstance(error, kind):
            return words
    if isinstance(error, ValueError) and "hash" in str(error):
        return _OTHER_FILE
    return None


def _pooch() -> Any:
    """Return the library, or say which extra has it."""
    try:
        import pooch  # type: ignore[import-untyped]
    except ImportError:
        raise InputError(
            "pooch is needed to fetch data sets; expected it to be installed. Install it "
            "(pip install 'ivimkit[datasets]')"
        ) from None
    return pooch


@contextmanager
def _quiet(pooch: Any) -> Iterator[None]:
    """Keep pooch from printing what it does."""
    log = pooch.get_logger()
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
