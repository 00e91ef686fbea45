"""NodeFetch: studies of a PACS for a node; behind ``ivimkit node fetch``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ivimkit.cli.options.pacs_extra import require_pacs
from ivimkit.cli.process.exit_codes import DONE, FAULT
from ivimkit.cli.screen.terminal import Screen, plain_table, say_error
from ivimkit.errors import OptionError

__all__ = ["NodeFetch"]


@dataclass(frozen=True)
class NodeFetch:
    """What to fetch.

    Parameters
    ----------
    config : Path
        Settings of the node.
    peer : str
        Name of the peer to ask.
    keys : mapping
        DICOM keywords with their values.
    dry_run : bool
        Whether only to list the studies.
    """

    config: Path
    peer: str
    keys: Mapping[str, str]
    dry_run: bool = False

    def run(self) -> int:
        """Find the studies, list them, let them be sent; return the exit code."""
        require_pacs()
        from ivimkit.node import load_settings
        from ivimkit.node.retrieval import Retrieval
        from ivimkit.node.sender import Sender, SendError

        settings = load_settings(self.config)
        peer = next((one for one in settings.peer if one.name == self.peer), None)
        if peer is None or not peer.port:
            names = ", ".join(one.name for one in settings.peer if one.port) or "none has a port"
            raise OptionError(f"--from is {self.peer!r}; expected a peer with a port: {names}")
        if not self.keys:
            raise OptionError(
                "nothing says which studies to fetch; expected at least one of --study, "
                "--accession, --patient, --date"
            )
        retrieval = Retrieval(Sender(settings.node.ae_title, settings.tls), peer)
        try:
            found = retrieval.find(self.keys)
            table = plain_table("study", "date", "images", "description", left=1)
            for study in found:
                table.add_row(study.uid, study.date, study.images, study.description)
            Screen().show(table if found else "no study has these values")
            for study in () if self.dry_run else found:
                sent = retrieval.move(study.uid, settings.node.ae_title)
                Screen().show(f"{study.uid}: {sent} images sent to the node")
        except SendError as error:
            say_error(f"error: peer {self.peer}: {error}")
            return FAULT
        return DONE
