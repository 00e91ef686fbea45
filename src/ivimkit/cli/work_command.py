"""WorkCommand: a command whose options may be in a file, and what it does in a log."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from ivimkit.addresses import public
from ivimkit.cli.error_guard import GuardedCommand
from ivimkit.cli.options.settings_file import commands_of, settings_of
from ivimkit.cli.process.run_log import log, start_log, versions
from ivimkit.cli.process.typed_line import command_line, set_words_of_file

__all__ = ["WorkCommand"]

_FROM_FILE = "DEFAULT_MAP"
_NOT_WORDS = ("settings", "like_result", "log")


class WorkCommand(GuardedCommand):
    """A command with --config and --log, and, if it fits, with --like."""

    def prepare(self, ctx: Any, given: Mapping[str, Any]) -> None:
        """Take options from the result of --like and the file of --config.

        What is on the command line wins over the file, and that over the result.
        """
        found: dict[str, Any] = {}
        if given.get("settings") is not None:
            commands = commands_of(ctx.find_root().command)
            found = settings_of(Path(given["settings"]), _name(ctx), commands)
        if given.get("like_result") is not None:
            # Here and not above: it loads what reads results.
            from ivimkit.cli.options.result_settings import options_like

            like = options_like(Path(given["like_result"]), {**found, **given})
            has = {option.name for option in self.params}
            found = self._merged({name: like[name] for name in like if name in has}, found)
        if found:
            ctx.default_map = {**(ctx.default_map or {}), **self.with_files_at_hand(ctx, found)}

    def make_parser(self, ctx: Any) -> Any:
        """Return a parser that completes NAME=VALUE options by those of files."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args)
            both = {name: values[name] for name in ctx.default_map or () if name in values}
            return {**values, **self._merged(ctx.default_map or {}, both, both)}, rest, order

        parser.parse_args = parse_args
        return parser

    def _merged(
        self,
        first: Mapping[str, Any],
        then: Mapping[str, Any],
        wanted: Container[str] | None = None,
    ) -> dict[str, Any]:
        """Return values of both, where the second ones win: of NAME=VALUE, those of each name."""
        merged = {**first, **then}
        for option in self.params:
            name = option.name
            if (
                option.multiple
                and "=" in (option.metavar or "")
                and name in first
                and name in then
            ):
                named = {_first_word(text): text for text in (*first[name], *then[name])}
                merged[name] = list(named.values())
        return {name: merged[name] for name in merged if wanted is None or name in wanted}

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with its log."""
        set_words_of_file(ctx, list(self._words(ctx)))
        if ctx.params.get("log") is not None:
            start_log(ctx.params["log"])
            log(logging.INFO, versions())
            log(logging.INFO, f"command: {command_line(ctx)}")
            log(logging.INFO, f"folder: {Path.cwd()}")
            log(logging.INFO, f"options: {'; '.join(self._shown(ctx))}")
        return super().invoke(ctx)

    def _words(self, ctx: Any) -> Iterator[str]:
        """Yield the options that are from a file or a result, as they would be typed."""
        for option in self.params:
            source = ctx.get_parameter_source(option.name)
            if source is None or source.name != _FROM_FILE or option.name in _NOT_WORDS:
                continue
            value = ctx.default_map[option.name]
            if isinstance(value, bool):
                negative = option.secondary_opts[:1]
                yield from option.opts[:1] if value else negative
                continue
            for one in value if isinstance(value, list) else [value]:
                yield from (option.opts[0], _typed(one))

    def _shown(self, ctx: Any) -> Iterator[str]:
        for name, value in ctx.params.items():
            shown = getattr(value, "value", value)
            if isinstance(shown, list | tuple):
                shown = ", ".join(map(str, shown))
            if shown not in (None, False, "") and name not in ("settings", "log"):
                yield public(f"{name} = {shown}")


def _typed(value: Any) -> str:
    """Return a value as somebody would type it: 600, not 600.0."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)


def _first_word(text: str) -> str:
    return text.partition("=")[0].strip()


def _name(ctx: Any) -> str:
    """Return the name of a command in the program, like ``dicom run``."""
    names = []
    while ctx.parent is not None:
        names.append(ctx.info_name)
        ctx = ctx.parent
    return " ".join(reversed(names))
