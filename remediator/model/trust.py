"""What a playbook has earned: the rungs, what counts for the next one, and when that is enough. Pure; no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from remediator.model.states import Mode, Reason, State, Verdict

CLIMB = (Mode.OBSERVE, Mode.APPROVE, Mode.AUTO)
"""The rungs, the lowest first."""

RUNS = 20
"""Judged runs that a promotion needs at least."""
SPAN = 7 * 86_400.0
"""Seconds that must lie between the first and the last of them: a single bad day, or a good one, is not enough."""
BOUND = 0.85
"""What the share of verified success must reach even where chance was kind, as `wilson_lower_bound` tells."""
RECENT = 5
"""The newest judged runs that a demotion looks at …"""
NOT_FIXED = 2
"""… and how many of them that did not fix it take a rung away."""
Z = 1.959963984540054
"""The normal distribution's two-sided 95 % quantile."""


class Judgement(StrEnum):
    """What one run, or one shadow decision, says of its playbook."""

    WAITING = "waiting"  # a shadow decision whose alert may still go away by itself
    SUCCESS = "success"  # it fixed it; of a shadow decision: it was needed
    FAILURE = "failure"  # it did not fix it; of a shadow decision: it was not needed
    WORSE = "worse"  # it made it worse
    BLOCKED = "blocked"  # a shadow decision that a guard would have stopped
    LEFT_OUT = "left_out"  # it says nothing of the playbook


class Missing(StrEnum):
    """What keeps a promotion from being proposed. The words are `trust.<value>`."""

    HIGHEST = "highest"  # it stands on the highest rung
    HIGHEST_MODE = "highest_mode"  # the configuration allows no higher rung
    NO_PROOF = "no_proof"  # verify: none proves nothing
    RUNS = "runs"  # too few judged runs
    SPAN = "span"  # they lie too close together
    BOUND = "bound"  # too few of them succeeded to be sure
    UNKNOWN = "unknown"  # what became of one of its runs is not known


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a remediation in mode approve or auto when it has ended, or was found to be worse."""

    state: State
    verdict: Verdict | None
    reason: Reason | None
    acted: bool
    """An effect was begun."""
    doubted: bool = False
    """Its outcome was unknown for a while: what was proven then is nobody's success for certain."""
    called_off: bool = False
    """A person cancelled it."""
    by_hand: bool = False
    """A person asked for it."""


def judge(run: Run) -> Judgement:
    """Given a run, say how it counts for its playbook; the table in docs/how-to/earn-trust.md says the same."""
    if run.verdict is Verdict.WORSE:
        return Judgement.WORSE
    if not run.acted or run.called_off or run.by_hand or run.reason is Reason.SELF_RESOLVED:
        return Judgement.LEFT_OUT
    if run.state is not State.SUCCEEDED:
        # what is not proven counts as failed, whoever or whatever kept it from being proven
        return Judgement.FAILURE
    seen = run.verdict is Verdict.FIXED and run.reason in (Reason.HELD_WATCH, Reason.PROVEN)
    return Judgement.SUCCESS if seen and not run.doubted else Judgement.LEFT_OUT


@dataclass(frozen=True, slots=True)
class Evidence:
    """The judged runs of one playbook on one rung since that rung was last changed."""

    judged: int = 0
    succeeded: int = 0
    first_at: float | None = None
    """On the wall clock without its jumps, as is `last_at`."""
    last_at: float | None = None
    recent: str = ""
    """The newest RECENT, the newest last: 1 fixed, 0 not."""
    proposed: bool = False
    """The promotion was proposed, and not withdrawn since."""

    @property
    def lower_bound(self) -> float:
        """The share of success that is certain by 95 %."""
        return wilson_lower_bound(self.succeeded, self.judged)

    @property
    def span(self) -> float:
        """Seconds between the first and the last."""
        return 0.0 if self.first_at is None or self.last_at is None else max(0.0, self.last_at - self.first_at)

    def missing(self) -> tuple[Missing, ...]:
        """Return what these numbers lack for a promotion; empty when they suffice."""
        lacks = {
            Missing.RUNS: self.judged < RUNS,
            Missing.SPAN: self.span < SPAN,
            Missing.BOUND: self.lower_bound < BOUND,
        }
        return tuple(what for what, lacking in lacks.items() if lacking)

    def demotes(self, not_fixed: int = NOT_FIXED) -> bool:
        """Say whether the newest runs take the rung away: so many of them that did not fix it."""
        return self.recent.count("0") >= not_fixed


@dataclass(frozen=True, slots=True)
class Standing:
    """The rung of a playbook's one version, where a person or a demotion has set it."""

    playbook: str
    digest: str
    rung: Mode
    changed_at: float
    after: int
    """Remediations up to this id count no more."""
    who: str = ""
    """Who promoted or demoted it; empty where it lost the rung by itself."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Everything about one playbook that decides whether it may climb."""

    mode: Mode
    """In force: as earned or written, capped by `highest_mode`."""
    highest: Mode
    proves: bool
    """Its `verify` asks for proof."""
    evidence: Evidence
    """For the rung that `mode` is."""
    unknown: int = 0
    """Its remediations whose outcome is not known."""

    @property
    def next(self) -> Mode | None:
        """The rung above; None on the highest."""
        return above(self.mode)

    def missing(self) -> tuple[Missing, ...]:
        """Return what a promotion lacks; empty when it is to be proposed."""
        if self.next is None:
            return (Missing.HIGHEST,)
        lacks = {
            Missing.HIGHEST_MODE: CLIMB.index(self.next) > CLIMB.index(self.highest),
            Missing.NO_PROOF: not self.proves,
            Missing.UNKNOWN: self.unknown > 0,
        }
        return (*(what for what, lacking in lacks.items() if lacking), *self.evidence.missing())


def lowest(*modes: Mode) -> Mode:
    """Return the lowest of the rungs."""
    return min(modes, key=CLIMB.index)


def is_below(mode: Mode, other: Mode) -> bool:
    """Say whether the first rung is lower than the second."""
    return CLIMB.index(mode) < CLIMB.index(other)


def below(mode: Mode) -> Mode:
    """Return the rung below, or the lowest one where there is none."""
    return CLIMB[max(0, CLIMB.index(mode) - 1)]


def above(mode: Mode) -> Mode | None:
    """Return the rung above, or None."""
    return next(iter(CLIMB[CLIMB.index(mode) + 1 :]), None)


def wilson_lower_bound(succeeded: int, judged: int) -> float:
    """Given how many of how many succeeded, return the lower end of the 95 % score interval; 0 without any.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    Statistical Association 22 (1927), 209–212; written as in R. G. Newcombe, Statistics in Medicine 17 (1998), 857–872,
    method 3, whose table the tests hold it against. Raise ValueError unless 0 ≤ succeeded ≤ judged.
    """
    if not 0 <= succeeded <= judged:
        raise ValueError(f"{succeeded} of {judged} is no share")
    if succeeded == 0:
        return 0.0
    share, square = succeeded / judged, Z * Z
    middle = 2 * judged * share + square
    reach = Z * math.sqrt(square + 4 * judged * share * (1 - share))
    return max(0.0, (middle - reach) / (2 * (judged + square)))
