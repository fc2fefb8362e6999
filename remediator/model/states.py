"""The closed sets: states and their moves, modes, verdicts, reasons, guard answers, effect classes."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a remediation stands."""

    PENDING = "pending"  # rendered and frozen, not decided
    HELD = "held"  # a guard said hold
    RUNNING = "running"  # allowed; steps follow
    UNDOING = "undoing"  # declared undos run in reverse order
    VERIFYING = "verifying"  # effects ended, proof is being gathered
    WATCHING = "watching"  # proven; may only become recurred or worse
    UNKNOWN = "unknown"  # a step's outcome is not known
    OBSERVED = "observed"  # mode observe: recorded what would have run
    SKIPPED = "skipped"  # denied, or nothing to do
    CANCELLED = "cancelled"  # called off before any intent
    SUCCEEDED = "succeeded"  # proven and stayed so, or proof was not asked
    INEFFECTIVE = "ineffective"  # ran, and it is not proven that it helped
    FAILED = "failed"  # a step failed, or was refused before it began
    UNDONE = "undone"  # its effects were taken back


_S = State
MOVES: dict[State, frozenset[State]] = {
    _S.PENDING: frozenset({_S.HELD, _S.RUNNING, _S.OBSERVED, _S.SKIPPED, _S.CANCELLED}),
    _S.HELD: frozenset({_S.HELD, _S.RUNNING, _S.OBSERVED, _S.SKIPPED, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.VERIFYING, _S.UNDOING, _S.FAILED, _S.UNKNOWN, _S.CANCELLED}),
    _S.VERIFYING: frozenset({_S.WATCHING, _S.SUCCEEDED, _S.INEFFECTIVE, _S.UNDOING, _S.UNKNOWN}),
    _S.WATCHING: frozenset({_S.SUCCEEDED, _S.INEFFECTIVE}),
    _S.UNKNOWN: frozenset({_S.VERIFYING, _S.RUNNING, _S.FAILED}),
    _S.UNDOING: frozenset({_S.UNDONE, _S.FAILED, _S.UNKNOWN}),
    _S.OBSERVED: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.SUCCEEDED: frozenset(),
    _S.INEFFECTIVE: frozenset(),
    _S.FAILED: frozenset(),
    _S.UNDONE: frozenset(),
}
"""Every permitted move; the store fills its trigger's table from it and the docs draw it."""

ENDS = frozenset(state for state, onward in MOVES.items() if not onward)
LOCKED = frozenset({_S.RUNNING, _S.UNDOING, _S.VERIFYING, _S.UNKNOWN})
"""States that hold the lock of their host or target."""
LIVE = frozenset({_S.PENDING, _S.HELD, _S.RUNNING, _S.UNDOING, _S.VERIFYING, _S.UNKNOWN})
"""States that make a second remediation of the same occurrence a duplicate (watching is not among them)."""


class StepState(StrEnum):
    """What is known of one attempt at a step."""

    INTENT = "intent"  # committed before the effect; its outcome is open
    DONE = "done"  # the effect took place
    FAILED = "failed"  # known to have failed
    SKIPPED = "skipped"  # nothing to do, or dropped by a cancel
    UNKNOWN = "unknown"  # may or may not have taken effect


class Mode(StrEnum):
    """How far a playbook may go."""

    OBSERVE = "observe"  # only record what would have run
    APPROVE = "approve"  # a person says yes each time
    AUTO = "auto"  # within all limits, by itself


class Verdict(StrEnum):
    """What was proven."""

    FIXED = "fixed"  # healthy on fresh samples, after our effect
    SELF_RESOLVED = "self_resolved"  # healthy before any step of ours
    EXPIRED = "expired"  # the series or target went away: nothing is proven
    RECURRED = "recurred"  # was fixed, came back within the watch
    WORSE = "worse"  # moved the wrong way after our effect
    UNPROVEN = "unproven"  # could not be shown healthy in time
    NOT_ASKED = "not_asked"  # the playbook says verify: none; never counted as success


class Answer(StrEnum):
    """What a guard says."""

    ALLOW = "allow"
    HOLD = "hold"
    DENY = "deny"


class ApprovalState(StrEnum):
    """What became of one request to a person."""

    OPEN = "open"  # nobody has answered yet
    GRANTED = "granted"  # a person said yes; the guards are asked again
    USED = "used"  # its plan was begun
    REFUSED = "refused"  # a person said no
    EXPIRED = "expired"  # nothing began while it was valid
    VOID = "void"  # the plan changed, or what asked for it ended otherwise


class Effect(StrEnum):
    """What an action does to the host."""

    READ_ONLY = "read_only"
    REVERSIBLE = "reversible"
    DESTRUCTIVE = "destructive"


class Reason(StrEnum):
    """Why something did or did not happen. A metric label and a message key (`reason.<value>`)."""

    ALLOWED = "allowed"  # every guard agreed
    PAUSED = "paused"  # somebody paused remediation
    WINDOW = "window"  # a maintenance window is open
    BLAST_RADIUS = "blast_radius"  # as much of the group as allowed is in flight or was touched lately
    QUORUM = "quorum"  # not enough of the group is healthy
    OBSERVE_MODE = "observe_mode"  # the playbook, or highest_mode, only observes
    APPROVAL_MISSING = "approval_missing"  # mode approve, in a store of before approvals could be asked for
    APPROVAL_NEEDED = "approval_needed"  # a person is asked, and has not answered yet
    APPROVAL_EXPIRED = "approval_expired"  # nobody answered, or nothing could begin, while the request was valid
    APPROVAL_REFUSED = "approval_refused"  # a person said no
    PLAYBOOK_CHANGED = "playbook_changed"  # not what approval was asked for, or it may not go so far any more
    DEMOTED = "demoted"  # what it did was worse, or did not help, so it may not go so far any more
    NOT_OUR_HOST = "not_our_host"  # the alert's instance maps to no configured host, or to several
    UNKNOWN_TO_PROMETHEUS = "unknown_to_prometheus"  # Prometheus never had this alert
    LABELS_DIFFER = "labels_differ"  # the alert is active there, with other labels
    DUPLICATE = "duplicate"  # a live remediation of this occurrence exists
    LOCKED = "locked"  # another remediation works on the host or target
    COOLDOWN = "cooldown"  # the last effect on the target is too recent
    RATE_LIMITED = "rate_limited"  # too many remediations in a window
    SELF_RESOLVED = "self_resolved"  # the condition is gone before we acted
    SILENCED = "silenced"  # a silence in Alertmanager covers it
    INHIBITED = "inhibited"  # another alert inhibits it
    BLIND = "blind"  # Prometheus or Alertmanager does not answer
    HOLD_EXPIRED = "hold_expired"  # held longer than hold_at_most
    CLOCK_JUMPED = "clock_jumped"  # the wall clock jumped; one fresh scrape is awaited
    MONITORING_BROKEN = "monitoring_broken"  # what tells of alerts cannot be trusted now
    BREAKER_OPEN = "breaker_open"  # too many remediations failed lately
    ROOT_CAUSE = "root_cause"  # healed again and again: people must find the cause
    DATASOURCE = "datasource"  # tells that a data source failed, not what is measured
    GUARD_FAILED = "guard_failed"  # a guard erred, which denies
    MONITORING_STOPPED = "monitoring_stopped"  # a person stopped monitoring: alerts are only stored
    NO_PLAYBOOK = "no_playbook"  # no playbook matches
    HUMAN_ONLY = "human_only"  # marked playbook: none; people answer it
    MALFORMED = "malformed"  # the alert could not be read
    TEMPLATE_REFUSED = "template_refused"  # a label is missing, empty, too long or not plain text
    POLICY = "policy"  # this host's policy does not permit it
    ACTION_CHANGED = "action_changed"  # the action has another version than the one frozen
    RULE_UNKNOWN = "rule_unknown"  # Prometheus has no such rule
    NEEDS_DECLARED_PROOF = "needs_declared_proof"  # Prometheus has no such rule and the playbook declares no proof
    RULE_AMBIGUOUS = "rule_ambiguous"  # several rules could have fired it
    RULE_CHANGED = "rule_changed"  # the rule changed between effect and proof
    RULE_REFUSED = "rule_refused"  # the rule's shape cannot be judged and no healthy: is declared
    NOTHING_TO_DO = "nothing_to_do"  # the plan is empty
    ATTEMPTS_USED = "attempts_used"  # as many attempts as allowed
    STEP_FAILED = "step_failed"  # a step is known to have failed
    STEP_TIMED_OUT = "step_timed_out"  # a step was ended at its deadline
    OUTCOME_UNKNOWN = "outcome_unknown"  # whether the effect took place is not known
    RESOLVED = "resolved"  # the alert ended before the remaining steps
    CANCELLED = "cancelled"  # a person called it off
    PROVEN = "proven"  # fresh samples show it healthy
    NOT_PROVEN = "not_proven"  # the time for proof ended
    SERIES_GONE = "series_gone"  # what was measured is gone
    RECURRED = "recurred"  # it came back within the watch
    HELD_WATCH = "held_watch"  # stayed healthy through the watch
    WORSENED = "worsened"  # the value moved the wrong way
    PROOF_NOT_ASKED = "proof_not_asked"  # verify: none
    SETTLED_DONE = "settled_done"  # a person says the effect took place
    SETTLED_NOT_DONE = "settled_not_done"  # a person says it did not
    GIVEN_UP = "given_up"  # a person gave it up
    UNDONE = "undone"  # taken back
    UNDO_FAILED = "undo_failed"  # what was done could not be taken back
    HEALED_ALREADY = "healed_already"  # a step marked unless_healed is not needed any more
    NOT_JUDGED = "not_judged"  # whether a step marked unless_healed is still needed cannot be told


PASSING = frozenset(
    {
        Reason.COOLDOWN,
        Reason.RATE_LIMITED,
        Reason.BLIND,
        Reason.HOLD_EXPIRED,
        Reason.PAUSED,
        Reason.MONITORING_STOPPED,
        Reason.WINDOW,
        Reason.BLAST_RADIUS,
        Reason.QUORUM,
        Reason.LOCKED,
        Reason.CLOCK_JUMPED,
        # a value that hovers at its threshold, or a process that had just calmed down, may be sick again at once
        Reason.SELF_RESOLVED,
        Reason.NOTHING_TO_DO,
        # whoever comes to look an hour later must find a request, not one that ended unseen
        Reason.APPROVAL_EXPIRED,
        # of two Prometheis the other one may have been the first to see it
        Reason.UNKNOWN_TO_PROMETHEUS,
        # one rung lower it may still ask a person, or record what it would have done
        Reason.DEMOTED,
    }
)
"""Reasons of a skip after which an occurrence that is still open is decided again."""
