"""annotate.mark: a row for the centre, kept with the result, shown as a metric, few and not for long."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from remediator import backlog
from remediator.errors import Refused
from remediator.model import Plan
from remediator.policy import Policy
from remediator.store import Mark, Store
from remediator.store.marks import MOST
from remediator.web import Metrics, Readings
from selfheal.common.clock import ManualClock
from tests.actions.about import Hands


def test_the_text_becomes_a_row_and_nothing_on_the_host_is_touched() -> None:
    made = Hands(Policy(source="policy.yml"))

    plan = made.plan("annotate.mark", text="web-1 is being mended")
    outcome = made.run("annotate.mark", plan)

    assert plan.items == ({"kind": "mark", "text": "web-1 is being mended"},)
    assert (outcome.ok, outcome.effects, outcome.rows) == (True, (), plan.items)
    assert made.points == ["effect_begun", "effect_done"]


def test_a_plan_that_holds_something_else_is_refused() -> None:
    made = Hands(Policy(source="policy.yml"))

    with pytest.raises(Refused, match="holds something that is no mark"):
        made.run("annotate.mark", Plan(({"kind": "command", "argv": ["rm"]},)))
    assert made.points == []


def shown(store: Store, clock: ManualClock) -> dict[str, float]:
    """Return text and value of every mark on the page of metrics."""
    metrics = Metrics("1")
    readings = Readings(dict, int, float, bool, marks=lambda: backlog.marks(store, clock))
    metrics.read_from(readings)
    return {
        sample.labels["text"]: sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == "selfheal_annotation_timestamp_seconds"
    }


def test_the_newest_few_are_shown_for_an_hour_and_no_others_are_kept(tmp_path: Path, clock: ManualClock) -> None:
    store = Store.open(tmp_path, clock)
    try:
        for number in range(MOST + 5):
            mark = Mark("heal", "web-1/service:web", f'text {number} "\n\\ {{}}', clock.now() + number)
            store.write(lambda tx, mark=mark: tx.add_mark(mark))  # type: ignore[misc]
        again = Mark("heal", "web-1/service:web", f'text {MOST} "\n\\ {{}}', clock.now() + 100)
        store.write(lambda tx: tx.add_mark(again))

        found = shown(store, clock)

        assert len(found) == MOST - 1  # one text twice is one series
        assert found[f'text {MOST} "\n\\ {{}}'] == clock.now() + 100
        assert 'text 5 "\n\\ {}' not in found

        clock.advance(3_700.0)

        assert shown(store, clock) == {}
    finally:
        store.close()
