"""What the red team needs: programs to be tricked into running, and policies that list one thing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remediator.policy.values import NamedCommand, Parameter, ParameterType
from tests.tools import do_without

ECHO = "import json, os, sys; print(json.dumps([sys.argv[1:], sys.stdin.read(), sorted(os.environ), os.getcwd()]))"
"""Tells its arguments, its input, its environment and its folder."""

NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")


def echo(*run: str, parameters: tuple[Parameter, ...] = (), **more: object) -> NamedCommand:
    """Return a command named `echo` that tells what it is given."""
    return NamedCommand("echo", (sys.executable, "-I", "-c", ECHO, *run), parameters, **more)  # type: ignore[arg-type]


def text(name: str = "x") -> Parameter:
    """Return a parameter of free text."""
    return Parameter(name, ParameterType.TEXT)


def program(path: Path, code: str, mode: int = 0o755) -> Path:
    """Write a Python program that can be started."""
    path.write_text(f"#!{sys.executable} -I\n{code}")
    path.chmod(mode)
    return path


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file another user's; who is not root becomes another user in the eyes of the program instead."""
    if os.geteuid() == 0:
        os.lchown(path, 65_534, 65_534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65_534)


def apart(code: str, *arguments: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run Python code in a user, mount and pid namespace of its own; without one there the test cannot be done."""
    try:
        can = subprocess.run([*NAMESPACES, "true"], capture_output=True, timeout=timeout).returncode == 0
    except FileNotFoundError:
        can = False
    if not can:
        do_without("this user may make no namespaces here")
    script = 'mount --make-rprivate / && mount -t proc proc /proc && exec "$@"'
    return subprocess.run(
        [*NAMESPACES, "sh", "-c", script, "sh", sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
    )
