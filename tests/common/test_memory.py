"""The allocator's setting, in a process of its own so that no other test runs under it."""

from __future__ import annotations

import subprocess
import sys


def test_the_c_library_takes_the_setting() -> None:
    code = "from selfheal.common.memory import few_arenas; print(few_arenas())"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert answer.stdout.strip() == "True"


def test_what_is_not_used_any_more_goes_back_to_the_system() -> None:
    code = """
import os
from pathlib import Path
from selfheal.common.memory import few_arenas, give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

few_arenas()
blocks = [bytes([1]) * 4000 for _ in range(5000)]
last = blocks[-1]
# the last block stays, so that the heap cannot shrink by itself
blocks.clear()
held = resident()
give_back()
print((held - resident()) // 2**20)
"""

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)

    assert int(answer.stdout) >= 10
