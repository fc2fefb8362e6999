"""Every accepted shape against a real Prometheus: healed is found healed, and nothing else ever is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event

import pytest

from remediator.evidence.rules import read_rules
from remediator.judge import (
    Ask,
    Baseline,
    Case,
    ExpressionCase,
    Judgement,
    RuleText,
    Vector,
    judge,
    judge_expression,
    left_out_of,
    prepare,
    prepare_expression,
    still_firing,
    take_baseline,
)
from remediator.judge.inputs import Recorded
from remediator.judge.parse import parse
from remediator.judge.printer import show
from tests.judge.clinic import Clinic, Scraped, scraping
from tests.judge.shapes import BLIP, DOWN, HEALED, RECORDINGS, REMOVED, SHAPES, UP
from tests.stack.support import wait_until

WATCHED = 11.0
"""Seconds of looking after the change."""
SCRAPE = 1.0
BLIP_LASTS = 2.3
"""Seconds: two samples or three, fewer than a window holds."""
ALIVE = 'up{shape="plain"} == 1 and on (instance) plain_x'

PRINTED = (
    "-plain_x ^ 2 + plain_x % 4 * 3",
    "2 ^ -1 * plain_x - (plain_x - 1)",
    'plain_x{instance=~"plain-(sick|nan)", shape!=""} offset 1500ms',
    'sum by (shape) (parts_x or part_x{part!~"b|\\\\d"})',
    "max_over_time((plain_x + 1)[3s:500ms])",
    "max_over_time(plain_x[3s:])",
    "avg_over_time(plain_x[2s500ms])",
    "topk(99, plain_x) > bool 5",
    'label_replace(plain_x, "copy", "<$1>\\n\\"", "instance", "plain-(.*)")',
    "part_x * on (instance) group_left (shape) sum by (instance, shape) (part_x)",
    "quantile(0.5, plain_x) + scalar(clock_x)",
    "count without (instance) (plain_x) == 1e0 * count without (instance) (plain_x)",
    "plain_x and ignoring (job) plain_x unless on () absent(plain_x)",
    "1e+16 * plain_x > 0x10",
    "plain_x > -Inf",
)

pytestmark = [pytest.mark.timeout(120)]


@dataclass
class Seen:
    """What was judged of one patient, in order: seconds since the change, value, why."""

    case: Case
    labels: dict[str, str]
    baseline: Baseline
    looks: list[tuple[float, Judgement]] = field(default_factory=list)
    alive: list[tuple[float, Judgement]] = field(default_factory=list)

    @property
    def story(self) -> str:
        return " ".join(f"{since:.1f}:{judgement.value}/{judgement.why}" for since, judgement in self.looks)


class Ward(dict[str, Seen]):
    """Everybody by name, and what Prometheus answered to texts as written and as printed from our tree."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[Vector, Vector]] = {}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    clinic = Clinic()
    try:
        with scraping(tmp_path_factory.mktemp("prometheus"), RECORDINGS) as scraped:
            yield observe(clinic, scraped)
    finally:
        clinic.close()


def observe(clinic: Clinic, scraped: Scraped) -> Ward:
    """Let all patients fall ill, change what is to become of each, and judge all of them for a while."""
    targets = {"clock": {"shape": "clock"}}
    clinic.put("clock", {"clock_x": 9})
    for shape, spec in SHAPES.items():
        for end in spec.then:
            name = f"{shape}-{end}"
            targets[name] = {"shape": shape}
            clinic.put(name, spec.sick)
            clinic.down(name, spec.starts_down)
    scraped.scrape(clinic, targets)
    recorded = read_rules(scraped.prometheus.rule_groups(), frozenset()).recorded
    seen = Ward()
    seen.update((name, admitted(name, recorded)) for name in targets if name != "clock")
    wait_until(lambda: all(fires(scraped, patient) for patient in seen.values()), 25)

    start = scraped.prometheus.now()
    for text in (*PRINTED, *(shape.expr for shape in SHAPES.values())):
        ask = at(scraped, start)
        seen.answers[text] = ask(text), ask(show(parse(text)))
    alive = prepare_expression(ALIVE, recorded)
    assert isinstance(alive, ExpressionCase)
    living = take_baseline(alive, {"instance": "plain-healed"}, at(scraped, start))
    for patient in seen.values():
        patient.baseline = Baseline.from_json(take_baseline(patient.case, patient.labels, at(scraped, start)).to_json())

    removed = change(clinic)
    scraped.scrape(clinic, {name: labels for name, labels in targets.items() if name not in removed})
    end = scraped.prometheus.now()
    pause = Event()
    while (now := scraped.prometheus.now()) - end < WATCHED:
        if now - end >= BLIP_LASTS:
            end_blips(clinic)
        ask = at(scraped, now)
        for patient in seen.values():
            patient.looks.append((now - end, judge(patient.case, patient.labels, patient.baseline, end, now, ask)))
        for name in ("plain-healed", "plain-down", "plain-gone"):
            held = {"instance": name}
            base = living if name == "plain-healed" else take_baseline(alive, held, at(scraped, start))
            seen[name].alive.append((now - end, judge_expression(alive, held, base, end, now, ask)))
        pause.wait(0.15)
    return seen


def admitted(name: str, recorded: Recorded) -> Seen:
    shape = name.partition("-")[0]
    rule = RuleText(shape, SHAPES[shape].expr, {"severity": "warning"}, 1.0)
    case = prepare(rule, recorded)
    assert isinstance(case, Case), f"{shape}: {case}"
    labels = {"alertname": shape, "severity": "warning", "instance": name, "job": "t", "shape": shape}
    return Seen(case, labels, Baseline({}))


def fires(scraped: Scraped, patient: Seen) -> bool:
    left_out = left_out_of(patient.case.rule.labels, ())
    return still_firing(patient.case.rule.expr, patient.labels, left_out, scraped.prometheus.query)


def at(scraped: Scraped, time: float) -> Ask:
    answers: dict[str, Vector] = {}

    def ask(query: str) -> Vector:
        if query not in answers:
            answers[query] = scraped.prometheus.query(query, time)
        return answers[query]

    return ask


def change(clinic: Clinic) -> set[str]:
    """Let happen to each patient what its name says; return those whose target is taken away."""
    removed = set()
    clinic.put("clock", {"clock_x": 1})
    for shape, spec in SHAPES.items():
        for end, what in spec.then.items():
            name = f"{shape}-{end}"
            if what == REMOVED:
                removed.add(name)
            elif what == BLIP:
                clinic.down(name, False)
                clinic.put(name, spec.blip)
            elif isinstance(what, str):
                clinic.down(name, what == DOWN)
                assert what in (DOWN, UP)
            else:
                clinic.put(name, what)
    return removed


def end_blips(clinic: Clinic) -> None:
    for shape, spec in SHAPES.items():
        if BLIP in spec.then.values():
            clinic.down(f"{shape}-{BLIP}", spec.starts_down)
            clinic.put(f"{shape}-{BLIP}", spec.sick)


NAMES = [f"{shape}-{end}" for shape, spec in SHAPES.items() for end in spec.then]


@pytest.mark.parametrize("text", [*PRINTED, *(shape.expr for shape in SHAPES.values())])
def test_what_we_print_is_answered_like_what_was_written(ward: Ward, text: str) -> None:
    written, printed = ward.answers[text]

    assert written
    assert sorted(printed, key=str) == sorted(written, key=str)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(HEALED)])
def test_a_healed_patient_is_proven_healed_in_time_and_not_before(ward: Ward, name: str) -> None:
    seen = ward[name]
    window = SHAPES[name.partition("-")[0]].window
    assert seen.case.window_seconds == pytest.approx(window, abs=1.0 if "slow" in name else 0.0)
    healthy = [since for since, judgement in seen.looks if judgement.value == "false"]

    assert healthy, seen.story
    # two samples of a one-second scrape lie between one and two seconds after the change; a recording adds one
    assert healthy[0] > max(SCRAPE, window), seen.story
    assert healthy[0] <= max(3 * SCRAPE, window + 2 * SCRAPE) + 1.5, seen.story
    assert all(judgement.value == "false" for since, judgement in seen.looks if since >= healthy[0]), seen.story


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(HEALED)])
def test_nothing_but_healing_is_ever_called_healed(ward: Ward, name: str) -> None:
    seen = ward[name]

    assert len(seen.looks) >= 15
    assert all(judgement.value != "false" for _, judgement in seen.looks), seen.story


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("sick")])
def test_a_patient_that_stays_sick_is_known_to_be(ward: Ward, name: str) -> None:
    seen = ward[name]

    assert seen.looks[-1][1].value == "true", seen.story


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("plain-gone", {"series_gone"}),
        ("plain-down", {"series_gone"}),
        ("plain-removed", {"series_gone"}),
        ("plain-nan", {"not_a_number"}),
        ("flag-beyond", {"disagree"}),
        ("up-removed", {"series_gone"}),
        ("parts-gone", {"series_gone"}),
        ("errors-idle", {"not_a_number"}),
        ("quiet-suppressed", {"still_true"}),
        ("worse-critical", {"still_true"}),
        ("hours-sick", {"still_true"}),
        ("over-vanished", {"series_gone"}),
        ("strict-unlimited", {"series_gone"}),
        ("members-another", {"series_gone", "no_value"}),
        ("either-appeared", {"still_true"}),
    ],
)
def test_the_reason_tells_what_is_the_matter(ward: Ward, name: str, why: set[str]) -> None:
    assert ward[name].looks[-1][1].why in why, ward[name].story


@pytest.mark.parametrize("name", ["lowest-blip", "maxup-blip"])
def test_a_moment_of_health_within_a_window_is_known_for_a_blip(ward: Ward, name: str) -> None:
    assert "blip" in {judgement.why for _, judgement in ward[name].looks}, ward[name].story


def test_every_shape_is_tried_sick_healed_and_vanished_and_somebody_in_every_other_way() -> None:
    tried = {shape: set(spec.then) for shape, spec in SHAPES.items()}

    assert all({"sick", HEALED} <= ends for ends in tried.values())
    # what watches whether a target is down has no series of its own that could go
    assert all(
        {"gone", "down"} <= ends or (SHAPES[shape].starts_down and "removed" in ends) for shape, ends in tried.items()
    )
    assert {"idle", "suppressed", "blip", "nan", "critical", "removed"} <= set().union(*tried.values())


def test_what_is_declared_alive_needs_fresh_samples_too(ward: Ward) -> None:
    healed, down, gone = (ward[f"plain-{end}"].alive for end in ("healed", "down", "gone"))

    first = next(since for since, judgement in healed if judgement.value == "true")
    assert SCRAPE < first <= 4 * SCRAPE
    assert all(judgement.value != "true" for _, judgement in down)
    assert all(judgement.value != "true" for _, judgement in gone)


def test_a_judgement_costs_few_questions(ward: Ward) -> None:
    last = ward["plain-healed"].looks[-1][1]

    assert last.value == "false"
    assert [reading.answer for reading in last.readings][:1] == ["1 series, 0 of this alert"]
    assert len(last.readings) == 5
