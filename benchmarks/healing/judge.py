"""Follows one fault from its injection to its end, and judges the end: by the remediator's record and by the world."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.healing.centre import Centre
from benchmarks.healing.faults import Fault, Shape
from benchmarks.healing.hosts import Host
from selfheal.common.clock import from_rfc3339

EVALUATION = 1.0
LOOK = 0.3
GIVE_UP = 150.0
"""Seconds after which a fault counts as neither healed nor handed over."""
STAYS = 6.0
"""Seconds, a scrape and more, for which a hand-over must stay one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one fault; times in seconds since the epoch, stretches in seconds."""

    host: str
    kind: str
    shape: Shape
    injected: float
    ended: float
    how: str
    """`healed`, `handed over`, or what went wrong."""
    seconds: float | None = None
    """From the injection to the proof."""
    net: float | None = None
    """The same without the rule's `for` and the playbook's `healthy_for`, which are somebody's choice."""
    stretches: tuple[float, ...] = ()
    """Until it fired, until the first intent, until the last step ended, until it was proven."""

    @property
    def ok(self) -> bool:
        """Say whether it ended as it should."""
        return self.how in ("healed", "handed over")

    def __str__(self) -> str:
        """Return it as a line of progress."""
        if self.net is None or self.seconds is None:
            return f"{self.kind:16} {self.how}"
        found, begun, acted, proven = self.stretches
        spent = f"found {found:.1f}, begun {begun:.1f}, acted {acted:.1f}, proven {proven:.1f}"
        return f"{self.kind:16} {self.how} in {self.seconds:.1f} s, net {self.net:.1f} s ({spent})"


class Judge:
    """Brings one fault about and follows it."""

    def __init__(self, host: Host, centre: Centre, fault: Fault) -> None:
        self._host, self._centre, self.fault = host, centre, fault
        self._injected = time.time()

    def follow(self) -> Outcome:
        """Inject the fault and return its outcome once there is one, or the time is over."""
        self._injected = time.time()
        self.fault.inject(self._host)
        self.fault.after(self._host, self._centre)
        return self._handed() if self.fault.handed else self._healed()

    def failed(self, why: str) -> Outcome:
        """Return the outcome of a fault that ended as it should not."""
        return self._outcome(f"FAILED: {why}")

    @staticmethod
    def time_of(text: Any) -> float | None:
        """Return a time of the API's in seconds."""
        return None if text is None else from_rfc3339(text)

    def _outcome(
        self, how: str, seconds: float | None = None, net: float | None = None, stretches: tuple[float, ...] = ()
    ) -> Outcome:
        fault, now = self.fault, time.time()
        return Outcome(self._host.name, fault.name, fault.shape, self._injected, now, how, seconds, net, stretches)

    def _healed(self) -> Outcome:
        found = self._wait(self._fixed)
        if found is None:
            return self.failed(f"not healed, its remediations: {self._told()}")
        whole = self._centre.remediation(self._host, found["id"])
        if not self.fault.as_wanted(self._host):
            return self.failed("proven, but the host says otherwise")
        if whole["playbook"] != self.fault.playbook:
            return self.failed(f"healed by {whole['playbook']}")
        return self._measured(whole)

    def _measured(self, whole: Mapping[str, Any]) -> Outcome:
        fired, started, verified = (
            from_rfc3339(text) for text in (whole["alert"]["starts_at"], whole["started_at"], whole["verified_at"])
        )
        acted = max(from_rfc3339(step["ended_at"]) for step in whole["steps"])
        pending, healthy_for = self._terms(whole)
        stretches = (fired - self._injected, started - fired, acted - started, verified - acted)
        seconds = verified - self._injected
        return self._outcome("healed", seconds, seconds - pending - healthy_for, stretches)

    def _handed(self) -> Outcome:
        if self._wait(self._left_to_people) is None:
            return self.failed(f"not handed over as {self.fault.handed}, but: {self._told()}")
        end = time.time() + STAYS
        while time.time() < end:
            if not self._left_to_people():
                return self.failed(f"handed over, and then not: {self._told()}")
            time.sleep(LOOK)
        if not self.fault.as_wanted(self._host):
            return self.failed("handed over, but something was done on the host")
        return self._outcome("handed over")

    def _wait(self, look: Any) -> Any:
        end = time.time() + GIVE_UP
        while time.time() < end:
            found = look()
            if found:
                return found
            time.sleep(LOOK)
        return None

    def _ours(self) -> list[dict[str, Any]]:
        """Return the remediations that this fault's alert caused, the newest first."""
        return [
            item for item in self._centre.listed(self._host)
            if self.fault.is_about(item["alert"]["labels"])
            and from_rfc3339(item["alert"]["starts_at"]) >= self._injected - EVALUATION
        ]  # fmt: skip

    def _fixed(self) -> dict[str, Any] | None:
        return next((item for item in self._ours() if item["verdict"] == "fixed"), None)

    def _left_to_people(self) -> bool:
        """Say whether the remediation, or the alert where there is none, tells the reason, and nothing was begun."""
        ours = self._ours()
        if any(item["started_at"] is not None for item in ours) and not self.fault.touched:
            return False
        if any(item["reason"] == self.fault.handed for item in ours):
            return True
        return any(
            alert["reason"] == self.fault.handed for alert in self._centre.alerts(self._host)
            if self.fault.is_about(alert["labels"]) and from_rfc3339(alert["starts_at"]) >= self._injected - EVALUATION
        )  # fmt: skip

    def _told(self) -> str:
        ours = [f"{item['playbook']} {item['state']} {item['reason']} {item['verdict']}" for item in self._ours()]
        alerts = [
            f"alert {alert['fate']} {alert['reason']}" for alert in self._centre.alerts(self._host)
            if self.fault.is_about(alert["labels"])
        ]  # fmt: skip
        return "; ".join([*ours, *alerts]) or "none, and no alert"

    def _terms(self, whole: Mapping[str, Any]) -> tuple[float, float]:
        """Return the rule's `for` and the playbook's `healthy_for`."""
        verify = self._centre.playbook(self._host, whole["playbook"])["verify"]
        return self._centre.pending_of(self.fault.alert), float(verify["healthy_for"])
