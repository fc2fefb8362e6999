"""The allocator's setting, in a process of its own so that no other test runs under it."""

from __future__ import annotations

import os
import subprocess
import sys

from selfheal.common.memory import without_caches


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


def test_threads_of_a_child_keep_no_freed_blocks() -> None:
    code = """
import os, threading
from pathlib import Path
from selfheal.common.memory import few_arenas, give_back

few_arenas()
done = threading.Barrier(31)

def work():
    blocks = [bytes([1]) * size for size in range(520, 980, 16) for _ in range(7)]
    done.wait()
    blocks.clear()
    done.wait()
    done.wait()

for _ in range(30):
    threading.Thread(target=work).start()
done.wait()
done.wait()
give_back()
print(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024)
done.wait()
"""
    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}

    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=20, check=True
            ).stdout
        )
        for environment in (plain, without_caches(plain))
    )

    assert kept - given_back >= 2048


def test_a_setting_that_is_there_already_stays() -> None:
    assert without_caches({"A": "b"}) == {"A": "b", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    other = {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0"}
    assert without_caches(other) == {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0:glibc.malloc.tcache_count=0"}
    assert without_caches({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=9"})["GLIBC_TUNABLES"].endswith("=9")
