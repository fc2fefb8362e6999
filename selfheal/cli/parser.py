"""The argument parser of every command: its frame is in the reader's language and as wide as the terminal."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable
from typing import Any

from remediator.locale import Catalog


def make_parser(prog: str, description: str, epilog: str, texts: Catalog) -> argparse.ArgumentParser:
    """Given the name, what it does and what stands below the flags, return a parser without arguments yet."""

    class Formatter(_Formatter):
        usage = texts.say("cli.usage")

    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=Formatter,
        add_help=False,
    )
    # argparse has no other way to name its two groups
    parser._positionals.title = texts.say("cli.arguments")
    parser._optionals.title = texts.say("cli.flags")
    parser.add_argument("-h", "--help", action="help", help=texts.say("cli.help"))
    return parser


def indented(text: str) -> str:
    """Return every line of `text` moved to the right: it keeps its lines in the help."""
    return "\n".join(f"  {line}" for line in text.splitlines())


class _Formatter(argparse.HelpFormatter):
    """Fills paragraphs and keeps indented lines, which are examples and tables."""

    usage = "usage: "

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """Add the line of usage under its name in the reader's language."""
        super().add_usage(usage, actions, groups, self.usage if prefix is None else prefix)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts: list[str] = []
        paragraph: list[str] = []
        for line in [*text.splitlines(), ""]:
            if line and not line.startswith(" "):
                paragraph.append(line)
                continue
            if paragraph:
                parts.append(textwrap.fill(" ".join(paragraph), width, initial_indent=indent, subsequent_indent=indent))
                paragraph = []
            parts.append(line)
        return "\n".join(parts).rstrip("\n")
