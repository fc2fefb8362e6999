"""What was measured before and after the effects, drawn as one small SVG per quantity, with words that say the same.

No script and no style of its own: colours come from the page's style sheet, so it is as readable in the dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup, escape

from remediator.locale import Catalog
from remediator.locale.words import figure
from selfheal.common.durations import format_duration

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 24, 28
"""Room for the scales, in the drawing's own units."""
LINE = 22
"""The height of a line of text on the narrowest screen: names of the scale closer than this would cover each other."""
BEFORE_SHOWN, LEAST_SHOWN = 3, 300.0
"""Of the time before, so many times the time after is drawn, and at least so many seconds: the change counts."""
_WAYS = {1: "above", -1: "below", 0: "other"}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One quantity over time. Times are seconds."""

    quantity: str
    threshold: float
    worse: int
    began: float
    ended: float
    """When the effects began and ended."""
    before: tuple[Point, ...]
    after: tuple[Point, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """All of them in order."""
        return (*self.before, *self.after)


def drawings(evidence: Iterable[Mapping[str, Any]]) -> list[Drawing]:
    """Given a remediation's evidence, return what can be drawn of it; what is not formed like samples is left out."""
    kept = [(each.get("phase"), _samples(each.get("body"))) for each in evidence]
    was = next((samples for phase, samples in kept if phase == "before" and samples), None)
    # the last look tells how it ended
    became = next((samples for phase, samples in reversed(kept) if phase == "after" and samples), None)
    found: dict[str, Drawing] = {}
    for samples, is_before in ((was, True), (became, False)):
        for drawing in _read(samples or {}, is_before):
            old = found.get(drawing.quantity)
            found[drawing.quantity] = drawing if old is None else replace(drawing, before=old.before)
    return [_near(drawing) for drawing in found.values() if len(drawing.points) > 1]


def words(drawing: Drawing, texts: Catalog) -> list[str]:
    """Given a drawing, return sentences that say what it shows."""
    said = []
    for key, points in (("before", drawing.before), ("after", drawing.after)):
        if points:
            low, high = min(value for _, value in points), max(value for _, value in points)
            span = format_duration(round(points[-1][0] - points[0][0]))
            fields = {"last": figure(points[-1][1]), "low": figure(low), "high": figure(high), "span": span}
            said.append(texts.say(f"drawing.{key}", **fields))
    said.append(texts.say(f"drawing.{_WAYS[drawing.worse]}", threshold=figure(drawing.threshold)))
    return said


def svg(drawing: Drawing, texts: Catalog, number: int) -> Markup:
    """Given a drawing and its number on the page, return it as SVG that tells its words to who cannot see it."""
    scale = _Scale(drawing)
    names = f"drawing-{number}-title drawing-{number}-words"
    parts = [
        f'<svg class="drawing" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{names}">',
        f'<title id="drawing-{number}-title">{escape(texts.say("drawing.title"))}</title>',
        f'<desc id="drawing-{number}-words">{escape(" ".join(words(drawing, texts)))}</desc>',
        *_action(drawing, scale, texts),
        *_threshold(drawing, scale, texts),
        _curve(drawing.before, scale, "was"),
        _curve(drawing.after, scale, "became"),
        *_values(drawing, scale),
        *_times(drawing, scale),
        "</svg>",
    ]
    return Markup("\n".join(part for part in parts if part))


class _Scale:
    """From times and values to the drawing's own units."""

    def __init__(self, drawing: Drawing) -> None:
        times = [at for at, _ in drawing.points] + [drawing.began, drawing.ended]
        values = [value for _, value in drawing.points] + [drawing.threshold]
        self.first, self.last = min(times), max(times)
        self.low, self.high = min(values), max(values)

    def x(self, at: float) -> float:
        share = (at - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)


def _curve(points: Sequence[Point], scale: _Scale, name: str) -> str:
    if not points:
        return ""
    if len(points) == 1:
        at, value = points[0]
        return f'<circle class="{name}" cx="{scale.x(at)}" cy="{scale.y(value)}" r="3"></circle>'
    path = " ".join(f"{scale.x(at)},{scale.y(value)}" for at, value in points)
    return f'<polyline class="{name}" points="{path}"></polyline>'


def _action(drawing: Drawing, scale: _Scale, texts: Catalog) -> list[str]:
    """The time of the effects, as a band with its name."""
    left, right = scale.x(drawing.began), scale.x(drawing.ended)
    width = max(round(right - left, 1), 2.0)
    # near an edge the name would be cut
    middle = min(max(left + width / 2, LEFT + 40), WIDTH - RIGHT - 40)
    return [
        f'<rect class="act" x="{left}" y="{TOP}" width="{width}" height="{HEIGHT - TOP - BOTTOM}"></rect>',
        _text(middle, TOP - 8, texts.say("drawing.action"), "middle"),
    ]


def _threshold(drawing: Drawing, scale: _Scale, texts: Catalog) -> list[str]:
    """The threshold as a broken line, named above the drawing, where no curve runs and no action is named."""
    height = scale.y(drawing.threshold)
    said = texts.say("drawing.threshold", threshold=figure(drawing.threshold, 3))
    at_left = scale.x(drawing.ended) > (LEFT + WIDTH) / 2
    return [
        f'<line class="limit" x1="{LEFT}" y1="{height}" x2="{WIDTH - RIGHT}" y2="{height}"></line>',
        _text(LEFT if at_left else WIDTH - RIGHT, TOP - 8, f"┄ {said}", "start" if at_left else "end"),
    ]


def _values(drawing: Drawing, scale: _Scale) -> list[str]:
    """The lowest and the highest value, and the last one where there is room for it."""
    shown: list[float] = []
    for value in (scale.high, scale.low, drawing.points[-1][1], drawing.threshold):
        if all(abs(scale.y(value) - scale.y(other)) >= LINE for other in shown):
            shown.append(value)
    return [_text(LEFT - 6, scale.y(value) + 4, figure(value, 3), "end") for value in shown]


def _times(drawing: Drawing, scale: _Scale) -> list[str]:
    """How long before and after the effects it begins and ends."""
    foot = HEIGHT - 8
    ends = (
        ("−", round(drawing.began - scale.first), LEFT, "start"),
        ("+", round(scale.last - drawing.ended), WIDTH - RIGHT, "end"),
    )
    return [_text(x, foot, sign + format_duration(span), anchor) for sign, span, x, anchor in ends if span > 0]


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}">{escape(said)}</text>'


def _near(drawing: Drawing) -> Drawing:
    """Leave out what was so long before that the change could not be seen for it."""
    after = drawing.after[-1][0] - drawing.began if drawing.after else math.inf
    first = drawing.began - max(BEFORE_SHOWN * after, LEAST_SHOWN)
    return replace(drawing, before=tuple(point for point in drawing.before if point[0] >= first))


def _samples(body: Any) -> Mapping[str, Any] | None:
    found = body.get("samples") if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _read(samples: Mapping[str, Any], is_before: bool) -> list[Drawing]:
    found = []
    for series in samples.get("series") or ():
        try:
            began, ended = (float(at) for at in samples["effects"])
            points = tuple((float(at), float(value)) for at, value in series["points"])
            threshold, worse = float(series["threshold"]), int(series["worse"])
            quantity = str(series["quantity"])
        except (TypeError, ValueError, LookupError):
            continue
        if worse in _WAYS and all(math.isfinite(n) for n in (began, ended, threshold, *(n for p in points for n in p))):
            split = (points, ()) if is_before else ((), points)
            found.append(Drawing(quantity, threshold, worse, began, ended, *split))
    return found
