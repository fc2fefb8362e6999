"""Leaving out the questions and looks that come to nothing new makes no difference: over random histories every event
of the store is the same as if each had been made. The seeds, and so the histories, are the same ones at every run.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from remediator.replay import Healing, Period, Recording, Series, Setting
from tests.replay.histories import BEGIN, LIFTED, Heard, playbook, recording, replayed, setting

HOSTS = [f"web-{number}" for number in range(4)]
KINDS = ("Sick", "Slow", "Full")
LENGTH = 3 * 3_600.0
WINDOWS = 'windows: [{name: backup, cron: "30 * * * *", for: 7m, timezone: UTC}]\n'
HELD_BACK = (
    LIFTED.replace("minimum: 1000000", "window: 1h, minimum: 3, share: 60%, open_for: 10m")
    .replace("targets: 100000", "targets: 3, share: 50%, within: 2m")
    .replace("100000/1h", "12/1h")
)


@pytest.fixture(scope="module")
def held_back(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """A setting in which every guard that is asked again and again has its say."""
    limits = "limits: {{cooldown: 5m, rate: [4/1h], lock: {lock}, hold_at_most: 8m{more}}}\n"
    books = [
        playbook("fix", limits=limits.format(lock="host", more="")),
        playbook("push", alert="Slow", mode="approve", limits=limits.format(lock="host", more=", attempts: 1")),
        playbook(
            "clean", alert="Full", limits=limits.format(lock="target", more=", blast_radius: {by: [job], max: 2}")
        ),
    ]
    return setting(tmp_path_factory.mktemp("setting"), books, HELD_BACK + WINDOWS, HOSTS)


Written = dict[tuple[str, str], list[tuple[float, float]]]


def spans(every: int) -> st.SearchStrategy[list[tuple[float, float]]]:
    """Return when alerts begin and how long they are on, in multiples of so many seconds."""
    # whole seconds: how many began together is known to the daemon, too, for a second at a time
    begins, lengths = st.integers(0, int(LENGTH) // every), st.integers(1, 3_000 // every)
    return st.lists(
        st.tuples(begins.map(lambda n: float(n * every)), lengths.map(lambda n: float(n * every))), max_size=4
    )


def histories(every: int) -> st.SearchStrategy[Written]:
    where = st.tuples(st.sampled_from(HOSTS), st.sampled_from(KINDS))
    return st.dictionaries(where, spans(every), min_size=1, max_size=8)


def history(written: Written) -> Recording:
    found = []
    for (host, kind), spans in sorted(written.items()):
        periods: list[Period] = []
        for begin, length in sorted(spans):
            if not periods or BEGIN + begin > (periods[-1].end or 0) + 0.5:
                periods.append(Period(BEGIN + begin, BEGIN + begin + length))
        found.append(Series({"alertname": kind, "instance": host, "job": "web"}, tuple(periods)))
    return recording(*found, length=LENGTH)


def log(heard: Heard) -> list[tuple[object, ...]]:
    """Every event, those of one moment in an order of their own."""
    return sorted(
        (
            (
                round(event.at, 3),
                event.kind,
                str(event.occurrence_id),
                str(event.old),
                str(event.new),
                str(event.reason),
            )
            for event in heard.events
        ),
    )


@pytest.mark.parametrize("number", range(6))
def test_what_is_passed_over_would_have_changed_nothing(held_back: Setting, number: int) -> None:
    # every other time in steps of half a minute, so that much happens at the same moment
    every = (1, 30)[number % 2]

    @seed(number)
    @settings(max_examples=15, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(written=histories(every), healing=st.sampled_from(Healing), answer=st.sampled_from([None, 300.0]))
    def same(written: Written, healing: Healing, answer: float | None) -> None:
        assert_the_same(held_back, written, healing, answer)

    same()


def assert_the_same(how: Setting, written: Written, healing: Healing, answer: float | None) -> None:
    every = replayed(history(written), how, healing, answer, passes_over=False)

    found = replayed(history(written), how, healing, answer)

    assert log(found) == log(every)
    assert found.tally.guards.keys() == every.tally.guards.keys()


@pytest.mark.parametrize(
    ("healing", "answer", "written"),
    [
        (
            Healing.NONE,
            300.0,
            {
                ("web-1", "Slow"): [(600, 3000)],
                ("web-1", "Full"): [(0, 2000)],
                ("web-3", "Sick"): [(0, 1000)],
                ("web-0", "Sick"): [(200, 300)],
            },
        ),
        (
            Healing.ALL,
            300.0,
            {
                ("web-0", "Full"): [(780, 273), (150, 60)],
                ("web-1", "Full"): [(600, 2000)],
                ("web-0", "Slow"): [(1000, 1000), (300, 600)],
                ("web-3", "Full"): [(1000, 600)],
            },
        ),
        (
            Healing.NONE,
            None,
            {
                ("web-1", "Sick"): [(1024, 300)],
                ("web-0", "Full"): [(300, 300), (60, 200)],
                ("web-3", "Sick"): [(0, 300), (334, 1000)],
            },
        ),
    ],
    ids=[
        "what others are held for changes at the moment at which one had been asked already",
        "a breaker opens because what was proven recurs",
        "a breaker's time is over just when it would be asked again anyway",
    ],
)
def test_what_once_was_passed_over_wrongly_is_not(
    held_back: Setting, healing: Healing, answer: float | None, written: Written
) -> None:
    assert_the_same(held_back, written, healing, answer)


def test_a_storm_is_held_and_let_go_as_if_asked_every_few_seconds(held_back: Setting) -> None:
    written = {
        (host, kind): [(7.5 * n + k, 400.0 + 31 * n + 17 * k)]
        for n, host in enumerate(HOSTS)
        for k, kind in enumerate(KINDS)
    }

    for healing in Healing:
        every = replayed(history(written), held_back, healing, 300.0, passes_over=False)
        found = replayed(history(written), held_back, healing, 300.0)

        assert any(said.reason == "monitoring_broken" for said in every.tally.guards)
        assert log(found) == log(every)
