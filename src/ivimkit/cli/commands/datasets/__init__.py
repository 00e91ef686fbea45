"""The commands of ``ivimkit datasets``, one file each."""

from __future__ import annotations

from ivimkit.cli.command_group import command_group
from ivimkit.cli.commands.datasets.fetch import fetch
from ivimkit.cli.commands.datasets.list_datasets import list_datasets

__all__ = ["datasets"]

datasets = command_group(
    "datasets",
    {"fetch": fetch},
    about="Public scans by name, to try things on.",
    questions={"list": list_datasets},
)
