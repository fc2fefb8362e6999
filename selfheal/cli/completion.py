"""`selfheal completion`: the shell's own script that completes commands, flags and their values.

It is made from the table of commands and their parsers, so that it knows exactly what they know.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remediator.locale import Catalog
from selfheal.cli.answers import DONE, print_json

name = "completion"

SHELLS = ("bash", "zsh", "fish")
FILES = frozenset({"FILE", "FOLDER"})
"""Names of arguments that are paths."""


@dataclass(frozen=True, slots=True)
class Word:
    """A flag of a command: what it is called, whether a value follows, and which values there are."""

    flags: tuple[str, ...]
    takes_value: bool
    choices: tuple[str, ...]
    path: bool
    help: str


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add which shell."""
    parser.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS), help=texts.say("cli.flag.shell"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Write the script; return 0."""
    script = {"bash": bash, "zsh": zsh, "fish": fish}[options.shell](texts)
    if options.json:
        print_json({"shell": options.shell, "script": script})
    else:
        print(script, end="")
    return DONE


def words_of(command: str, texts: Catalog) -> tuple[list[Word], list[str]]:
    """Given a command, return its flags and what may stand as its arguments."""
    from selfheal.cli import COMMANDS, OWN_PARSER, build_parser, load

    if command in OWN_PARSER:
        parser: argparse.ArgumentParser = importlib.import_module(COMMANDS[command]).build_parser(texts)
    else:
        parser = build_parser(load(command), texts)
    flags: list[Word] = []
    arguments: list[str] = []
    for action in parser._actions:
        choices = tuple(str(choice) for choice in action.choices or ())
        if not action.option_strings:
            arguments += choices
            continue
        path = isinstance(action.metavar, str) and action.metavar in FILES
        said = (action.help or "").partition(" [$")[0].replace("\n", " ")
        flags.append(Word(tuple(action.option_strings), action.nargs != 0, choices, path, said))
    return flags, arguments


def bash(texts: Catalog) -> str:
    """Return the script for bash."""
    from selfheal.cli import COMMANDS

    cases = []
    for command in COMMANDS:
        flags, arguments = words_of(command, texts)
        offered = _words([flag for word in flags for flag in word.flags] + arguments)
        inner = "".join(_bash_value(word) for word in flags if word.takes_value)
        cases.append(
            f'    {command})\n      case "$previous" in\n{inner}      esac\n      words="{offered}"\n      ;;\n'
        )
    return (
        "# bash completion of selfheal: source <(selfheal completion bash)\n"
        "_selfheal() {\n"
        '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=""\n'
        '  if [ "$COMP_CWORD" -eq 1 ]; then\n'
        f'    COMPREPLY=($(compgen -W "{_words([*COMMANDS, "--help", "--version"])}" -- "$current"))\n'
        "    return\n"
        "  fi\n"
        '  case "${COMP_WORDS[1]}" in\n' + "".join(cases) + "  esac\n"
        '  COMPREPLY=($(compgen -W "$words" -- "$current"))\n'
        "}\n"
        "complete -F _selfheal selfheal\n"
    )


def _bash_value(word: Word) -> str:
    pattern = "|".join(word.flags)
    if word.choices:
        answer = f'COMPREPLY=($(compgen -W "{_words(word.choices)}" -- "$current"))'
    elif word.path:
        # a name with a space in it is one name
        answer = 'mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames 2>/dev/null || :'
    else:
        answer = "COMPREPLY=()"
    return f"        {pattern}) {answer}; return ;;\n"


def zsh(texts: Catalog) -> str:
    """Return the script for zsh."""
    from selfheal.cli import COMMANDS

    listed = "\n".join(f"    {_quote(f'{each}:' + texts.say(f'cli.{each}.summary'))}" for each in COMMANDS)
    cases = []
    for command in COMMANDS:
        flags, arguments = words_of(command, texts)
        specs = [_zsh_flag(word, flag) for word in flags for flag in word.flags]
        if arguments:
            specs.append(_quote(f"*::argument:({_words(arguments)})"))
        cases.append(f"    {command}) _arguments -s " + " \\\n      ".join(specs) + " ;;\n")
    return (
        "#compdef selfheal\n"
        "_selfheal() {\n"
        "  local -a commands\n"
        f"  commands=(\n{listed}\n  )\n"
        "  if (( CURRENT == 2 )); then\n"
        "    _describe command commands\n"
        "    return\n"
        "  fi\n"
        "  local command=$words[2]\n"
        "  shift words; (( CURRENT-- ))\n"
        "  case $command in\n" + "".join(cases) + "  esac\n"
        "}\n"
        'if [ "$funcstack[1]" = "_selfheal" ]; then _selfheal "$@"; else compdef _selfheal selfheal; fi\n'
    )


def _zsh_flag(word: Word, flag: str) -> str:
    said = word.help.replace("[", "(").replace("]", ")").replace(":", " -")
    value = ""
    if word.takes_value:
        value = f":value:({_words(word.choices)})" if word.choices else ":file:_files" if word.path else ":value: "
    return _quote(f"{flag}[{said}]{value}")


def fish(texts: Catalog) -> str:
    """Return the script for fish."""
    from selfheal.cli import COMMANDS

    lines = ["# fish completion of selfheal: selfheal completion fish | source", "complete -c selfheal -f"]
    for command in COMMANDS:
        summary = _quote(texts.say(f"cli.{command}.summary"))
        lines.append(f"complete -c selfheal -n __fish_use_subcommand -a {command} -d {summary}")
        seen = f"-n '__fish_seen_subcommand_from {command}'"
        flags, arguments = words_of(command, texts)
        if arguments:
            lines.append(f"complete -c selfheal {seen} -a {_quote(_words(arguments))}")
        for word in flags:
            names = " ".join(f"-l {each[2:]}" if each.startswith("--") else f"-s {each[1:]}" for each in word.flags)
            value = ""
            if word.takes_value:
                value = f" -x -a {_quote(_words(word.choices))}" if word.choices else " -r -F" if word.path else " -x"
            lines.append(f"complete -c selfheal {seen} {names}{value} -d {_quote(word.help)}")
    return "\n".join(lines) + "\n"


def _words(words: Iterable[str] | Sequence[str]) -> str:
    return " ".join(words)


def _quote(text: str) -> str:
    """Return text as one word of bash and zsh; fish reads it likewise as long as it holds no backslash."""
    return "'" + text.replace("\\", "/").replace("'", "’") + "'"
