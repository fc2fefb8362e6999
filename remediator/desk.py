"""What the web and people ask of a running remediator: one short answer each, by the rooms that know it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property

from remediator import approvals, manual, monitoring_control, pause, pause_audit, people, pipeline, trust
from remediator.auditing import UNREADABLE
from remediator.config import Config
from remediator.engine import Engine
from remediator.errors import RemediatorError, StoreUnavailable
from remediator.model import BreakerState, Frozen, Json, Mode, Pause, Playbook, Scope, State
from remediator.model.trust import lowest
from remediator.parts import Parts
from remediator.reading import Files
from remediator.receive import Batch
from remediator.store import Reader, Store, Tx
from remediator.store.audit import read_head
from remediator.web import Delivery, links, views
from remediator.web.service import Kept
from selfheal import __version__
from selfheal.common.clock import Clock
from selfheal.common.secrets import Secret

logger = logging.getLogger(__name__)

BLIND_SHOWN = 30.0
"""Seconds after a question without a usable answer during which its source is shown as blind."""


class Desk:
    """`remediator.web.service.Service`, answered; `App` sets what it works with."""

    config: Config
    clock: Clock
    store: Store
    parts: Parts
    engine: Engine
    _files: Files
    _rungs: trust.Rungs
    _blind_at: dict[str, float]
    _started: bool

    def receive(self, delivery: Delivery) -> None:
        """Store a delivery durably. Raise StoreUnavailable if that is not possible now."""
        batch = Batch(delivery.receiver, delivery.alerts, delivery.malformed, delivery.truncated, delivery.version)
        with self.engine.intake():
            pipeline.take_in(self.parts, batch)

    def reader(self) -> AbstractContextManager[Reader]:
        """Return a snapshot of the store."""
        return self.store.read()

    def status(self) -> Json:
        """Return what is wrong, acting, waiting, paused and blind right now."""
        return {
            "version": __version__,
            "highest_mode": self.config.highest_mode.value,
            "host": self.config.host.name,
            **self._told_pauses(),
            "monitoring_stopped": monitoring_control.told(self.parts),
            "counts": self._live(),
            "breakers": [breaker for breaker in self.breakers() if breaker["state"] != BreakerState.CLOSED],
            "root_causes": self.root_causes(),
            "blind": self._blind(),
            "playbooks": {playbook.name: self._mode(playbook).value for playbook in self._files.playbooks},
            "queue": {"depth": self.engine.queue_depth(), "oldest_seconds": self.engine.oldest_seconds()},
        }

    def settle(self, id: int, how: str, who: str) -> None:
        """Record what a person says of an unknown outcome."""
        people.settle(self.parts, id, how, who)

    def playbooks(self) -> list[Json]:
        """Return the playbooks in force, by name, each as written with the mode it is in."""
        loaded = sorted(self._files.playbooks, key=lambda playbook: playbook.name)
        return [views.playbook(playbook, self._mode(playbook)) for playbook in loaded]

    def policy_view(self) -> Json:
        """Return what this host permits, by name and without secrets."""
        return views.policy(self._files.policy)

    def stop_monitoring(self, who: str, why: str, until: float | None) -> None:
        """Store alerts only, until a time in seconds since the epoch or without an end."""
        monitoring_control.stop(self.parts, who, why, until)

    def start_monitoring(self, who: str) -> None:
        """Ask and act again, also about what was only stored and is still on."""
        monitoring_control.start(self.parts, who)

    def claim_answer(self, who: str, key: str, digest: str) -> Kept | None:
        """Claim an idempotency key and return None, or return what is known of the request that claimed it."""
        return self.store.write(lambda tx: tx.claim_answer(who, key, digest, self.clock.now()))

    def keep_answer(self, who: str, key: str, status: int, body: str) -> None:
        """Keep the answer of the request that claimed the key."""
        self.store.write(lambda tx: tx.keep_answer(who, key, status, body))

    def forget_answer(self, who: str, key: str) -> None:
        """Nothing came of the request that claimed the key: it may be sent again."""
        self.store.write(lambda tx: tx.forget_answer(who, key))

    def cancel(self, id: int, who: str) -> None:
        """Call a remediation off before its next effect."""
        people.cancel(self.parts, id, who)

    def pause(self, scope: Scope, who: str, why: str, until: float | None, hard: bool) -> Json:
        """Pause `scope` until a time in seconds since the epoch, or without an end; return what is paused now.

        Raise RemediatorError if the scope names nothing that can be, or the file cannot be written.
        """
        pause_audit.pause(self.parts, Pause(who, why, until, hard, scope))
        return self._told_pauses()

    def resume(self, scope: Scope, who: str) -> Json:
        """End the pause of exactly this scope; return what is paused still. Raise RemediatorError if it cannot be."""
        was_paused = pause_audit.resume(self.parts, scope, who)
        return self._told_pauses() | {"was_paused": was_paused}

    def audit_entries(self, after: int, limit: int) -> Json:
        """Return {"items", "next"}: up to `limit` events of the chained history with ids above `after`."""
        with self.store.read() as reader:
            return reader.audit_entries(after, limit)

    def audit_verify(self) -> Json:
        """Follow the whole chain now; return what was found. A head that cannot be read is missed like a lost one."""
        try:
            known = read_head(self.store.folder)
        except ValueError:
            known = UNREADABLE
        with self.store.read() as reader:
            return reader.audit_verify([] if known is None else [known]).to_json()

    def approvals(self, limit: int = 50, before: int | None = None, state: str | None = None) -> Json:
        """Return requests to people, newest first, each with the link to its page where `approval.url` is set."""
        with self.store.read() as reader:
            page = reader.list_approvals(limit, before, state)
        return page | {"items": [self._with_link(request) for request in page["items"]]}

    def approve(self, id: int, plan_hash: str, who: str, how: str = "api") -> Json:
        """Record that a person says yes to exactly this plan."""
        return self._with_link(approvals.approve(self.parts, id, plan_hash, who, how))

    def refuse(self, id: int, plan_hash: str, who: str, why: str, how: str = "api") -> Json:
        """Record that a person says no."""
        return self._with_link(approvals.refuse(self.parts, id, plan_hash, who, why, how))

    def linked(self, token: str) -> Json | None:
        """Given the token of a link, return the request that it was signed for, or None."""
        number = links.number_of(token)
        if number is None:
            return None
        with self.store.read() as reader:
            found = reader.approval_detail(number)
        signed = links.is_signed(token, found, self._link_key)
        if found is None or not signed:
            return None
        return approvals.as_of(found, self.clock.now())

    def run_playbook(self, name: str, labels: Mapping[str, str], who: str, dry_run: bool) -> Json:
        """Run a playbook because a person asks for it, or only tell what would be done."""
        return manual.run_playbook(self.parts, name, labels, who, dry_run)

    def breakers(self) -> list[Json]:
        """Return every circuit breaker that ever moved."""
        with self.store.read() as reader:
            return views.breakers(reader.breakers())

    def reset_breaker(self, name: str, who: str, why: str) -> None:
        """Close a circuit breaker because a person says so. Raise RemediatorError if it is closed."""
        if self.store.write(lambda tx: tx.reset_breaker(name, who, why, self.clock.now())) is None:
            raise RemediatorError(f"the circuit breaker {name!r} is not open; selfheal breaker lists those that are")

    def trust(self) -> list[Json]:
        """Return what each playbook has earned, and what it lacks for more."""
        with self.store.read() as reader:
            return trust.told_all(reader, self.parts.playbooks(), self._files.playbooks, self.config.highest_mode)

    def promote(self, name: str, who: str, why: str) -> None:
        """Let a playbook climb one rung because a person says so. Raise RemediatorError if it has not earned it."""
        trust.promote(self.parts, name, who, why)
        # in this order: what is decided anew must know of it
        self._rungs.refresh()
        self._decide_anew()

    def demote(self, name: str, who: str, why: str) -> None:
        """Take one rung from a playbook because a person says so. Raise RemediatorError if it has none."""
        trust.demote(self.parts, name, who, why)
        self._rungs.refresh()

    def root_causes(self) -> list[Json]:
        """Return what was healed again and again, as often as `repeats` says or more."""
        with self.store.read() as reader:
            return reader.healed_often(self.config.repeats, self.clock.now())

    def problems(self) -> list[str]:
        """Return what keeps the program from being ready."""
        return [] if self._started else ["the engine has not started"]

    # Small readings.

    @cached_property
    def _link_key(self) -> Secret:
        return self.config.approval_link_key or links.own_key(self.config.state)

    def _find_link_key(self) -> None:
        """Find out at the start whether the key of links can be used, not after a person's yes. Raise ConfigError."""
        try:
            _ = self._link_key
        except OSError:
            # a full disk is no reason not to start: it is made when it is first needed
            logger.warning("no key for links yet", exc_info=True)

    def _with_link(self, request: Json) -> Json:
        url = self.config.approval_url
        link = None if url is None else url + links.PATH + links.token_of(request, self._link_key)
        return request | {"link": link}

    def _live(self) -> dict[str, int]:
        with self.store.read() as reader:
            return {State(state).value: count for state, count in reader.counts().items()}

    def _pause_of(self, frozen: Frozen) -> Pause | None:
        return pause.read_for(self.config.state, frozen.playbook, str(frozen.target), self.clock.now())

    def _told_pauses(self) -> Json:
        return pause.told(self.config.state, self.clock.now())

    def _paused(self) -> bool:
        return self._told_pauses()["paused"] is not None

    def _mode(self, playbook: Playbook) -> Mode:
        return lowest(self._rungs.mode_of(playbook), self.config.highest_mode)

    def _decide_anew(self) -> None:
        """Let open alerts be decided by what is in force now, and proposals be looked at."""
        self.parts.reloaded.set()

        def look(tx: Tx) -> None:
            for kind in ("reconcile", "trust"):
                tx.schedule(kind, 0, self.clock.now())

        try:
            self.store.write(look)
        except StoreUnavailable:
            # the next reconciliation comes by itself
            self.parts.counters.count("store_errors")
            logger.warning("open alerts are decided anew only at the next reconciliation")

    def _blind(self) -> list[str]:
        now = self.clock.monotonic()
        return sorted(source for source, at in self._blind_at.items() if now - at < BLIND_SHOWN)
