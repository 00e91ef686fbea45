"""NodeSettings: the settings file of a node, checked before anything starts."""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ivimkit.errors import FileFormatError, OptionError
from ivimkit.node.peers import Peer, PeerBook, check_ae_title
from ivimkit.node.rules import Rule, When
from ivimkit.node.tls import TlsSettings

__all__ = ["NodeSettings", "NodeTable", "TlsSettings", "load_settings"]

_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Positive = Annotated[float, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class NodeTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table ``[node]``.

    Parameters
    ----------
    folder : str
        Where everything is kept; relative to the settings file. On a local disk.
    ae_title : str
        What the node is called.
    address : str
        Address that it listens on. By default nobody can call from another machine.
    port : int
        Port that it listens on.
    quiet_s : float
        A study is looked at when no image has come for so many seconds.
    force_s : float
        An incomplete scan is not waited for any longer after so many seconds without an image.
    free_gb : float
        Images are refused when less space is left on the disk, 10⁹ bytes.
    keep_days : float
        How long studies and jobs that are done are kept.
    timeout_s : float
        A fit that takes longer is ended.
    memory_gb : float, optional
        A fit that needs more memory is ended, 10⁹ bytes.
    fit_attempts : int
        How often a fit that crashed is tried.
    retry_min : tuple of float
        Minutes between attempts to send; the last one is repeated.
    give_up_h : float
        A peer that cannot be reached for so many hours makes the job fail.
    max_associations : int
        How many calls are accepted at the same time.
    network_timeout_s : float
        A connection ends if nothing comes for this long.
    log_names : bool
        Whether names and numbers of patients are logged.
    """

    folder: Annotated[str, msgspec.Meta(min_length=1)]
    ae_title: str = "IVIMKIT"
    address: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 11112
    quiet_s: _Seconds = 30.0
    force_s: _Seconds = 900.0
    free_gb: _Seconds = 2.0
    keep_days: _Seconds = 7.0
    timeout_s: _Positive = 3600.0
    memory_gb: _Positive | None = None
    fit_attempts: _Count = 3
    retry_min: Annotated[tuple[_Seconds, ...], msgspec.Meta(min_length=1)] = (1.0, 5.0, 15.0, 60.0)
    give_up_h: _Seconds = 48.0
    max_associations: _Count = 10
    network_timeout_s: _Positive = 60.0
    log_names: bool = False


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a node.

    Attributes
    ----------
    node : NodeTable
        The node itself.
    peer : tuple of Peer
        Who may send, and who is sent results.
    rule : tuple of Rule
        What is done with scans; the first rule that is for a scan applies.
    tls : TlsSettings, optional
        Certificates.
    """

    node: NodeTable
    peer: tuple[Peer, ...]
    rule: tuple[Rule, ...]
    tls: TlsSettings | None = None

    @property
    def folder(self) -> Path:
        """Where everything is kept."""
        return Path(self.node.folder)

    def rule_named(self, name: str) -> Rule | None:
        """Return a rule by its name."""
        return next((rule for rule in self.rule if rule.name == name), None)


_FORMS: dict[str, type[msgspec.Struct]] = {
    "node": NodeTable,
    "tls": TlsSettings,
    "peer": Peer,
    "rule": Rule,
}


def load_settings(path: str | os.PathLike[str]) -> NodeSettings:
    """Return the settings of a file, every one of them checked.

    Parameters
    ----------
    path : path
        A TOML file.

    Returns
    -------
    NodeSettings
        The settings, with full paths.

    Raises
    ------
    FileFormatError
        If the file is missing or not TOML.
    OptionError
        If a setting is unknown, has a wrong type, or cannot be.
    """
    file = Path(path)
    content = _read(file)
    try:
        _check_keys(content)
        settings = _complete(_converted(content), file.absolute().parent)
        _check(settings)
    except (ValueError, OptionError) as error:
        raise OptionError(f"the settings {file} cannot be used: {error}") from None
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileFormatError(
            f"there is no settings file {file}; expected a TOML file with [node], [[peer]] and "
            "[[rule]]. Check the path"
        ) from None
    except UnicodeDecodeError:
        raise FileFormatError(
            f"the settings {file} are not text in UTF-8; expected a TOML file"
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(
            f"the settings {file} are not TOML: {error}; expected lines like port = 11112 below "
            "[node]"
        ) from None


def _converted(content: Mapping[str, Any]) -> NodeSettings:
    try:
        return msgspec.convert(content, NodeSettings)
    except msgspec.ValidationError:
        # Only here: it loads what fits scans, which is not for a process that runs for months.
        from ivimkit.io.json_form import converted

        return converted(content, NodeSettings)


def _check_keys(content: Mapping[str, Any]) -> None:
    """Raise OptionError for a name that nothing has, with the names that there are."""
    _check_names(content, list(_FORMS), "the file")
    for name, form in _FORMS.items():
        tables = content.get(name, [])
        where = f"[{name}]"
        if name in ("peer", "rule"):
            where = f"[[{name}]]"
            if not isinstance(tables, list):
                raise OptionError(f"{name} is not a list; expected tables that begin with {where}")
            if not tables:
                raise OptionError(f"there is no {where}; expected at least one")
        for table in tables if isinstance(tables, list) else [tables]:
            if isinstance(table, Mapping):
                _check_names(table, list(form.__struct_fields__), where)
                if isinstance(table.get("when"), Mapping):
                    _check_names(table["when"], list(When.__struct_fields__), "when of [[rule]]")


def _check_names(given: Mapping[str, Any], valid: list[str], where: str) -> None:
    for name in given:
        if name not in valid:
            near = difflib.get_close_matches(name, valid, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise OptionError(
                f"{where} has no setting {name!r}; expected one of {', '.join(valid)}{hint}"
            )


def _complete(settings: NodeSettings, home: Path) -> NodeSettings:
    """Return settings with full paths, and a name for every rule."""
    replace = msgspec.structs.replace
    folder = (home / Path(settings.node.folder).expanduser()).absolute()
    return replace(
        settings,
        node=replace(settings.node, folder=str(folder)),
        tls=None if settings.tls is None else settings.tls.within(home),
        rule=tuple(
            replace(rule, name=rule.name or str(number))
            for number, rule in enumerate(settings.rule, start=1)
        ),
    )


def _check(settings: NodeSettings) -> None:
    node = settings.node
    check_ae_title(node.ae_title, "ae_title of [node]")
    if node.force_s < node.quiet_s:
        raise OptionError(
            f"force_s is {node.force_s:g} and quiet_s {node.quiet_s:g}; expected force_s to be at "
            "least quiet_s"
        )
    if node.memory_gb is not None and not sys.platform.startswith("linux"):
        raise OptionError("memory_gb is given; expected it on Linux only. Leave it out")
    for peer in settings.peer:
        peer.check()
        if peer.tls and settings.tls is None:
            raise OptionError(
                f"peer {peer.name!r} has tls = true, but there is no [tls]; expected the files of "
                "the node's certificate there"
            )
    _check_unique([peer.name for peer in settings.peer], "peers")
    _check_unique([rule.name for rule in settings.rule], "rules")
    for rule in settings.rule:
        rule.check()
        _check_destinations(rule, {peer.name: peer for peer in settings.peer})
    PeerBook(settings.peer)


def _check_unique(names: list[str], what: str) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise OptionError(f"{times} {what} have the name {name!r}; expected different ones")


def _check_destinations(rule: Rule, peers: Mapping[str, Peer]) -> None:
    for name in rule.send_to or ():
        if name not in peers:
            raise OptionError(
                f"send_to of rule {rule.name!r} has {name!r}; expected one of {', '.join(peers)}"
            )
        if not peers[name].port:
            raise OptionError(
                f"rule {rule.name!r} sends to {name!r}, which has no port; expected one in its "
                "[[peer]]"
            )
