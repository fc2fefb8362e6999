"""What the kernel's taskstats tell of other processes, asked in batches over netlink: context switches and storage.

https://docs.kernel.org/accounting/taskstats.html. One answer costs a quarter of reading `status`, and shows whether
`io` needs to be read at all; but it needs CAP_NET_ADMIN and the first pid namespace, so there must be another way.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from threading import get_native_id

_GENERIC = 16  # NETLINK_GENERIC, and also its own control family's id
_ERROR = 2  # NLMSG_ERROR
_REQUEST = 1  # NLM_F_REQUEST
_GET_FAMILY, _FAMILY_NAME, _FAMILY_ID = 3, 2, 1
_GET, _PID, _TGID, _STATS = 1, 1, 2, 3  # TASKSTATS_CMD_GET, …_CMD_ATTR_PID, …_CMD_ATTR_TGID, …_TYPE_STATS

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_QUESTION = struct.Struct("=IHHIIBBHHHI")
# nlmsghdr, genlmsghdr, the header of the nest, the attribute with the pid, the header of the statistics; then of
# struct taskstats, which only ever grows at its end: cpu_run_virtual_total, read_char, read_bytes, write_bytes, nvcsw,
# nivcsw
_ANSWER = struct.Struct("=4xH2xI22xH72xQ136xQ24xQQ8xQQ")

# answers wait in the socket's buffer, each in more than a KiB of it; beyond what fits they are lost
_BATCH = 48
_PATIENCE_SECONDS = 1.0
_KIB = 1024


class TaskStatsError(OSError):
    """The kernel does not tell: no taskstats, or no right to them."""


Told = list[int]
"""What the kernel told of one process, at the places below.

Of one with a single thread all is that thread's: nanoseconds on a CPU, and bytes in whole KiB, which only tell whether
it read or wrote anything. Of more threads the switches alone are of use: they are those of all together.
"""
RUN_NS, READ_CHARS, READ_BYTES, WRITTEN_BYTES, VOLUNTARY, NONVOLUNTARY = range(6)


class TaskStats:
    """An open conversation with the kernel about other processes."""

    def __init__(self, procfs: Path) -> None:
        """Raise TaskStatsError if the kernel will not answer, or keeps no accounts; `procfs` must show ourselves."""
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _GENERIC)
        except OSError as error:
            raise TaskStatsError(error.errno, error.strerror) from error
        self._buffer = bytearray(1024)
        try:
            self._socket.settimeout(_PATIENCE_SECONDS)
            self._socket.bind((0, 0))
            self._family = self._find_family()
            self._check_accounts(procfs / "thread-self")
        except (OSError, ValueError) as error:
            self._socket.close()
            raise TaskStatsError(f"taskstats: {error}") from error

    def __del__(self) -> None:
        # absent if the socket could not be made
        if hasattr(self, "_socket"):
            self._socket.close()

    def read(self, singles: Sequence[int], others: Sequence[int]) -> dict[int, Told]:
        """Given pids of processes with one thread, and with more, return what is told of each that is there.

        Raise OSError if it fails: answers may then still be on their way, so this conversation is of no more use.
        """
        found: dict[int, Told] = {}
        for pids, attribute in ((singles, _PID), (others, _TGID)):
            for begin in range(0, len(pids), _BATCH):
                self._ask(pids[begin : begin + _BATCH], attribute, found)
        return found

    def _ask(self, pids: Sequence[int], attribute: int, found: dict[int, Told]) -> None:
        pack, family = _QUESTION.pack, self._family
        # the pid is the sequence number too, so that no answer can be taken for another's
        self._socket.send(b"".join([pack(28, family, _REQUEST, pid, 0, _GET, 1, 0, 8, attribute, pid) for pid in pids]))
        receive, buffer, unpack, whole = self._socket.recv_into, self._buffer, _ANSWER.unpack_from, _ANSWER.size
        for pid in pids:
            size = receive(buffer)
            kind, number, content, *told = unpack(buffer)
            if number != pid:
                raise TaskStatsError("answers came out of order")
            # an error instead means that there is no such process any more
            if kind == family and size >= whole and content == _STATS:
                found[pid] = told

    def _check_accounts(self, thread: Path) -> None:
        """Ask about ourselves: a kernel without these accounts answers too, with zeros."""
        own = get_native_id()
        # so that there is something to tell
        while (before := _read_chars(thread)) < _KIB:
            (thread / "status").read_bytes()
        found: dict[int, Told] = {}
        self._ask([own], _PID, found)
        if own not in found or not before // _KIB * _KIB <= found[own][READ_CHARS] <= _read_chars(thread):
            raise TaskStatsError("the kernel keeps no accounts of I/O")

    def _find_family(self) -> int:
        name = b"TASKSTATS\0"
        attribute = _ATTRIBUTE.pack(4 + len(name), _FAMILY_NAME) + name + bytes(-len(name) % 4)
        body = struct.pack("=BBH", _GET_FAMILY, 1, 0) + attribute
        self._socket.send(_HEADER.pack(16 + len(body), _GENERIC, _REQUEST, 1, 0) + body)
        answer = self._socket.recv(8192)
        place = 20
        while place + 6 <= len(answer) and _HEADER.unpack_from(answer)[1] != _ERROR:
            length, kind = _ATTRIBUTE.unpack_from(answer, place)
            if kind == _FAMILY_ID:
                return int(struct.unpack_from("=H", answer, place + 4)[0])
            place += max(4, (length + 3) & ~3)
        raise TaskStatsError("this kernel has no taskstats")


def _read_chars(thread: Path) -> int:
    """Return how many bytes a thread has read so far, from anywhere."""
    return int((thread / "io").read_bytes().split(None, 2)[1])
