"""The allocator's setting, in a process of its own so that no other test runs under it."""

from __future__ import annotations

import subprocess
import sys


def test_the_c_library_takes_the_setting() -> None:
    code = "from selfheal.common.memory import few_arenas; print(few_arenas())"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert answer.stdout.strip() == "True"
