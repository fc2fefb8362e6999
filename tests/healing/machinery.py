"""Run by the tests inside namespaces of its own: two hosts, one fault, and how it looks from both. Prints JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from signal import SIGTERM

from benchmarks.healing.faults import KINDS
from benchmarks.healing.hosts import Host, make_bridge
from benchmarks.rig import until


def main(folder: Path) -> None:
    make_bridge()
    one, two = hosts = [Host(number, folder / f"host-{number}") for number in (1, 2)]
    leak, bytes_ = KINDS["leak-jump"], KINDS["folder-bytes"]
    found: dict[str, object] = {}
    try:
        for host in hosts:
            host.start()
            for fault in (leak, bytes_):
                fault.prepare(host)
        until(lambda: all(host.decoys.ready for host in hosts))
        found["names"] = [_name(host) for host in hosts]
        found["well at first"] = [leak.as_wanted(host) for host in hosts]
        found["decoys"] = [host.decoys.count for host in hosts]
        leak.inject(one)
        until(lambda: not leak.as_wanted(one))
        found["the other is well"] = leak.as_wanted(two)
        found["unhurt"] = [host.decoys.changed() for host in hosts]
        found["seen from the other"] = _joined(two, one.address)
        _end_as_a_healer_would(one)
        found["ended and kept"] = len(one.lives("leak-jump"))
        found["owned"] = [leak.owns(one, _effect(one, name)) for name in ("leak-jump", "leak-jump-neighbour")]
        one.ask("signal", name="leak-jump-neighbour", number=int(SIGTERM))
        two.write("/srv/precious/old-0000", b"changed")
        until(lambda: one.decoys.changed() and two.decoys.changed())
        found["hurt"] = [host.decoys.changed() for host in hosts]
    finally:
        firsts = [host.root.parent for host in hosts]
        for host in hosts:
            host.stop()
    until(lambda: "veth" not in _links() and not any(first.exists() for first in firsts))
    print(json.dumps(found))


def _effect(host: Host, name: str) -> dict[str, object]:
    pid, ticks = max(host.lives(name))
    return {"kind": "process", "pid": pid, "start_ticks": ticks}


def _end_as_a_healer_would(host: Host) -> None:
    leak = KINDS["leak-jump"]
    host.ask("signal", name="leak-jump", number=int(SIGTERM))
    until(lambda: len(host.lives("leak-jump")) == 2 and leak.as_wanted(host))


def _joined(host: Host, address: str) -> bool:
    """Say whether one host reaches the other over the bridge: a refusal comes from somebody who is there."""
    ask = f"socket.create_connection(('{address}', 1), 10)"
    text = f"import socket\ntry: {ask}\nexcept ConnectionRefusedError: print('there')"
    return "there" in _on(host, "-n", sys.executable, "-c", text)


def _name(host: Host) -> str:
    return _on(host, "-u", "uname", "-n").strip()


def _on(host: Host, *argv: str) -> str:
    """Return what a command says in some of a host's namespaces."""
    whole = ["nsenter", "-t", host.root.parent.name, *argv]
    return subprocess.run(whole, capture_output=True, text=True, timeout=30, check=False).stdout


def _links() -> str:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, timeout=30, check=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
