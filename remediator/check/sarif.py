"""A report as SARIF 2.1.0 (OASIS Standard, 27 March 2020), which code hosts and editors show beside the lines."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from remediator.check import CHECKS, READING, Check, Report
from remediator.check.positions import Positions
from selfheal import __version__
from selfheal.common.problems import Problem

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
BASE = "%SRCROOT%"
"""Stands for the folder that relative places are relative to; by convention the top of the work tree."""
_READING = "Files can be read, and their keys and values are what they should be."

Json = dict[str, Any]


def document(report: Report, folder: Path) -> Json:
    """Given a report and the folder that is checked, return the SARIF log; files below the folder are named from it."""
    rules = [_rule(READING, _READING), *(_rule(check.name, _sentence(check)) for check in CHECKS)]
    order = [rule["id"] for rule in rules]
    positions = Positions()
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "selfheal check", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {BASE: {"uri": f"{folder.absolute().as_uri()}/"}},
                "invocations": [{"executionSuccessful": True}],
                "results": [
                    _result(problem, rule, order.index(rule), folder, positions)
                    for problem, rule in zip(report.problems, report.found_by, strict=True)
                ],
            }
        ],
    }


def _rule(name: str, text: str) -> Json:
    return {"id": name, "shortDescription": {"text": text}, "defaultConfiguration": {"level": "error"}}


def _sentence(check: Check) -> str:
    """Return what a check looks for: the first sentence of its file."""
    text = (check.__doc__ or check.name) if isinstance(check, ModuleType) else check.name
    return " ".join(text.split("\n\n")[0].split())


def _result(problem: Problem, rule: str, index: int, folder: Path, positions: Positions) -> Json:
    what = problem.what + (f"; {problem.remedy}" if problem.remedy else "")
    artifact = _artifact(problem.file, folder)
    known = f"{artifact.get('uri')} {problem.path} {problem.what}"
    position = positions.of(problem)
    location: Json = {
        "physicalLocation": {
            "artifactLocation": artifact,
            "region": {"startLine": position.line, "startColumn": position.column},
        }
    }
    if problem.path:
        location["logicalLocations"] = [{"fullyQualifiedName": problem.path}]
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "level": problem.level,
        "message": {"text": f"{problem.path}: {what}" if problem.path else what},
        "locations": [location],
        # without the line: the same problem stays the same when lines are put in above it
        "partialFingerprints": {"problem/v1": hashlib.sha256(known.encode()).hexdigest()[:32]},
    }


def _artifact(file: str, folder: Path) -> Json:
    path = (folder / file).absolute()
    if path.is_relative_to(folder.absolute()):
        return {"uri": quote(path.relative_to(folder.absolute()).as_posix()), "uriBaseId": BASE}
    return {"uri": path.as_uri()}
