"""Sender: sends the results of a job to a peer, each file until it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from ivimkit.errors import OptionError
from ivimkit.node.connections import hang_up, mend
from ivimkit.node.jobs import Delivery, JobFolder
from ivimkit.node.peers import Peer
from ivimkit.node.tls import TlsSettings

__all__ = ["Retries", "SendError", "Sender"]

_CONNECTION_S = 20.0
_ANSWER_S = 120.0
_MINUTE_S = 60.0
_HOUR_S = 3600.0
_MAX_CONTEXTS = 128
_MAX_MESSAGE_ID = 65_535
_WARNINGS = range(0xB000, 0xC000)
_OUT_OF_RESOURCES = range(0xA700, 0xA800)


class SendError(Exception):
    """A peer could not be reached, or did not take a file.

    Parameters
    ----------
    reason : str
        Why, in a sentence.
    is_final : bool
        Whether another attempt would end in the same way.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(frozen=True)
class Retries:
    """When to try again.

    Parameters
    ----------
    minutes : tuple of float
        Between attempts; the last is repeated.
    give_up_h : float
        After how many hours no more attempts are made.
    """

    minutes: tuple[float, ...]
    give_up_h: float

    def after(self, delivery: Delivery, error: SendError, *, since: float, now: float) -> Delivery:
        """Return the delivery after an attempt that failed.

        Parameters
        ----------
        delivery : Delivery
            Before the attempt.
        error : SendError
            Why it failed.
        since : float
            When the first attempt could have been made, seconds since 1970.
        now : float
            Now.
        """
        wait = self.minutes[min(delivery.attempts, len(self.minutes) - 1)] * _MINUTE_S
        is_over = error.is_final or now + wait - since > self.give_up_h * _HOUR_S
        return Delivery(
            peer=delivery.peer,
            state="failed" if is_over else "waiting",
            attempts=delivery.attempts + 1,
            next_at=now + wait,
            reason=str(error),
        )


class Sender:
    """Sends files to peers.

    Parameters
    ----------
    ae_title : str
        What the node calls itself.
    tls : TlsSettings, optional
        Certificates.
    """

    def __init__(self, ae_title: str, tls: TlsSettings | None) -> None:
        self._ae_title = ae_title
        self._tls = tls

    def echo(self, peer: Peer) -> None:
        """Ask a peer whether it is there.

        Raises
        ------
        SendError
            If it is not, or does not know the node.
        """
        association = self.associate(peer, [build_context(Verification)])
        try:
            status = association.send_c_echo()
            if "Status" not in status or status.Status != 0:
                raise SendError("it did not answer C-ECHO")
        finally:
            hang_up(association)

    def send(self, folder: JobFolder, peer: Peer, goes_on: Callable[[], bool]) -> int:
        """Send the results of a job that a peer has not acknowledged yet.

        One that it refuses does not keep back the others.

        Parameters
        ----------
        folder : JobFolder
            The folder of the job.
        peer : Peer
            Where to.
        goes_on : callable
            Whether to send the next file.

        Returns
        -------
        int
            How many files were sent.

        Raises
        ------
        SendError
            If any was not acknowledged.
        """
        known = folder.acknowledged(peer.name)
        names = {str(path.relative_to(folder.output)): path for path in folder.results()}
        missing = {name: path for name, path in names.items() if name not in known}
        if not missing:
            return 0
        refusals: dict[str, None] = {}
        association = self.associate(peer, _contexts(list(missing.values())))
        try:
            for number, (name, path) in enumerate(missing.items()):
                if not goes_on():
                    raise SendError("the node was stopped")
                refusal = _send_file(association, path, number)
                if refusal:
                    refusals[refusal] = None
                else:
                    folder.acknowledge(peer.name, name)
        finally:
            hang_up(association)
        if refusals:
            raise SendError("; ".join(refusals), is_final=True)
        return len(missing)

    def associate(self, peer: Peer, contexts: Sequence[PresentationContext]) -> Association:
        """Connect to a peer.

        Raises
        ------
        SendError
            If that is not possible.
        """
        entity = AE(self._ae_title)
        entity.connection_timeout = _CONNECTION_S
        entity.acse_timeout = _ANSWER_S
        entity.dimse_timeout = _ANSWER_S
        entity.network_timeout = _ANSWER_S
        encrypted = self._tls is not None if peer.tls is None else peer.tls
        answers: list[str] = []

        def opened(event: evt.Event) -> None:
            answers.append(peer.address)
            mend(event.assoc)

        try:
            tls = (self._tls.client(), peer.address) if encrypted and self._tls else None
            association = entity.associate(
                peer.address,
                peer.port,
                contexts=list(contexts),
                ae_title=peer.ae_title,
                tls_args=tls,
                evt_handlers=[(evt.EVT_CONN_OPEN, opened)],
            )
        except OptionError as error:
            raise SendError(str(error)) from None
        except OSError as error:
            raise SendError(f"{peer.address} cannot be found: {error.strerror or error}") from None
        if not association.is_established:
            hang_up(association)
            refused = [context.abstract_syntax for context in association.rejected_contexts]
            if refused and not association.accepted_contexts:
                names = [UID(str(one)).name for one in refused]
                raise SendError(_not_accepted(names), is_final=True)
            raise SendError(_why_not(association, peer, answers=bool(answers)))
        return association


def _why_not(association: Association, peer: Peer, *, answers: bool) -> str:
    if not answers:
        return f"nobody answers at {peer.address}, port {peer.port}"
    if association.is_rejected:
        answer: Any = association.acceptor.primitive
        return f"it rejected the association: {answer.reason_str}"
    return "it aborted the association"


def _contexts(paths: Sequence[Path]) -> list[PresentationContext]:
    """Return what is proposed to the peer: each kind of image as it is in its file."""
    found: dict[tuple[str, str], PresentationContext] = {}
    for path in paths:
        try:
            meta = dcmread(path, specific_tags=[], stop_before_pixels=True).file_meta
            key = (str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID))
        except (InvalidDicomError, AttributeError, OSError) as error:
            raise SendError(f"{path.name} is not a DICOM file: {error}", is_final=True) from None
        found[key] = build_context(*key)
    return list(found.values())[:_MAX_CONTEXTS]


def _send_file(association: Association, path: Path, number: int) -> str:
    """Send a file; return why it was refused for good, or nothing.

    Raises
    ------
    SendError
        If it may be accepted later.
    """
    try:
        answer = association.send_c_store(path, msg_id=number % _MAX_MESSAGE_ID + 1)
    except ValueError:
        meta = dcmread(path, specific_tags=[], stop_before_pixels=True).file_meta
        return _not_accepted([meta.MediaStorageSOPClassUID.name])
    except RuntimeError:
        raise SendError("it closed the connection") from None
    if "Status" not in answer:
        raise SendError("it did not acknowledge an image")
    status = int(answer.Status)
    if status == 0 or status in _WARNINGS:
        return ""
    words = answer.get("ErrorComment", "")
    text = f"it refused an image with status 0x{status:04X}" + (f": {words}" if words else "")
    if status in _OUT_OF_RESOURCES:
        raise SendError(text)
    return text


def _not_accepted(kinds: Sequence[str]) -> str:
    return (
        f"it does not accept {', '.join(dict.fromkeys(kinds))}. Enable that there, or leave it "
        "out of the rule"
    )
