"""Prometheus's HTTP API as values: vectors, label digests, rules, external labels. No judgement, no caching."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.judge import Element, Vector, same_alert_key
from remediator.judge.printer import duration
from selfheal.common.clock import from_rfc3339

# as the client words it: not found, not allowed, not offered
_UNTOLD = re.compile(r": answered (401|403|404|405|410|501)\b")
_RESULT, _BETWEEN = b'"result":[', b'},{"metric":{'
_OF_A_RULE = b'"query":'
_ALERTS_OPEN, _ALERTS_CLOSE = b'"alerts":[', b'],"health":'


@dataclass(frozen=True, slots=True)
class Course:
    """One element over time: its labels without the metric's name, and (time, value) in order."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Runtime:
    """When Prometheus started and when it last loaded its configuration and rules; None where it does not tell."""

    started: float | None
    reloaded: float | None


class Prometheus:
    """The questions we put to one Prometheus. Every method raises SourceUnavailable when there is no usable answer."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def now(self) -> float:
        """Return Prometheus's own time, in seconds since the epoch."""
        data = self._data(self._client.read_json(self._ask("time()", None)))
        if data.get("resultType") != "scalar":
            raise self._client.unavailable("time() did not return a scalar")
        return self._number(data.get("result"))

    def started(self) -> float | None:
        """Return when this Prometheus started, on its own clock; None if it does not tell."""
        try:
            said = self._data(self._client.get_json("/api/v1/status/runtimeinfo")).get("startTime")
        except SourceUnavailable as error:
            self._raise_unless_untold(error)
            return None
        try:
            return from_rfc3339(str(said))
        except ValueError:
            return None

    def runtime(self) -> Runtime:
        """Return when Prometheus started and last loaded its rules, on its own clock; None: it does not tell."""
        try:
            said = self._data(self._client.get_json("/api/v1/status/runtimeinfo"))
        except SourceUnavailable as error:
            self._raise_unless_untold(error)
            return Runtime(None, None)
        return Runtime(_moment(said.get("startTime")), _moment(said.get("lastConfigTime")))

    def times(self, selector: str) -> tuple[tuple[float, ...], ...]:
        """Given a range selector, return the times of the samples of each series, in order."""
        data = self._data(self._client.read_json(self._ask(selector, None)))
        result = data.get("result")
        if data.get("resultType") != "matrix" or not isinstance(result, list):
            raise self._client.unavailable("the answer is no matrix")
        return tuple(tuple(at for at, _ in self._course(found).points) for found in result)

    def query(self, expression: str, at: float | None = None) -> Vector:
        """Given PromQL and the time to ask for (None: now), return the elements; a scalar is one without labels."""
        data = self._data(self._client.read_json(self._ask(expression, at)))
        result = data.get("result")
        if data.get("resultType") == "scalar" and isinstance(result, list):
            return (Element({}, self._number(result)),)
        return tuple(self._element(found) for found in self._vector(data))

    def course(self, expression: str, start: float, end: float, step_ms: int) -> tuple[Course, ...]:
        """Given PromQL, a span and the time between two points, return each element's finite values over time."""
        # a step in seconds would be cut to one millisecond less for most numbers, and that adds up over the points
        form = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": duration(step_ms)}
        data = self._data(self._client.read_json(self._client.ask("/api/v1/query_range", form)))
        result = data.get("result")
        if data.get("resultType") != "matrix" or not isinstance(result, list):
            raise self._client.unavailable("the answer is no matrix")
        return tuple(self._course(found) for found in result)

    def keys(self, expression: str, left_out: frozenset[str]) -> frozenset[int]:
        """Given PromQL, return a number for each element's labels; more than that is never held."""

        def compact(pairs: list[tuple[str, Any]]) -> Any:
            # an element holds a list, a label set only texts, whatever its labels are called
            if len(pairs) == 2 and pairs[0][0] == "metric" and isinstance(pairs[1][1], list):
                return pairs[0][1]
            if all(isinstance(value, str) for _, value in pairs):
                return same_alert_key(pairs, left_out)
            return dict(pairs)

        found: set[Any] = set()
        answer: Any = None
        try:
            for piece in in_pieces(self._client.ask_parts("/api/v1/query", self._question(expression, None))):
                answer = json.loads(piece, object_pairs_hook=compact)
                if isinstance(answer, list):
                    found.update(answer)
            found.update(self._vector(self._data(answer)))
        except (ValueError, RecursionError) as error:
            raise self._client.unavailable("the answer is no JSON") from error
        except TypeError as error:
            raise self._client.unavailable("the answer is no vector of plain samples") from error
        if not all(isinstance(key, int) for key in found):
            raise self._client.unavailable("the answer is no vector of plain samples")
        return frozenset(found)

    def rule_groups(self) -> list[dict[str, Any]]:
        """Return the groups of /api/v1/rules, without the active alerts of each rule: they can be megabytes."""
        # newer versions leave the alerts out themselves
        body = without_active_alerts(self._client.get_parts("/api/v1/rules", {"exclude_alerts": "true"}))
        answer = self._client.get_json("/api/v1/rules") if body is None else self._client.read_json(body)
        groups = self._data(answer).get("groups")
        if not isinstance(groups, list):
            raise self._client.unavailable("/api/v1/rules holds no groups")
        return groups

    def external_labels(self) -> frozenset[str]:
        """Return the names of the labels this Prometheus adds to what it sends out; none if it does not tell."""
        try:
            text = self._data(self._client.get_json("/api/v1/status/config")).get("yaml", "")
        except SourceUnavailable as error:
            # a moment's failure taken for "none" would find every alert's labels wrong, and that is final
            self._raise_unless_untold(error)
            return frozenset()
        return external_labels_of(str(text))

    def _ask(self, expression: str, at: float | None) -> bytes:
        return self._client.ask("/api/v1/query", self._question(expression, at))

    def _question(self, expression: str, at: float | None) -> dict[str, str]:
        try:
            expression.encode()
        except UnicodeEncodeError as error:
            raise self._client.unavailable("the question holds half a character") from error
        return {"query": expression} if at is None else {"query": expression, "time": f"{at:.3f}"}

    def _raise_unless_untold(self, error: SourceUnavailable) -> None:
        """Raise `error` unless it says that there is no such page for us: some stores only answer queries."""
        if not _UNTOLD.search(error.detail):
            raise error

    def _number(self, pair: Any) -> float:
        try:
            return float(pair[1])
        except (LookupError, TypeError, ValueError) as error:
            raise self._client.unavailable("the answer holds no number") from error

    def _data(self, answer: Any) -> dict[str, Any]:
        if (
            not isinstance(answer, dict)
            or answer.get("status") != "success"
            or not isinstance(answer.get("data"), dict)
        ):
            raise self._client.unavailable("the answer is not Prometheus's")
        if answer.get("warnings"):
            # part of the data may be missing, and what is missing looks healthy
            raise self._client.unavailable("answered with warnings, perhaps only in part")
        data: dict[str, Any] = answer["data"]
        return data

    def _vector(self, data: dict[str, Any]) -> Sequence[Any]:
        result = data.get("result")
        if data.get("resultType") != "vector" or not isinstance(result, list):
            raise self._client.unavailable("the answer is no instant vector")
        return result

    def _course(self, found: Any) -> Course:
        if not isinstance(found, dict) or not isinstance(found.get("metric"), dict):
            raise self._client.unavailable("the answer holds values without labels")
        try:
            points = tuple((float(at), float(value)) for at, value in found.get("values") or ())
        except (TypeError, ValueError) as error:
            raise self._client.unavailable("the answer holds no number") from error
        labels = {name: value for name, value in found["metric"].items() if name != "__name__"}
        return Course(labels, tuple(point for point in points if math.isfinite(point[1])))

    def _element(self, found: Any) -> Element:
        if not isinstance(found, dict) or "value" not in found:
            raise self._client.unavailable("the answer holds a histogram, which cannot be judged")
        metric = found.get("metric")
        if not isinstance(metric, dict):
            raise self._client.unavailable("the answer holds a value without labels")
        labels = {name: value for name, value in metric.items() if name != "__name__"}
        return Element(labels, self._number(found["value"]))


def _moment(said: Any) -> float | None:
    try:
        return from_rfc3339(str(said))
    except ValueError:
        return None


def without_active_alerts(parts: Iterable[bytes]) -> bytes | None:
    """Given the body of /api/v1/rules as it comes, return it with every list of active alerts emptied.

    None if it is not in Prometheus's order: then a cut could swallow the rule that follows. The marks hold bare quotes,
    which inside a JSON string would be escaped, so no label's text can imitate them.
    """
    kept: list[bytes] = []
    pending = b""
    inside = False
    for part in parts:
        pending += part
        while (found := pending.find(_ALERTS_CLOSE if inside else _ALERTS_OPEN)) >= 0:
            end = found if inside else found + len(_ALERTS_OPEN)
            if inside and _OF_A_RULE in pending[:end]:
                return None
            if not inside:
                kept.append(pending[:end])
            pending, inside = pending[end:], not inside
        if inside:
            if _OF_A_RULE in pending:
                return None
            # the mark may have begun here, and nothing before it is wanted
            pending = pending[-len(_ALERTS_CLOSE) :]
    return None if inside else b"".join([*kept, pending])


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Given an answer with a vector as it comes, yield JSON lists of its first elements, and last the answer itself.

    That holds the elements which no list held; an answer in another order than Prometheus's comes as a whole. The mark
    between two elements holds bare quotes, which inside a JSON string would be escaped, so no label can imitate it.
    """
    head, pending = b"", b""
    for part in parts:
        pending += part
        if not head and (found := pending.find(_RESULT)) >= 0:
            head, pending = pending[: found + len(_RESULT)], pending[found + len(_RESULT) :]
        cut = pending.rfind(_BETWEEN) if head else -1
        if cut >= 0:
            # one brace ends the element, the comma after it falls away
            yield b"[" + pending[: cut + 1] + b"]"
            pending = pending[cut + 2 :]
    yield head + pending


def external_labels_of(config: str) -> frozenset[str]:
    """Given Prometheus's configuration as it prints it, return the names below `global.external_labels`."""
    # only this block is read: the whole may be large, and YAML is slow
    lines = config.splitlines()
    if "global:" not in lines:
        return frozenset()
    first = lines.index("global:")
    last = next((n for n in range(first + 1, len(lines)) if lines[n] and not lines[n].startswith(" ")), len(lines))
    try:
        block = yaml.safe_load("\n".join(lines[first:last]))
    except yaml.YAMLError:
        return frozenset()
    labels = (block.get("global") or {}).get("external_labels") or {}
    return frozenset(str(name) for name in labels)
