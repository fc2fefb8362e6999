"""Faults of services: away, hanging, slow, wrong, robbed of their port, choking on their own sockets."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from signal import SIGSTOP, SIGUSR1

from benchmarks.healing.faults.model import Effect, Fault
from benchmarks.healing.faults.processes import only, path_of
from benchmarks.healing.hosts import Host
from benchmarks.healing.layout import APP

FIRST_PORT = 8101


def commands_of(name: str) -> Callable[[Host, Effect], bool]:
    """Return what owns the commands of one service."""
    return lambda _host, effect: effect.get("kind") == "command" and effect.get("service") == name


def answers(host: Host, port: int) -> bool:
    """Say whether a service answers well and soon."""
    connection = http.client.HTTPConnection(host.address, port, timeout=1.0)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status == 200 and b"all is well" in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def serve(name: str, kind: str, port: int) -> Callable[[Host], None]:
    """Return what starts a service and its decoys."""

    def prepare(host: Host) -> None:
        path = host.install("service", path_of(name))
        host.spawn(name, [path, kind, str(port)], uid=APP)
        host.decoys.beside(path, kind)

    return prepare


def _service(
    number: int, name: str, kind: str, *, alert: str = "ServiceDown", playbook: str = "restart_service",
    illness: int = SIGUSR1, about: dict[str, str] | None = None, seconds: float = 85.0,
) -> Fault:  # fmt: skip
    port = FIRST_PORT + number
    return Fault(
        name, alert, about or {"service": name}, serve(name, kind, port), lambda host: host.falls_ill(name, illness),
        lambda host: answers(host, port), commands_of(name), playbook, services={name: port}, seconds=seconds,
        probe=(about or {}).get("probe", ""),
    )  # fmt: skip


def _port_held() -> Fault:
    name, squatter, port = "port-held", "squatter", FIRST_PORT + 9

    def prepare(host: Host) -> None:
        serve(name, "down", port)(host)
        path = host.install("service", path_of(squatter))
        host.decoys.beside(path, "squatter")

    def inject(host: Host) -> None:
        host.ends(name)
        host.spawn(squatter, [path_of(squatter), "squatter", str(port)], uid=APP)

    def owns(host: Host, effect: Effect) -> bool:
        return only(squatter)(host, effect) or commands_of(name)(host, effect)

    return Fault(
        name, "HealingPortHeld", {"service": name}, prepare, inject, lambda host: answers(host, port), owns,
        "free_port", services={name: port}, seconds=60,
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (
    _service(0, "service-down", "down"),
    _service(1, "service-hung", "hung"),
    _service(2, "service-error", "error"),
    _service(3, "service-stopped", "rest", illness=SIGSTOP),
    _service(4, "service-slow", "slow", alert="HealingServiceSlow", playbook="restart_slow_service", seconds=55),
    _service(5, "close-wait", "sockets", alert="HealingSocketsHalfClosed", playbook="restart_sockets",
             about={"job": "selfheal-exporter"}, seconds=55),
    _service(6, "udp-unread", "udp", alert="HealingDatagramsUnread", playbook="restart_udp",
             about={"queue": "rx"}, seconds=55),
    _service(7, "wrong-answer", "wrong", alert="HealingWrongAnswer", playbook="restart_probed",
             about={"probe": "wrong-answer"}, seconds=60),
    _port_held(),
)  # fmt: skip
