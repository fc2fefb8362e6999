"""What to replay and what to try out: from a Prometheus or a file, a configuration, folders of playbooks.

What a file holds is told by its content, never by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from remediator.actions import ACTIONS
from remediator.client import client_of
from remediator.config import Config
from remediator.evidence.prometheus import Prometheus
from remediator.replay import deliveries, openmetrics, past
from remediator.replay.evidence import Known, members
from remediator.replay.groups import AskedThen
from remediator.replay.problems import NotReadable, at_line
from remediator.replay.recording import Period, Recording, Series
from remediator.replay.stage import Setting

Told = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A recording, and what is taken for granted beside it."""

    recording: Recording
    known: Known


def from_file(
    path: Path, parse: deliveries.Parse, config: Config, begins: float | None = None, ends: float | None = None
) -> Found:
    """Given a recorded file, the reader of one delivery and perhaps a span, return what it holds. Raise NotReadable."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            first = next((line for line in lines if line.strip()), "")
            lines.seek(0)
            if _is_delivery(first, str(path)):
                recording = deliveries.read(str(path), lines, parse, config.ignore_labels)
            else:
                recording = openmetrics.read(str(path), lines)
    except OSError as error:
        raise NotReadable(f"{path}: cannot be read: {error.strerror}; give a file that is there") from error
    except UnicodeDecodeError as error:
        remedy = "give JSON lines or OpenMetrics text, not compressed"
        raise at_line(str(path), _undecodable(path), "is not UTF-8 text", remedy) from error
    recording = within(recording, begins, ends)
    instances = recording.instances()
    return Found(
        recording, Known(None, members([each.labels for each in recording.series]), lambda _at: len(instances))
    )


def from_prometheus(config: Config, begins: float, ends: float, told: Told = lambda _: None) -> Found:
    """Given a span in seconds since the epoch, return what the configured Prometheus has of it.

    Raise SourceUnavailable or NotReadable.
    """
    prometheus = Prometheus(client_of(config.prometheus, "prometheus"))
    found = past.read(prometheus, begins, ends, config.scrape_interval, told)
    ignored = frozenset(config.ignore_labels) | found.rules.external_labels
    then = AskedThen(prometheus, ignored, len(found.recording.instances()))
    return Found(found.recording, Known(found.rules, then.group, then.up))


def within(recording: Recording, begins: float | None, ends: float | None) -> Recording:
    """Given a recording and a span, return what lies in it; what was on already begins with it.

    Raise NotReadable if they have no time in common.
    """
    begin = recording.begins if begins is None else max(begins, recording.begins)
    end = recording.ends if ends is None else min(ends, recording.ends)
    if begin > end:
        raise NotReadable("the recording holds nothing of that time; give another --from or --to")
    series = tuple(replace(each, periods=tuple(_cut(each, begin, end))) for each in recording.series)
    gaps = tuple(gap for gap in recording.gaps if gap.end > begin and gap.begin < end)
    series = tuple(each for each in series if each.periods)
    return replace(recording, begins=begin, ends=end, gaps=gaps, series=series, cut=begin > recording.begins)


def _cut(series: Series, begin: float, end: float) -> Iterator[Period]:
    for period in series.periods:
        if period.begin <= end and (period.end is None or period.end > begin):
            over = None if period.end is None or period.end > end else period.end
            yield Period(max(period.begin, begin), over)


def setting_of(config: Config, playbooks: Iterable[Path] | None = None, every_host: Recording | None = None) -> Setting:
    """Given a configuration, and files or folders in place of its playbooks, return what is tried out.

    With a recording every instance in it is taken for a host. Raise ConfigError with every problem.
    """
    # here and not above: the strict reader is large
    from remediator.playbooks.loader import load_playbooks

    files = config.playbooks if playbooks is None else tuple(_files(playbooks))
    hosts = frozenset[str]() if every_host is None else every_host.instances() - {*config.host.instances}
    return Setting(config, load_playbooks(files, config.limits, ACTIONS), ACTIONS, hosts)


def other_setting(path: Path, config: Config, every_host: Recording | None = None) -> Setting:
    """Given a folder of playbooks, one playbook, or another configuration, return what it would be like with that.

    Raise ConfigError with every problem, NotReadable if there is no such file.
    """
    if path.is_dir() or _is_playbook(path):
        return setting_of(config, [path], every_host)
    from remediator.config.reading import load

    # which labels tell replicas belongs to the recording: else an alert of one set would be none of the other's
    return setting_of(replace(load(path), ignore_labels=config.ignore_labels), None, every_host)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted([*path.glob("*.yml"), *path.glob("*.yaml")])
            if not found:
                raise NotReadable(f"{path}: holds no playbook; give a folder of *.yml files")
            yield from found
        else:
            yield path


def _is_playbook(path: Path) -> bool:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise NotReadable(f"{path}: cannot be read: {error.strerror}; give a file or folder that is there") from error
    except (UnicodeDecodeError, yaml.YAMLError):
        # whoever reads it strictly says where
        return False
    return isinstance(document, dict) and "playbook" in document


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is no UTF-8 text."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _is_delivery(first: str, name: str) -> bool:
    """Given the first line with anything in it, say whether deliveries follow; else it must look like a metric."""
    text = first.strip()
    if not text:
        raise NotReadable(f"{name}: is empty; record something first")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        if text in ("{", "[") or text.startswith(('{"status"', '{"version"', '{"receiver"')):
            raise at_line(name, 1, "is JSON over several lines, or cut", deliveries.REMEDY) from None
        return False
    if isinstance(document, dict):
        return True
    what = "is neither a delivery nor OpenMetrics text"
    raise at_line(name, 1, what, "give JSON lines of Alertmanager's webhook, or ALERTS with timestamps")
