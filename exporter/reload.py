"""SIGHUP: reads the configuration files again, builds anew what changed, and swaps it in only if all of it is sound."""

from __future__ import annotations

import threading
from collections.abc import Callable
from logging import getLogger
from pathlib import Path

from exporter.build import CannotBuildError, build_collectors
from exporter.config import Config
from exporter.encode import Family, Metric
from exporter.notify import Notifier
from exporter.registry import Collect, Registry, close_all
from exporter.settings import Settings

logger = getLogger(__name__)

_SUCCESSFUL = Metric(
    "selfheal_exporter_config_last_reload_successful", "gauge", "Whether the files were sound when last read."
)
_TIMESTAMP = Metric(
    "selfheal_exporter_config_last_reload_success_timestamp_seconds",
    "gauge",
    "When sound files were last read, since the epoch.",
)


class Reloader:
    """Knows what the running collectors were built from."""

    def __init__(self, config: Config, registry: Registry, settings: Settings, notifier: Notifier) -> None:
        self._config = config
        self._registry = registry
        self._settings = settings
        self._notifier = notifier
        self._contents = _contents(config)
        self._lock = threading.Lock()
        self._asked = False
        self._at_work = False
        self._successful = True
        self._succeeded = settings.clock.now()

    def families(self) -> list[Family]:
        """Return how the last reload went; the start counts as one."""
        return [_SUCCESSFUL.only(int(self._successful)), _TIMESTAMP.only(self._succeeded)]

    def ask(self, check: Callable[[], None]) -> None:
        """Reload on a thread of its own, after the one that is going on; `check` raises ValueError for further files.

        A collector may take its time to be built, and new connections must not wait for it.
        """
        with self._lock:
            self._asked = True
            if self._at_work:
                return
            self._at_work = True
        try:
            threading.Thread(target=self._work, args=(check,), name="reload", daemon=True).start()
        except RuntimeError as error:
            # the system gives no more threads
            with self._lock:
                self._asked = self._at_work = False
            self._refuse([str(error)])

    def _work(self, check: Callable[[], None]) -> None:
        while True:
            with self._lock:
                if not self._asked:
                    self._at_work = False
                    return
                self._asked = False
            self._notifier.reloading()
            self.reload(check)
            self._notifier.ready()

    def reload(self, check: Callable[[], None] = lambda: None) -> bool:
        """Swap in what changed; say whether everything was sound. If it was not, all that ran runs on."""
        # before they are read, so that what changes meanwhile counts as changed the next time
        begun = self._settings.clock.now()
        contents = _contents(self._config)
        changed = [name for name, found in contents.items() if found != self._contents.get(name)]
        problems = []
        collectors: dict[str, Collect] = {}
        try:
            check()
        except ValueError as error:
            problems.append(str(error))
        try:
            collectors = build_collectors(changed, self._settings)
        except CannotBuildError as error:
            problems += error.problems
        except Exception as error:
            # the border: a fault in one collector's room must not end the reloading for good
            logger.exception("collector could not be built")
            problems.append(f"{error.__class__.__name__}: {error}")
        if problems:
            close_all(collectors.values())
            self._refuse(problems)
            return False
        self._registry.replace(collectors)
        self._contents = contents
        self._successful = True
        self._succeeded = begun
        logger.info("reloaded", extra={"changed": ",".join(changed)})
        return True

    def _refuse(self, problems: list[str]) -> None:
        self._successful = False
        logger.error("reload refused; everything runs on as before", extra={"reason": "; ".join(problems)})


def _contents(config: Config) -> dict[str, tuple[tuple[Path, bytes | None], ...]]:
    return {name: tuple((path, _content(path)) for path in files) for name, files in config.files.items()}


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
