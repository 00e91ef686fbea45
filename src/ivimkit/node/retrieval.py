"""Retrieval: finds studies at a peer, and lets it send them to the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from ivimkit.node.connections import hang_up
from ivimkit.node.peers import Peer
from ivimkit.node.sender import Sender, SendError

__all__ = ["FoundStudy", "Retrieval"]

_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class FoundStudy:
    """A study of a peer.

    Parameters
    ----------
    uid : str
        Study Instance UID.
    date : str
        Of the study.
    description : str
        Of the study.
    images : str
        How many it has, if the peer says so.
    """

    uid: str
    date: str
    description: str
    images: str


class Retrieval:
    """Asks a peer.

    Parameters
    ----------
    sender : Sender
        How to connect.
    peer : Peer
        Whom to ask.
    """

    def __init__(self, sender: Sender, peer: Peer) -> None:
        self._sender = sender
        self._peer = peer

    def find(self, keys: Mapping[str, str]) -> list[FoundStudy]:
        """Return the studies that have these values.

        Parameters
        ----------
        keys : mapping
            DICOM keywords of the study level with their values.

        Raises
        ------
        SendError
            If the peer cannot be asked, or does not answer as it should.
        """
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        for name in ("StudyInstanceUID", "StudyDate", "StudyDescription"):
            setattr(query, name, "")
        query.NumberOfStudyRelatedInstances = None
        for name, value in keys.items():
            setattr(query, name, value)
        model = StudyRootQueryRetrieveInformationModelFind
        association = self._sender.associate(self._peer, [build_context(model)])
        found = []
        try:
            for status, answer in association.send_c_find(query, model):
                _check(status, "C-FIND")
                if answer is not None:
                    found.append(_study(answer))
        finally:
            hang_up(association)
        return sorted(found, key=lambda study: (study.date, study.uid))

    def move(self, study: str, to: str) -> int:
        """Let the peer send a study; return how many images it has sent.

        Parameters
        ----------
        study : str
            Study Instance UID.
        to : str
            AE title of the receiver, which the peer has to know.

        Raises
        ------
        SendError
            If it cannot, or not all images arrived.
        """
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.StudyInstanceUID = study
        model = StudyRootQueryRetrieveInformationModelMove
        association = self._sender.associate(self._peer, [build_context(model)])
        sent = failed = 0
        try:
            for status, _ in association.send_c_move(query, to, model):
                sent = int(status.get("NumberOfCompletedSuboperations") or sent)
                failed = int(status.get("NumberOfFailedSuboperations") or failed)
                if not failed:
                    _check(status, "C-MOVE")
        finally:
            hang_up(association)
        if failed:
            raise SendError(f"{failed} images of study {study} could not be sent to {to}")
        return sent


def _check(status: Dataset, what: str) -> None:
    if "Status" not in status:
        raise SendError(f"it did not answer {what}")
    if status.Status != 0 and status.Status not in _PENDING:
        words = status.get("ErrorComment", "")
        hint = f": {words}" if words else ""
        raise SendError(f"it refused {what} with status 0x{int(status.Status):04X}{hint}")


def _study(answer: Dataset) -> FoundStudy:
    return FoundStudy(
        uid=str(answer.get("StudyInstanceUID", "")),
        date=str(answer.get("StudyDate", "") or ""),
        description=str(answer.get("StudyDescription", "") or ""),
        images=str(answer.get("NumberOfStudyRelatedInstances", "") or ""),
    )
