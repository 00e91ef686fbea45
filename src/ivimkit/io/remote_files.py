"""The file systems behind addresses (URLs), by fsspec, and what their errors mean."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ivimkit.addresses import public
from ivimkit.errors import FileFormatError, InputError, IvimkitError
from ivimkit.io.untrusted_files import reason_of

__all__ = ["content_of", "file_system", "reached", "storage_options"]

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_SCHEMES = ("https", "http", "s3", "gs")
_MAX_BYTES = 1 << 24
_CONNECT_SECONDS, _SILENT_SECONDS = 30.0, 120.0
_DENIED = (401, 403)
_WORDS = (
    (
        ("NoCredentials", "PartialCredentials", "DefaultCredentialsError"),
        "there are no credentials for it. For a public bucket set FSSPEC_S3_ANON=true or "
        "FSSPEC_GS_TOKEN=anon",
    ),
    (
        ("ConnectorError", "EndpointConnectionError", "ConnectionRefused", "gaierror"),
        "its host cannot be reached. Check the address and the network",
    ),
    (
        ("ClientPayloadError", "ServerDisconnected", "IncompleteRead", "ConnectionReset", "EOF"),
        "the connection was cut in the middle. Try again",
    ),
    (("Timeout",), "its host does not answer. Try again"),
    (("IsADirectory",), "it is a folder. Name a file in it, or a store that ends in .zarr"),
    (
        ("PermissionError", "Forbidden"),
        "access is denied. Give credentials as the library of its kind expects them",
    ),
    (("FileNotFound", "NoSuchKey", "NoSuchBucket"), "there is no such file. Check the address"),
)


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of fsspec for an address, and the path in it.

    Raises
    ------
    InputError
        If a library is missing; the message names the extra.
    FileFormatError
        If there is no file system for it.
    """
    scheme = address.partition(":")[0].lower()
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        found: tuple[Any, str] = url_to_fs(address, **storage_options(address))
    except ImportError as error:
        extra = _EXTRAS.get(scheme, "remote")
        raise InputError(
            f"{public(address)} cannot be read: a library for {scheme}:// is not installed "
            f"({error}); expected the extra {extra}. Install it with pip install "
            f"'ivimkit[{extra}]'"
        ) from None
    except ValueError as error:
        if "rotocol" not in str(error):
            raise
        raise FileFormatError(
            f"{public(address)} begins with {scheme}://, which is not known; expected one of "
            f"{', '.join(f'{one}://' for one in _SCHEMES)}, or another that fsspec knows. Check "
            "the address"
        ) from None
    return found


def storage_options(address: str) -> dict[str, Any]:
    """Return the options of the file system for an address, apart from its credentials."""
    if not address.lower().startswith(("http://", "https://")):
        return {}
    try:
        import aiohttp
    except ImportError:
        return {}
    # Its default ends every transfer after five minutes, however well it goes.
    limit = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS
    )
    # A file that the server compresses for the way would not be the one that it has.
    return {"client_kwargs": {"timeout": limit, "headers": {"Accept-Encoding": "identity"}}}


@contextmanager
def reached(address: str) -> Iterator[None]:
    """Turn whatever a file system raises into one error that says why, and what to do."""
    try:
        yield
    except IvimkitError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise _refused(address, error) from error
    except Exception as error:
        raise _refused(address, error) from error


def content_of(address: str, scan: str) -> bytes | None:
    """Return the content of a small file; None if there is no such file.

    Some servers answer with a web page for whatever is not there.

    Parameters
    ----------
    address : str
        Of the file.
    scan : str
        The address that was given, for errors.

    Raises
    ------
    FileFormatError
        If that cannot be found out.
    """
    with reached(scan):
        system, inner = file_system(address)
        try:
            found: bytes = system.cat_file(inner, end=_MAX_BYTES + 1)
        except (FileNotFoundError, PermissionError):
            # Of a bucket that may not be listed, what is not there is what may not be read.
            return None
        except Exception as error:
            if 400 <= getattr(error, "status", 0) < 500:
                return None
            raise
    return None if found.lstrip()[:1] == b"<" else found


def _refused(address: str, error: Exception) -> FileFormatError:
    return FileFormatError(f"{public(address)} cannot be read: {_reason(error)}")


def _reason(error: Exception) -> str:
    chain = _chain(error)
    statuses = [int(getattr(one, "status", None) or 0) for one in chain]
    statuses = [status for status in statuses if status]
    if any(status in _DENIED for status in statuses):
        return (
            f"access is denied (status {statuses[-1]}); expected the right to read it. Give "
            "credentials, see the documentation of fsspec"
        )
    names = [base.__name__ for one in chain for base in type(one).__mro__[:-3]]
    for known, words in _WORDS:
        if any(part in name for name in names for part in known):
            reason, _, advice = words.partition(". ")
            return f"{reason}; expected a file that can be read. {advice}"
    if any(status >= 500 for status in statuses):
        return (
            f"the server answers with an error (status {statuses[-1]}); expected the file. Try "
            "again later"
        )
    return f"{reason_of(error)}; expected a file that can be read. Check the address"


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an error with those that it came from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
