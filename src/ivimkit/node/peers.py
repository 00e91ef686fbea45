"""Peer: another DICOM application that may send to the node, or is sent results."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Annotated

import msgspec

from ivimkit.errors import OptionError

__all__ = ["Peer", "PeerBook", "check_ae_title"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DICOM application that the node knows.

    Parameters
    ----------
    name : str
        What it is called in the settings, in logs and in file names.
    ae_title : str
        Its application entity title.
    address : str
        IP address or host name.
    port : int, optional
        Where it receives; 0 if it only sends.
    accept_from : tuple of str
        Addresses or networks, like 10.1.0.0/16, that it may call from; by default its address.
    tls : bool, optional
        Whether connections to it are encrypted; by default they are if the node has certificates.
    """

    name: str
    ae_title: str
    address: str
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    accept_from: tuple[str, ...] = ()
    tls: bool | None = None

    def check(self) -> None:
        """Raise OptionError if a part of it cannot be."""
        if not _NAME.fullmatch(self.name):
            raise OptionError(
                f"the name of a peer is {self.name!r}; expected up to 32 letters, digits, - and "
                "_. Choose another one"
            )
        check_ae_title(self.ae_title, f"the AE title of peer {self.name!r}")
        if not self.address.strip():
            raise OptionError(
                f"the address of peer {self.name!r} is empty; expected an IP address or a host "
                "name"
            )
        for text in self.accept_from:
            if "/" in text:
                _network(text, self.name)


class PeerBook:
    """All peers, and who of them is calling.

    Parameters
    ----------
    peers : sequence of Peer
        The peers.

    Examples
    --------
    >>> from ivimkit.node.peers import Peer, PeerBook
    >>> book = PeerBook([Peer(name="mr1", ae_title="MR1", address="10.0.0.7")])
    >>> book.caller("MR1", "10.0.0.7").name
    'mr1'
    >>> book.caller("MR1", "10.0.0.8") is None
    True
    """

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = {peer.name: peer for peer in peers}
        self._networks = {peer.name: _networks(peer) for peer in peers}

    def get(self, name: str) -> Peer | None:
        """Return a peer by its name."""
        return self._peers.get(name)

    def knows(self, address: str) -> bool:
        """Return whether any peer may call from an address."""
        return any(self._may_call(peer, address) for peer in self._peers.values())

    def caller(self, ae_title: str, address: str) -> Peer | None:
        """Return the peer that calls itself this and may do so from this address."""
        for peer in self._peers.values():
            if peer.ae_title.strip() == ae_title.strip() and self._may_call(peer, address):
                return peer
        return None

    def _may_call(self, peer: Peer, address: str) -> bool:
        found = _plain(address)
        return any(found in network for network in self._networks[peer.name])


def check_ae_title(text: str, what: str) -> None:
    """Raise OptionError for a text that is not an AE title."""
    if not _AE_TITLE.fullmatch(text) or not text.strip():
        raise OptionError(
            f"{what} is {text!r}; expected 1 to 16 characters of ASCII without backslash, like "
            "PACS1"
        )


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return found if mapped is None else mapped


def _network(text: str, name: str) -> _Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise OptionError(
            f"accept_from of peer {name!r} has {text!r}; expected an address like 10.1.2.3, a "
            "network like 10.1.0.0/16, or a host name"
        ) from None


def _networks(peer: Peer) -> list[_Network]:
    found: list[_Network] = []
    for text in peer.accept_from or (peer.address,):
        if "/" in text:
            found.append(_network(text, peer.name))
        else:
            found += [ipaddress.ip_network(str(_plain(one))) for one in _resolved(text, peer.name)]
    return found


def _resolved(host: str, name: str) -> list[str]:
    try:
        return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, None)})
    except (OSError, UnicodeError) as error:
        raise OptionError(
            f"the address {host!r} of peer {name!r} cannot be found ({error}); expected an IP "
            "address, or a host name that this machine can resolve"
        ) from None
