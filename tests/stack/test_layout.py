"""One `up` per state folder, an empty demo each time, and ports that are free."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from selfheal.stack import ports
from selfheal.stack.layout import AlreadyRunning, Layout, fresh_demo, only_one


def test_a_second_one_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from selfheal.stack.layout import only_one\n"
        "with only_one(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(AlreadyRunning) as raised, only_one(tmp_path):
            pass
    finally:
        holder.communicate()

    assert raised.value.pid == holder.pid
    assert str(raised.value) == (
        f"{tmp_path} is in use by pid {holder.pid}; stop it first, or choose another folder with --state"
    )


def test_the_folder_is_free_again_when_its_holder_has_ended(tmp_path: Path) -> None:
    with only_one(tmp_path):
        pass

    with only_one(tmp_path):
        assert (tmp_path / "up.lock").read_text() == str(os.getpid())


def test_a_demo_starts_empty_and_keeps_the_one_before_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    for run in ("first", "second", "third"):
        layout = fresh_demo(tmp_path)
        assert list(layout.state.iterdir()) == []
        (layout.state / run).touch()
        (layout.state / "link").symlink_to(outside)

    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["link", "third"]
    assert sorted(path.name for path in (tmp_path / "demo.previous").iterdir()) == ["link", "second"]
    assert (outside / "precious").exists()


def test_only_this_user_may_look_into_the_state(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")

    layout.make()
    layout.make()

    assert {path.stat().st_mode & 0o777 for path in [layout.state, *layout.state.iterdir()]} == {0o700}


def test_wanted_ports_are_taken_when_free_and_others_when_not() -> None:
    with socket.socket() as taken, socket.socket() as was_free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        was_free.bind(("127.0.0.1", 0))
        in_use, free = taken.getsockname()[1], was_free.getsockname()[1]
        was_free.close()

        chosen = ports.choose({"one": in_use, "two": free, "three": free})

    assert chosen["two"] == free
    assert len({in_use, *chosen.values()}) == 4


def test_a_port_that_may_not_be_used_is_replaced() -> None:
    chosen = ports.choose({"one": 70_000})

    assert 0 < chosen["one"] < 65_536
