"""NodeCheck: whether a node has what it needs; behind ``ivimkit node check``."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from ivimkit.cli.options.pacs_extra import require_pacs
from ivimkit.cli.process.exit_codes import DONE, FAULT
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import InputError, OptionError
from ivimkit.rounding import rounded

if TYPE_CHECKING:
    from ivimkit.node import NodeSettings
    from ivimkit.node.peers import Peer
    from ivimkit.node.rules import Rule
    from ivimkit.node.sender import Sender

__all__ = ["NodeCheck"]

_LOCAL = ("127.", "::1", "localhost")


@dataclass(frozen=True)
class NodeCheck:
    """Which node, and how much of it.

    Parameters
    ----------
    ctx : typer.Context
        Of the command; contains all others.
    config : Path
        Its settings.
    settings_only : bool
        Check nothing but the settings.
    """

    ctx: typer.Context
    config: Path
    settings_only: bool = False

    def run(self) -> int:
        """Check everything, print what was found, return the exit code.

        Raises
        ------
        InputError
            If the settings are wrong.
        """
        require_pacs()
        from ivimkit.node import load_settings

        settings = load_settings(self.config)
        for rule in settings.rule:
            _check_fit(rule, self._fit_command())
        peers = ", ".join(peer.name for peer in settings.peer)
        rules = ", ".join(rule.name for rule in settings.rule)
        self._show("settings", f"peers {peers}; rules {rules}")
        if self.settings_only:
            return DONE
        checks = list(_checks(settings))
        codes = [self._checked(name, check) for name, check in checks]
        return FAULT if any(codes) else DONE

    def _fit_command(self) -> Any:
        """Return the command that fits: its options are those of a rule."""
        command: Any = self.ctx.find_root().command
        return command.commands["dicom"].commands["run"]

    def _checked(self, name: str, check: Callable[[], str]) -> int:
        from ivimkit.node.sender import SendError

        try:
            self._show(name, check())
        except (InputError, SendError) as error:
            self._show(name, str(error), is_wrong=True)
            return FAULT
        return DONE

    def _show(self, name: str, found: str, *, is_wrong: bool = False) -> None:
        mark, style = ("wrong", "bold red") if is_wrong else ("ok", "green")
        Screen().show(Text.assemble((f"{mark:6}", style), f"{name}: {found}"))


def _checks(settings: NodeSettings) -> Iterator[tuple[str, Callable[[], str]]]:
    from ivimkit.node.health import is_running
    from ivimkit.node.sender import Sender

    yield "folder", lambda: _folder(settings)
    if settings.tls is not None:
        yield "certificates", lambda: _certificates(settings)
    elif not settings.node.address.startswith(_LOCAL):
        yield "encryption", lambda: "none: whoever is on the network can read images and names"
    if is_running(settings.folder):
        yield "port", lambda: "the node is running"
    else:
        yield "port", lambda: _port(settings)
    sender = Sender(settings.node.ae_title, settings.tls)
    for peer in settings.peer:
        if peer.port:
            yield f"peer {peer.name}", partial(_answers, sender, peer)


def _answers(sender: Sender, peer: Peer) -> str:
    sender.echo(peer)
    return "answers C-ECHO"


def _check_fit(rule: Rule, command: Any) -> None:
    """Raise OptionError if the options of a fit cannot be used by their command."""
    from ivimkit.cli.options.fit_options import FitOptions
    from ivimkit.cli.options.fit_setup import FitSetup

    words = ["in", "out", *rule.options(), f"--as={','.join(rule.write)}"]
    try:
        context = command.make_context("run", words)
    except Exception as error:
        # The class of errors of options differs between versions of typer.
        if not hasattr(error, "format_message"):
            raise
        raise OptionError(f"fit of rule {rule.name!r}: {error.format_message()}") from None
    names = {field for field in FitOptions.__dataclass_fields__ if field in context.params}
    setup = FitSetup(**{name: context.params[name] for name in names})
    try:
        model = setup.signal_model()
        setup.estimator(model, setup.fit_method(model))
    except InputError as error:
        raise OptionError(f"fit of rule {rule.name!r}: {error}") from None


def _folder(settings: NodeSettings) -> str:
    from ivimkit.cli.options.output_folders import check_writable
    from ivimkit.node.spool import Spool

    folder = settings.folder
    check_writable(folder)
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = Spool(existing).free_gb()
    if free < settings.node.free_gb:
        raise InputError(
            f"{folder} has {rounded(free)} GB free; expected free_gb = {settings.node.free_gb:g} "
            "at least, as images are refused below it. Choose another disk, or make room"
        )
    return f"{folder}, {rounded(free)} GB free"


def _certificates(settings: NodeSettings) -> str:
    assert settings.tls is not None
    settings.tls.server()
    settings.tls.client()
    return "can be used"


def _port(settings: NodeSettings) -> str:
    node = settings.node
    try:
        family, *_, place = socket.getaddrinfo(node.address, node.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
    except OSError as error:
        raise InputError(
            f"{node.address}, port {node.port}, cannot be used: {error.strerror or error}; "
            "expected an address of this machine and a free port"
        ) from None
    return f"{node.address}, port {node.port}, is free"
