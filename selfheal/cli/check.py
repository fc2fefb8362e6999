"""`selfheal check`: everything that is wrong in configuration, policy, playbooks and rules, all at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.locale import Catalog
from selfheal.cli import place as places
from selfheal.cli.answers import DONE, FAILED, NOTHING_TO_ASK, Failed, Screen, print_json
from selfheal.common.durations import format_duration
from selfheal.common.flags import add_flag

if TYPE_CHECKING:
    # reading rules loads the PromQL parser, which no other command needs
    from remediator.check import AlertProof, Report

name = "check"
FORMATS = ("text", "json", "sarif")
SCHEMAS = ("playbook", "config", "policy")


def add_arguments(parser: argparse.ArgumentParser, texts: Catalog) -> None:
    """Add what to check and what to show besides."""
    add_flag(parser, "--rules", action="extend", nargs="+", metavar="FILE", help=texts.say("cli.flag.rules"))
    add_flag(parser, "--playbooks", action="extend", nargs="+", metavar="FILE", help=texts.say("cli.flag.playbooks"))
    add_flag(parser, "--show", action="store_true", default=False, help=texts.say("cli.flag.show"))
    # not from a variable: a script reads what it asked for, and the `--format` of `audit` has other forms
    parser.add_argument("--format", choices=FORMATS, default="text", help=texts.say("cli.flag.check_format"))
    parser.add_argument("--schema", choices=SCHEMAS, help=texts.say("cli.flag.schema"))


def run(options: argparse.Namespace, texts: Catalog) -> int:
    """Check, or write a schema; return 0 without errors, 1 with any. Warnings alone do not fail."""
    from remediator.check import run as check

    if options.schema is not None:
        _print_schema(options.schema)
        return DONE
    config = _config(options, texts)
    rules, playbooks = ([Path(each) for each in given or ()] for given in (options.rules, options.playbooks))
    report = check(config, rules, playbooks)
    settings = _settings(config) if options.show and config is not None else None
    if options.format == "sarif":
        _print_sarif(report)
        return DONE if report.ok else FAILED
    if options.json or options.format == "json":
        print_json(report.to_json() | ({"settings": settings} if settings is not None else {}))
        return DONE if report.ok else FAILED
    screen = Screen()
    if config is None and not rules and not playbooks:
        screen.line(texts.say("cli.check.shipped_only"))
    for problem in report.problems:
        level = texts.say(f"cli.check.{problem.level}")
        screen.line(f"{screen.paint(level, 'bad' if problem.level == 'error' else 'busy')}: {screen.paint(problem)}")
    errors = sum(problem.level == "error" for problem in report.problems)
    warnings = len(report.problems) - errors
    if not report.problems:
        screen.line(screen.paint(texts.say("cli.check.fine"), "good"))
    else:
        screen.line(texts.say("cli.check.summed", errors=errors, warnings=warnings))
    if report.proofs:
        screen.heading(texts.say("cli.check.proofs"))
        screen.table([_proof(proof, texts) for proof in report.proofs])
    if settings is not None:
        screen.heading(texts.say("cli.check.settings"))
        screen.table([[(key, "soft"), (value, "")] for key, value in settings.items()])
    return DONE if report.ok else FAILED


def _print_schema(name: str) -> None:
    from remediator.check.schema import schema

    print_json(schema(name))


def _print_sarif(report: Report) -> None:
    from remediator.check.sarif import document

    print_json(document(report, Path.cwd()))


def _proof(proof: AlertProof, texts: Catalog) -> list[tuple[object, str]]:
    window = format_duration(proof.window_seconds)
    if proof.playbook is None and proof.proof.value == "declare":
        # nobody has to declare anything where no playbook answers, but whoever writes one would
        said = texts.say("cli.check.unjudged", reason=proof.detail.rpartition("; ")[0])
    else:
        said = texts.say(f"proof.{proof.proof.value}", window=window, detail=proof.detail)
    return [(proof.alert, "strong"), (proof.playbook or texts.say("cli.check.nobody"), ""), (said, "")]


def _config(options: argparse.Namespace, texts: Catalog) -> Path | None:
    if options.config_file:
        return Path(options.config_file)
    if options.rules or options.playbooks:
        # files alone: no configuration is guessed into the question
        return None
    try:
        return places.find(None, options.state, texts).config
    except Failed as failure:
        if failure.code == NOTHING_TO_ASK and not options.state:
            # nothing was set up yet: what is shipped can still be checked
            return None
        raise


def _settings(config: Path) -> dict[str, str]:
    from remediator.config import describe
    from remediator.config.reading import load
    from selfheal.common.problems import ConfigError

    try:
        return {key: str(value) for key, value in describe(load(config)).items()}
    except ConfigError:
        # its problems are told above; there are no settings to show
        return {}
