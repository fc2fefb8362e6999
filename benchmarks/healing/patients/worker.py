"""A worker that is well until SIGUSR1, and then falls ill in the way that its argument names.

With WITNESS in its environment it is a decoy instead: it only notes the signals that it gets, in that file.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

MEBI = 1024 * 1024
LEDGER = Path("/srv/run/ledger")
"""Who was forked here: a line `name pid start_ticks` each."""
MOST = 300
"""Mebibytes at which a leak goes on no further: the machine is shared."""


def main() -> None:
    """Be well, then ill; or be a decoy."""
    kind = sys.argv[1]
    held = b"\x5a" * (int(os.environ.get("HOLD", "0")) * MEBI)
    witness = os.environ.get("WITNESS")
    if witness:
        note_signals(Path(witness))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    if kind not in ON_A_FILE:
        signal.sigwait({signal.SIGUSR1})
    KINDS[kind]()
    del held
    rest()


def rest() -> None:
    """Wait for the end."""
    while True:
        signal.pause()


def note_signals(path: Path) -> None:
    """Live on, and write down the name of each signal."""

    def remember(number: int, _frame: object) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{signal.Signals(number).name}\n")

    for number in (1, 2, 3, 10, 12, 15, 17, 18):
        signal.signal(number, remember)
    Path(f"{path}.who").write_text(f"{os.getpid()} {started()}", "utf-8")
    path.touch()
    rest()


def jump() -> None:
    """Become large at once."""
    KEPT.append(b"\x5a" * (120 * MEBI))


def slope() -> None:
    """Grow evenly."""
    for _ in range(MOST // 2):
        KEPT.append(b"\x5a" * (2 * MEBI))
        time.sleep(0.2)


def sawtooth() -> None:
    """Take sixteen, give eight back, and so on."""
    for _ in range(MOST // 8):
        KEPT.append(b"\x5a" * (16 * MEBI))
        time.sleep(0.5)
        KEPT[-1] = b"\x5a" * (8 * MEBI)
        time.sleep(0.5)


def on_a_file() -> None:
    """Be large as soon as there is a file that says so, in every life again."""
    while not Path("/srv/run", sys.argv[1]).exists():
        time.sleep(0.1)
    jump()


def spin() -> None:
    """Use a core and get nowhere."""
    while True:
        pass


def spin_thread() -> None:
    """One of several threads spins."""
    for _ in range(5):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    threading.Thread(target=spin, daemon=True).start()


def zombies() -> None:
    """Leave ended children; collect them only when told once more that there are some."""
    leave_children()
    signal.signal(signal.SIGCHLD, collect)


def deaf() -> None:
    """Leave ended children and never collect them."""
    leave_children()


def leave_children() -> None:
    """Fork twenty that end at once, and return when all have."""
    for _ in range(20):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def collect(_number: int, _frame: object) -> None:
    """Collect every ended child."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def descriptors() -> None:
    """Open files and never close them."""
    KEPT.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(400))


def threads() -> None:
    """Start threads that never end."""
    threading.stack_size(64 * 1024)
    for _ in range(100):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def flood() -> None:
    """Fork children that never end."""
    for _ in range(30):
        if not os.fork():
            note_self()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
            rest()
        time.sleep(0.01)


def note_self() -> None:
    """Write down who this process is."""
    with LEDGER.open("a", encoding="utf-8") as file:
        file.write(f"{Path(sys.argv[0]).name} {os.getpid()} {started()}\n")


def started() -> str:
    """Return when this process started, in ticks."""
    return Path("/proc/self/stat").read_text("latin-1").rpartition(")")[2].split()[19]


def leave() -> None:
    """End, as after a crash."""
    os._exit(70)


def chatter() -> None:
    """Write log files as if every line mattered."""
    folder, text = Path("/srv/app/log"), b"x" * MEBI
    for number in range(400):
        (folder / f"chatty.log.{number}").write_bytes(text)
        time.sleep(0.25)


KEPT: list[object] = []
ON_A_FILE = ("incurable", "rootless")
"""What falls ill without being signalled."""
KINDS = {
    "jump": jump, "slope": slope, "sawtooth": sawtooth, "incurable": on_a_file, "spin": spin,
    "spin-thread": spin_thread, "zombies": zombies, "deaf": deaf, "descriptors": descriptors, "threads": threads,
    "flood": flood, "leave": leave, "chatter": chatter, "rest": rest, "rootless": on_a_file,
}  # fmt: skip

if __name__ == "__main__":
    main()
