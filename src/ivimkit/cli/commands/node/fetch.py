"""ivimkit node fetch: let a PACS send studies to the node."""

from __future__ import annotations

from typing import Annotated

import typer

from ivimkit.cli.options.node_options import Config

__all__ = ["fetch"]

_PANEL = "Which studies"


def _key(text: str, metavar: str, name: str | None = None) -> object:
    words = () if name is None else (name,)
    return typer.Option(
        *words, metavar=metavar, show_default=False, rich_help_panel=_PANEL, help=text
    )


def fetch(
    *,
    config: Config,
    peer: Annotated[
        str, typer.Option("--from", metavar="NAME", show_default=False, help="Peer to ask.")
    ],
    study: Annotated[str | None, _key("Study Instance UID.", "UID")] = None,
    accession: Annotated[str | None, _key("Accession number.", "NUMBER")] = None,
    patient: Annotated[str | None, _key("Number of the patient.", "ID")] = None,
    date: Annotated[
        str | None, _key("Date of the study, like 20261003 or 20261001-20261031.", "DATE")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be fetched.")
    ] = False,
) -> None:
    """Ask a peer for studies, and let it send them to the node.

    Looks for the studies with C-FIND, then asks with C-MOVE that they are sent
    to the node, which has to run, and which the peer has to know by its AE
    title. No name of a patient is printed.

    [bold]Examples[/bold]

      ivimkit node fetch --config node.toml --from pacs --accession 12345
      ivimkit node fetch --config node.toml --from pacs --patient 4711
                 --date 20260101-20261231 --dry-run
    """
    # Here and not above: --help must not wait for pynetdicom.
    from ivimkit.cli.jobs.node_fetch import NodeFetch

    wanted = {
        "StudyInstanceUID": study,
        "AccessionNumber": accession,
        "PatientID": patient,
        "StudyDate": date,
    }
    keys = {name: value for name, value in wanted.items() if value is not None}
    raise typer.Exit(NodeFetch(config, peer, keys, dry_run=dry_run).run())
