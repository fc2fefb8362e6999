"""Whether two label sets are those of one alert: labels that do not come from the expression are not compared."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, combinations

from remediator.judge.flow import Labels, drop
from remediator.judge.tree import Ask

_MOST_EXTERNAL = 6
_NONE: frozenset[str] = frozenset()


def still_firing(
    expr: str, labels: Labels, left_out: frozenset[str], ask: Ask, external: frozenset[str] = _NONE
) -> bool:
    """Given a rule's text and an alert's labels, say whether the text, asked whole, returns exactly these labels.

    `left_out` is what `left_out_of` returned: labels that do not come from the expression. `external` are the names of
    labels that Prometheus adds where an alert has none of that name.
    """
    wanted = alert_keys(labels, left_out, external)
    return any(same_alert_key(element.labels.items(), left_out) in wanted for element in ask(expr))


def left_out_of(rule_labels: Iterable[str], ignored: Iterable[str]) -> frozenset[str]:
    """Given the names of a rule's labels and of ignored (replica) labels, return those no comparison looks at."""
    return frozenset({"alertname", "alertstate", "__name__", *rule_labels, *ignored})


def same_alert_key(labels: Iterable[tuple[str, str]], left_out: frozenset[str]) -> int:
    """Given label pairs, return a number that is the same for the same labels, those left out and empty ones aside.

    A number of this process only, of 64 bits, keyed at random: ten thousand of them are kept for a second at a time.
    """
    kept = [pair for pair in labels if pair[0] not in left_out and pair[1]]
    kept.sort()
    return hash(tuple(kept))


def alert_keys(labels: Labels, left_out: frozenset[str], external: frozenset[str] = _NONE) -> frozenset[int]:
    """Given an alert's labels, return the numbers of `same_alert_key` that its series may have.

    A series may itself carry a label of an external label's name, and then keeps its own value: each such label of the
    alert was added or was there before. More than six of them are taken for added.
    """
    doubtful = sorted(external & labels.keys() - left_out)
    tried = doubtful[:_MOST_EXTERNAL]
    labels = drop(labels, tuple(doubtful[_MOST_EXTERNAL:]))
    added = chain.from_iterable(combinations(tried, count) for count in range(len(tried) + 1))
    return frozenset(same_alert_key(drop(labels, names).items(), left_out) for names in added)
