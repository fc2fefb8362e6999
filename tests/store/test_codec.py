"""What is frozen comes back exactly, whatever the labels hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model import Alert, Effect, Frozen, FrozenStep, Limits, Mode, Outcome, Plan, Rate, Target, Verify
from remediator.store.codec import decode, decode_frozen, encode

text = st.text(max_size=20)
number = st.floats(allow_nan=False)
labels = st.dictionaries(text, text, max_size=4)
leaves = st.none() | st.booleans() | st.integers() | number | text
json_values = st.deferred(
    lambda: leaves | st.lists(json_values, max_size=3) | st.dictionaries(text, json_values, max_size=3)
)
json_objects = st.dictionaries(text, json_values, max_size=4)
rates = st.lists(st.builds(Rate, st.integers(), number), max_size=3).map(tuple)
steps = st.builds(
    FrozenStep, text, st.integers(), st.sampled_from(Effect), st.booleans(), json_objects, number, st.booleans(), text
)
frozen = st.builds(
    Frozen,
    playbook=text,
    digest=text,
    mode=st.sampled_from(Mode),
    target=st.builds(Target, text, text, text),
    lock_key=text,
    labels=labels,
    starts_at=number,
    fingerprint=text,
    generator_url=text,
    limits=st.builds(Limits, number, rates, text, number, st.integers()),
    host_rates=rates,
    steps=st.lists(steps, max_size=3).map(tuple),
    verify=st.none() | st.builds(Verify, number, number, number, st.none() | text, st.none() | text),
    otherwise=st.lists(text, max_size=2).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(frozen)
def test_a_frozen_playbook_comes_back_equal_and_with_the_same_types(value: Frozen) -> None:
    written = encode(value)

    back = decode_frozen(written)

    assert back == value
    assert written.isascii()
    assert type(back.mode) is Mode
    assert all(type(step) is FrozenStep and type(step.effect) is Effect for step in back.steps)
    assert type(back.steps) is tuple


@settings(max_examples=60, deadline=None)
@given(st.lists(json_objects, max_size=3).map(tuple), json_objects, st.booleans())
def test_plans_and_outcomes_come_back_equal(
    items: tuple[dict[str, Any], ...], detail: dict[str, Any], ok: bool
) -> None:
    assert decode(Plan, encode(Plan(items, detail))) == Plan(items, detail)
    assert decode(Outcome, encode(Outcome(ok, items, detail))) == Outcome(ok, items, detail)


def test_a_whole_number_where_seconds_belong_comes_back_as_seconds() -> None:
    back = decode(Rate, encode(Rate(3, 60)))

    assert (back, type(back.window)) == (Rate(3, 60.0), float)


def test_a_field_that_an_older_version_did_not_write_gets_its_default() -> None:
    assert decode(Limits, '{"cooldown":5}') == Limits(cooldown=5.0)


def test_a_field_without_default_must_be_there() -> None:
    with pytest.raises(TypeError, match="fingerprint"):
        decode(Alert, '{"status":"firing","labels":{},"annotations":{},"starts_at":1}')
