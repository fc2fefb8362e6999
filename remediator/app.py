"""Builds every part of the remediator from its configuration, in one readable order, and starts and stops them."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from remediator import address, pause, pipeline
from remediator.actions import ACTIONS
from remediator.actions.local import LocalDispatch
from remediator.client import Client
from remediator.config import DEFAULT_LISTEN_ADDRESS, Endpoint, parse_listen_address
from remediator.engine import Engine
from remediator.errors import RemediatorError, StoreUnavailable
from remediator.evidence import Evidence
from remediator.model import Action, Json, Mode, Playbook, Reached, State, nothing_happens
from remediator.notifiers import NOTIFIERS
from remediator.parts import Jumps, Parts
from remediator.playbooks.match import Site
from remediator.policy import Policy
from remediator.reading import Read, read_apart
from remediator.receive import Batch
from remediator.store import Reader, Store
from remediator.web import Access, Delivery, Metrics, Readings, WebServer, make_app
from remediator.web.hooks import PATH as HOOK_PATH
from selfheal import __version__
from selfheal.common.clock import Clock, SystemClock, to_rfc3339
from selfheal.common.memory import few_arenas, give_back
from selfheal.common.problems import ConfigError

logger = logging.getLogger(__name__)

CLOCK_JUMP_HOLDS = 60.0
"""Seconds after a jump of the wall clock during which nothing begins: at least one fresh scrape passes."""

TURN = 0.5
"""Seconds between two looks of the main thread at what it is told by signals."""

GIVE_BACK_EVERY = 10
"""Turns of the main thread after which unused memory goes back to the system."""

BLIND_SHOWN = 30.0
"""Seconds after a question without a usable answer during which its source is shown as blind."""


class App:
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
        self.store = Store.open(config.state, self.clock)
        self._blind_at: dict[str, float] = {}
        self.evidence = Evidence(
            _client(config.prometheus, "prometheus"),
            [_client(endpoint, "alertmanager") for endpoint in config.alertmanagers],
            self.clock,
            ignore_labels=config.ignore_labels,
            failed=self._count_blind,
        )
        self.parts = Parts(
            config=config,
            store=self.store,
            evidence=self.evidence,
            clock=self.clock,
            playbooks=lambda: self._files.playbooks,
            site=Site({config.host.name: config.host.instances}, actions, config.highest_mode, config.host_rates),
            actions=actions,
            dispatch=LocalDispatch(lambda: self._files.policy, actions, self.clock, config.process_config, reached),
            pause=lambda: pause.read(config.state / pause.NAME, self.clock.now()),
            clock_jumped=self._clock_jumped,
            jumps=Jumps(self.clock),
            counters=self.metrics,
            reached=reached,
        )
        tellers = [notifier.tell for notifier in NOTIFIERS.values()]
        self.engine = Engine(self.store, self.clock, pipeline.handlers(self.parts, tellers))
        self.metrics.read_from(Readings(self._live, self.engine.queue_depth, self.engine.oldest_seconds, self._paused))
        access = Access(config.hook_tokens, config.api_tokens)
        self.server = WebServer(
            parse_listen_address(config.listen_address), make_app(self, access, self.metrics), self._too_large
        )
        self._started = False

    def start(self) -> None:
        """Settle what a former process left open, then run, then listen. Raise OSError if the address is taken."""
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
        self.server.stop()
        self.parts.stopping.set()
        if self._started:
            self.engine.stop(10.0)
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

    def _decide_anew(self) -> None:
        self.parts.reloaded.set()
        try:
            self.store.write(lambda tx: tx.schedule("reconcile", 0, self.clock.now()))
        except StoreUnavailable:
            # the next reconciliation comes by itself
            self.metrics.count("store_errors")
            logger.warning("open alerts are decided anew only at the next reconciliation")

    def _show_playbooks(self) -> None:
        self.metrics.show_playbooks({playbook.name: self._mode(playbook) for playbook in self._files.playbooks})
        self.metrics.observe("config_last_reload_successful", 1)
        self.metrics.observe("config_last_reload", self.clock.now())

    def _mode(self, playbook: Playbook) -> Mode:
        order = list(Mode)
        return min(playbook.mode, self.config.highest_mode, key=order.index)

    # What the web asks: remediator.web.service.Service.

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
        found = self.parts.pause()
        paused = None
        if found is not None:
            until = None if found.until is None else to_rfc3339(found.until)
            paused = {"who": found.who, "why": found.why, "until": until, "hard": found.hard}
        return {
            "version": __version__,
            "highest_mode": self.config.highest_mode.value,
            "host": self.config.host.name,
            "paused": paused,
            "counts": self._live(),
            "blind": self._blind(),
            "playbooks": {playbook.name: self._mode(playbook).value for playbook in self._files.playbooks},
            "queue": {"depth": self.engine.queue_depth(), "oldest_seconds": self.engine.oldest_seconds()},
        }

    def settle(self, id: int, how: str, who: str) -> None:
        """Record what a person says of an unknown outcome."""
        pipeline.settle(self.parts, id, how, who)

    def problems(self) -> list[str]:
        """Return what keeps the program from being ready."""
        return [] if self._started else ["the engine has not started"]

    # Small readings.

    def _live(self) -> dict[str, int]:
        with self.store.read() as reader:
            return {State(state).value: count for state, count in reader.counts().items()}

    def _paused(self) -> bool:
        return self.parts.pause() is not None

    def _clock_jumped(self) -> bool:
        jumped = self.engine.clock_jumped_at
        return jumped is not None and self.clock.now() - jumped < CLOCK_JUMP_HOLDS

    def _count_blind(self, source: str) -> None:
        self._blind_at[source] = self.clock.monotonic()
        self.metrics.count("evidence_errors", source=source)

    def _blind(self) -> list[str]:
        now = self.clock.monotonic()
        return sorted(source for source, at in self._blind_at.items() if now - at < BLIND_SHOWN)

    def _too_large(self, path: str) -> None:
        if path == HOOK_PATH:
            self.metrics.count("deliveries", result="too_large")


def _client(endpoint: Endpoint, source: str) -> Client:
    """Return the connection to one server, with its credentials."""
    headers = dict(endpoint.headers)
    if endpoint.authorization is not None:
        headers["Authorization"] = endpoint.authorization.reveal()
    elif endpoint.password is not None:
        pair = f"{endpoint.username}:{endpoint.password.reveal()}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    verify: bool | str = False if endpoint.insecure_skip_verify else str(endpoint.ca_file or "") or True
    certificate = None
    if endpoint.cert_file is not None and endpoint.key_file is not None:
        certificate = (str(endpoint.cert_file), str(endpoint.key_file))
    return Client(endpoint.url, source=source, headers=headers, verify=verify, certificate=certificate)


def _log_policy(policy: Policy) -> None:
    """Say it when a policy denies everything because somebody else could have written it."""
    if policy.problem is not None:
        logger.error("the policy denies everything", extra={"problem": str(policy.problem)})


def run(
    path: Path,
    listen_address: str = DEFAULT_LISTEN_ADDRESS,
    build: Callable[[Read], App] = App,
) -> int:
    """Run a remediator until SIGTERM or SIGINT; SIGHUP reads playbooks and policy again. Return the exit code."""
    few_arenas()
    stop = threading.Event()
    try:
        app = build(lambda: read_apart(path, listen_address))
    except (OSError, RemediatorError, ConfigError) as error:
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
            # what a storm needed for a moment
            give_back()
    logger.info("stopping")
    app.stop()
    return 0
