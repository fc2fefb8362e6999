"""`selfheal breaker` and what `selfheal status` says of breakers and of what is healed again and again."""

from __future__ import annotations

import re

import pytest

from remediator.errors import RemediatorError
from remediator.model import ALL_PLAYBOOKS, Json, State
from remediator.store import Tx
from remediator.web import views
from tests.cli.conftest import Home, StoreService
from tests.guards.outcomes import end, remediate


class BreakingService(StoreService):
    """The API's service over a real store, with its breakers."""

    def breakers(self) -> list[Json]:
        with self.store.read() as reader:
            return views.breakers(reader.breakers())

    def reset_breaker(self, name: str, who: str, why: str) -> None:
        def reset(tx: Tx) -> object:
            return tx.reset_breaker(name, who, why, tx._clock.now())

        if self.store.write(reset) is None:
            raise RemediatorError(f"the circuit breaker {name!r} is not open")


@pytest.fixture
def opened(home: Home) -> Home:
    """The store has a breaker that opened."""
    # the store tells of one more that was healed, by another playbook
    clock = home.store._clock
    for _ in range(5):
        end(home.store, clock, remediate(home.store, clock, "heal"), State.FAILED)
    return home


def test_without_a_remediator_the_store_is_read(opened: Home) -> None:
    found = opened.selfheal("breaker", "list", "--json").json()

    assert found["source"] == "store"
    assert [(each["name"], each["state"], each["failed"], each["ended"]) for each in found["items"]] == [
        (ALL_PLAYBOOKS, "open", 4, 5),
        ("heal", "open", 5, 5),
    ]


def test_the_list_says_what_opened_it_and_when_one_may_try(opened: Home) -> None:
    told = opened.selfheal("breaker").out

    assert "heal           open  5 of 5 failed  one may try from 2026-01-01 01:01:40 UTC" in told


def test_without_any_it_says_so(home: Home) -> None:
    assert "No circuit breaker has ever opened." in home.selfheal("breaker").out


@pytest.mark.parametrize(
    ("words", "message"),
    [(["reset"], "name the breaker"), (["reset", "heal"], "say why"), (["reset", "heal", "--why", " "], "say why")],
)
def test_a_reset_needs_a_name_and_a_reason(opened: Home, words: list[str], message: str) -> None:
    told = opened.selfheal("breaker", *words)

    assert (told.code, message in told.err) == (2, True)


def test_a_reset_needs_the_daemon(opened: Home) -> None:
    assert opened.selfheal("breaker", "reset", "heal", "--why", "mended").code == 3


@pytest.mark.parametrize("served", [BreakingService], indirect=True)
def test_a_reset_closes_it_and_is_refused_where_nothing_is_open(opened: Home, served: BreakingService) -> None:
    first = opened.selfheal("breaker", "reset", "heal", "--why", "path mended", "--who", "kim")
    again = opened.selfheal("breaker", "reset", "heal", "--why", "path mended")
    listed = opened.selfheal("breaker").out

    assert (first.code, first.out) == (0, "heal is closed; what it held is decided again.\n")
    assert (again.code, "is not open" in again.err) == (1, True)
    assert ["heal", "closed", "reset by kim: path mended"] in [
        re.split(r" {2,}", line.strip()) for line in listed.splitlines()
    ]
