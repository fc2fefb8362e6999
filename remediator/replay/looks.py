"""Passes over the looks of a verification or a watch that would only see again what the last one saw.

The looks themselves are the product's own; here is only found which of them can be the next to matter.
"""

from __future__ import annotations

import math

from remediator.model import Remediation, State
from remediator.parts import Parts
from remediator.replay.evidence import Recorded
from remediator.replay.world import World

LEAST = 1e-6
"""Seconds below which two times are one."""


def first_from(due: float, every: float, wanted: float) -> float:
    """Given the next look and the time between two, return the first look at or after the wanted time."""
    if wanted <= due or every <= 0:
        return due
    return due + math.ceil((wanted - due) / every - LEAST) * every


def watched_next(world: World, remediation: Remediation, due: float, now: float) -> float:
    """Given the next look of a watch, return the next that can see it on, or ends the watch."""
    spec = remediation.frozen.verify
    if spec is None or remediation.verified_at is None or world.on_since(remediation.frozen.fingerprint) is not None:
        return due
    until = remediation.verified_at + spec.watch
    turn = world.next_turn(remediation.frozen.fingerprint, now)
    return due if due >= until else min(until, first_from(due, due - now, min(turn, until)))


def verified_next(parts: Parts, world: World, remediation: Remediation, due: float, now: float) -> float:
    """Given the next look of a verification, return the next that can judge otherwise, as if all had been made.

    That the span between was looked at is stored with it.
    """
    spec, proof = remediation.frozen.verify, remediation.proof
    if spec is None or "end" not in proof or remediation.state is not State.VERIFYING:
        return due
    assert isinstance(parts.evidence, Recorded)
    fresh, end = parts.evidence.fresh_after, float(proof["end"])
    fingerprint = remediation.frozen.fingerprint
    turn = world.next_turn(fingerprint, now)
    moments = [end + fresh, end + spec.within, turn, turn + fresh]
    if (off := world.off_since(fingerprint)) is not None:
        moments.append(off + fresh)
    since = proof.get("healthy_since")
    exact = math.inf if since is None else float(since) + spec.healthy_for
    matters = min(at for at in moments if at > now + LEAST)
    if matters <= due + LEAST or exact <= due + LEAST:
        return due
    every = parts.config.scrape_interval
    # a span is looked at exactly when it is over
    wanted = min(exact, first_from(due, every, matters))
    if wanted > due:
        looked = proof | {"looked_at": wanted - every}
        parts.store.write(lambda tx: tx.set_proof(remediation.id, looked))
    return wanted
