"""Which matchers exclude or imply each other: what is said beforehand holds for every alert."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remediator.check.overlaps import _apart, _implied
from remediator.model import Matcher
from remediator.playbooks.match import matches_one

VALUES = ("", "eu", "us", "eu|us", "e.*", "asia")
MATCHERS = st.lists(
    st.builds(
        Matcher, st.sampled_from(("zone", "tier")), st.sampled_from(("=", "!=", "=~", "!~")), st.sampled_from(VALUES)
    ),
    max_size=3,
).map(tuple)
LABELS = st.fixed_dictionaries(
    {"zone": st.sampled_from(("", "eu", "us", "asia", "eu|us")), "tier": st.sampled_from(("", "eu", "us"))}
)


def fit(matchers: tuple[Matcher, ...], labels: dict[str, str]) -> bool:
    return all(matches_one(matcher, labels[matcher.label]) for matcher in matchers)


@given(MATCHERS, MATCHERS, LABELS)
def test_no_alert_fits_both_of_two_that_are_called_apart(
    one: tuple[Matcher, ...], other: tuple[Matcher, ...], labels: dict[str, str]
) -> None:
    assert not (_apart(one, other) and fit(one, labels) and fit(other, labels))


@given(MATCHERS, MATCHERS, LABELS)
def test_every_alert_that_fits_what_implies_a_matcher_fits_it(
    given_: tuple[Matcher, ...], others: tuple[Matcher, ...], labels: dict[str, str]
) -> None:
    implied = [matcher for matcher in others if _implied(matcher, given_)]

    assert not fit(given_, labels) or fit(tuple(implied), labels)
