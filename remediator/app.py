"""Builds every part of the remediator from its configuration, in one readable order, and starts and stops them."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from remediator import address, backlog, pipeline
from remediator.actions import ACTIONS
from remediator.actions.local import LocalDispatch
from remediator.alarm import Alarm
from remediator.auditing import Auditor
from remediator.client import Client, client_of
from remediator.config import DEFAULT_LISTEN_ADDRESS, parse_listen_address
from remediator.desk import Desk
from remediator.engine import Engine
from remediator.errors import RemediatorError, StoreUnavailable
from remediator.evidence import Evidence
from remediator.model import (
    ALL_PLAYBOOKS,
    Action,
    BreakerState,
    Reached,
    nothing_happens,
)
from remediator.monitoring import MonitoringWatch
from remediator.notifiers import NOTIFIERS
from remediator.parts import Jumps, Parts
from remediator.playbooks.match import Site
from remediator.policy import Policy, Refusal
from remediator.reading import Read, read_apart
from remediator.selftest import Selftest
from remediator.silencer import AlertmanagerSilencer
from remediator.store import Store
from remediator.trust import Rungs, Trust
from remediator.web import Metrics, Readings, WebServer, make_app
from remediator.web.access import access_of
from remediator.web.gauges import HostGauges
from remediator.web.hooks import PATH as HOOK_PATH
from remediator.web.streams import Streams
from remediator.windows import Windows
from selfheal import __version__
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.memory import few_arenas, give_back
from selfheal.common.problems import ConfigError

logger = logging.getLogger(__name__)

CLOCK_JUMP_HOLDS = 60.0
"""Seconds after a jump of the wall clock during which nothing begins: at least one fresh scrape passes."""

LONGEST_REFUSAL = 500
"""Characters that are recorded of why a door refused."""

TURN = 0.5
"""Seconds between two looks of the main thread at what it is told by signals."""

GIVE_BACK_EVERY = 10
"""Turns of the main thread after which unused memory goes back to the system."""


class App(Desk):
    """One remediator: built by `__init__`, running between `start` and `stop`."""

    def __init__(
        self,
        read: Read,
        *,
        clock: Clock | None = None,
        actions: Mapping[str, Action] = ACTIONS,
        reached: Reached = nothing_happens,
    ) -> None:
        self._read = read
        self._files = files = read()
        self.config = config = files.config
        _log_policy(files.policy)
        self.clock = clock or SystemClock()
        self.metrics = Metrics(__version__)
        self.store = Store.open(config.state, self.clock, breaker=config.breaker, not_fixed=config.not_fixed)
        self._rungs = Rungs(self.store)
        self._blind_at: dict[str, float] = {}
        alertmanagers = [client_of(endpoint, "alertmanager") for endpoint in config.alertmanagers]
        self.evidence = Evidence(
            client_of(config.prometheus, "prometheus"),
            alertmanagers,
            self.clock,
            ignore_labels=config.ignore_labels,
            failed=self._count_blind,
        )
        self.parts = self._make_parts(alertmanagers, actions, reached)
        self._auditor = Auditor(self.parts)
        self._selftest = Selftest(self.parts)
        tellers = [notifier.tell for notifier in NOTIFIERS.values()]
        trust = Trust(self.parts, self._rungs)
        handlers = pipeline.handlers(self.parts, tellers, self._auditor, self._selftest, trust)
        self.engine = Engine(self.store, self.clock, handlers)
        self.metrics.read_from(self._readings())
        gauges = HostGauges(client_of(config.prometheus, "prometheus"), self.clock, config.host.instances)
        self.host_metrics = gauges.now
        access = access_of(config, self.clock)
        self._streams = Streams(self.reader, self.clock)
        self.server = WebServer(
            parse_listen_address(config.listen_address),
            make_app(self, access, self.metrics, streams=self._streams),
            self._too_large,
            door=access.door,
        )
        self._started = False

    def start(self) -> None:
        """Settle what a former process left open, then run, then listen. Raise OSError if the address is taken."""
        self._find_link_key()
        # a start is a reading of playbooks and policy too
        self.parts.reloaded.set()
        left_open = pipeline.start(self.parts)
        if left_open:
            logger.warning("intents were left open by a former process", extra={"count": left_open})
        self._show_playbooks()
        self.engine.start()
        self._started = True
        self.server.start()
        address.write(self.config.state, self.server.url)
        logger.info("listening", extra={"url": self.server.url, "version": __version__})

    def stop(self) -> None:
        """Stop listening, let what runs come to a safe point, close the store."""
        address.clear(self.config.state)
        self._streams.stop()
        self.server.stop()
        self.parts.stopping.set()
        if self._started:
            self.engine.stop(10.0)
            self._auditor.last()
        self.store.close()

    def reload(self) -> None:
        """Read playbooks and policy again and swap them in; a bad file leaves the old ones running and is shown."""
        try:
            files = self._read()
        except ConfigError as error:
            self.metrics.observe("config_last_reload_successful", 0)
            logger.error("reload refused", extra={"problems": [str(problem) for problem in error.problems]})
            return
        # the rest of the configuration is in force from the next start
        self._files = files
        _log_policy(files.policy)
        self._show_playbooks()
        self._decide_anew()
        logger.info("reloaded", extra={"playbooks": len(files.playbooks)})

    def _make_parts(self, alertmanagers: list[Client], actions: Mapping[str, Action], reached: Reached) -> Parts:
        """Return what the stages work with."""
        config = self.config
        windows = Windows(config.windows)
        silencer = AlertmanagerSilencer(alertmanagers, self.clock, config.ignore_labels) if alertmanagers else None
        watch = MonitoringWatch(
            self.store, self.evidence.scraping, self.clock, config.monitoring, config.scrape_interval, self._count_blind
        )
        return Parts(
            config=config,
            store=self.store,
            evidence=self.evidence,
            clock=self.clock,
            playbooks=lambda: self._rungs.in_force(self._files.playbooks),
            site=Site({config.host.name: config.host.instances}, actions, config.highest_mode, config.host_rates),
            actions=actions,
            dispatch=LocalDispatch(
                lambda: self._files.policy,
                actions,
                self.clock,
                config.process_config,
                reached,
                probes=_probes,
                prometheus=self.evidence.ask,
                refused=self._note_refusal,
                silences=silencer,
            ),
            pause=self._pause_of,
            window=lambda frozen: windows.open(frozen.playbook, str(frozen.target), self.clock.now()),
            clock_jumped=self._clock_jumped,
            monitoring=watch.look,
            jumps=Jumps(self.clock, self.store.write(lambda tx: tx.clock_jumps())),
            counters=self.metrics,
            alarm=Alarm(config.state, self.clock, lambda: self._files.policy, config.watchdog.command),
            started=self.clock.monotonic(),
            reached=reached,
        )

    def _readings(self) -> Readings:
        """Return what the metrics ask for at each scrape."""
        return Readings(
            self._live,
            self.engine.queue_depth,
            self.engine.oldest_seconds,
            self._paused,
            lambda: backlog.under_way(self.store, self.clock),
            lambda: backlog.last_verified(self.store),
            lambda: backlog.failed_since(self.store),
            lambda: len(self.root_causes()),
            self._selftest.age,
            lambda: backlog.marks(self.store, self.clock),
        )

    def _show_playbooks(self) -> None:
        self.metrics.show_playbooks({playbook.name: self._mode(playbook) for playbook in self._files.playbooks})
        with self.store.read() as reader:
            stored = {breaker.name: breaker.state for breaker in reader.breakers()}
        for name in {ALL_PLAYBOOKS, *(playbook.name for playbook in self._files.playbooks), *stored}:
            is_open = stored.get(name, BreakerState.CLOSED) is not BreakerState.CLOSED
            self.metrics.observe("breaker_open", float(is_open), playbook=name)
        self.metrics.observe("config_last_reload_successful", 1)
        self.metrics.observe("config_last_reload", self.clock.now())

    # Small readings.

    def _clock_jumped(self) -> bool:
        jumped = self.engine.clock_jumped_at
        return jumped is not None and self.clock.now() - jumped < CLOCK_JUMP_HOLDS

    def _note_refusal(self, refusal: Refusal, by: str, first: bool) -> None:
        """Count what a door refused, and record the first of each attempt: one attempt may be refused many times."""
        self.metrics.count("refused", door=refusal.door.value)
        if not first:
            return
        detail = {"door": refusal.door.value, "by": by, "why": refusal.detail[:LONGEST_REFUSAL]}
        try:
            self.store.write(lambda tx: tx.add_event("refused", self.clock.now(), detail=detail))
        except StoreUnavailable:
            # refused it stays; only the record is missing
            self.metrics.count("store_errors")
            logger.warning("a refusal could not be recorded", extra=detail)

    def _count_blind(self, source: str) -> None:
        self._blind_at[source] = self.clock.monotonic()
        self.metrics.count("evidence_errors", source=source)

    def _too_large(self, path: str) -> None:
        if path == HOOK_PATH:
            self.metrics.count("deliveries", result="too_large")


def _probes() -> Mapping[str, Any]:
    """Return the table of probes; it is imported when a playbook's first one is run."""
    from remediator.probes import PROBES

    return PROBES


def _log_policy(policy: Policy) -> None:
    """Say it when a policy denies everything because somebody else could have written it."""
    if policy.problem is not None:
        logger.error("the policy denies everything", extra={"problem": str(policy.problem)})


def run(
    path: Path,
    listen_address: str = DEFAULT_LISTEN_ADDRESS,
    build: Callable[[Read], App] = App,
    web_config: Path | None = None,
) -> int:
    """Run a remediator until SIGTERM or SIGINT; SIGHUP reads playbooks and policy again. Return the exit code."""
    few_arenas()
    stop = threading.Event()
    try:
        app = build(lambda: read_apart(path, listen_address, web_config=web_config))
    except (OSError, RemediatorError, ValueError) as error:
        logger.error("cannot start", extra={"problem": str(error)})
        return 1
    reload_wanted = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: reload_wanted.set())
    try:
        app.start()
    except (OSError, RemediatorError, ConfigError) as error:
        logger.error("cannot start", extra={"problem": str(error), "address": listen_address})
        app.stop()
        return 1
    # what was built stays for good: the collector need not walk it at every turn of a storm
    gc.collect()
    gc.freeze()
    turns = 0
    while not stop.wait(TURN):
        if reload_wanted.is_set():
            reload_wanted.clear()
            app.reload()
        turns += 1
        if turns % GIVE_BACK_EVERY == 0:
            # what a storm needed for a moment; rings of objects too, which the collector meets only now and then
            gc.collect()
            give_back()
    logger.info("stopping")
    app.stop()
    return 0
