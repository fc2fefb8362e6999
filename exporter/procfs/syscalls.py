"""System calls that Python does not offer: adjtimex(2), and uname(2) with the NIS domain name."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple

# struct timex of <sys/timex.h>: modes; offset to esterror; status; constant to tick, the time among them; ppsfreq and
# jitter; shift; stabil to stbcnt; tai; 11 unused. Native sizes and alignment, so it is right where long has 4 bytes.
_TIMEX = struct.Struct("@I4li6lll i5li44x")
_UNAME_FIELDS = ("sysname", "nodename", "release", "version", "machine", "domainname")
_UNAME_BYTES = 65

_libc = ctypes.CDLL(None, use_errno=True)


class Timex(NamedTuple):
    """The state of the kernel's clock discipline; the names are those of the structure."""

    state: int
    """What the call returned; 5 is an unsynchronised clock."""
    offset: int
    freq: int
    maxerror: int
    esterror: int
    status: int
    constant: int
    tick: int
    ppsfreq: int
    jitter: int
    shift: int
    stabil: int
    jitcnt: int
    calcnt: int
    errcnt: int
    stbcnt: int
    tai: int


def adjtimex() -> Timex:
    """Return the state of the clock, changing nothing. Raise OSError if the kernel refuses."""
    buffer = ctypes.create_string_buffer(_TIMEX.size)
    state = _libc.adjtimex(buffer)
    if state < 0:
        raise _last_error("adjtimex")
    (_, offset, freq, maxerror, esterror, status, constant, _, _, _, _, tick, ppsfreq, jitter, shift, *rest) = (
        _TIMEX.unpack(buffer)
    )
    stabil, jitcnt, calcnt, errcnt, stbcnt, tai = rest
    return Timex(
        state, offset, freq, maxerror, esterror, status, constant, tick, ppsfreq, jitter, shift,
        stabil, jitcnt, calcnt, errcnt, stbcnt, tai,
    )  # fmt: skip


def uname() -> dict[str, str]:
    """Return what the kernel calls itself and the host, by field. Raise OSError if it refuses."""
    buffer = ctypes.create_string_buffer(_UNAME_BYTES * len(_UNAME_FIELDS))
    if _libc.uname(buffer) != 0:
        raise _last_error("uname")
    raw = buffer.raw
    texts = (raw[begin : begin + _UNAME_BYTES] for begin in range(0, len(raw), _UNAME_BYTES))
    return {
        field: text.split(b"\0", 1)[0].decode("utf-8", "replace")
        for field, text in zip(_UNAME_FIELDS, texts, strict=True)
    }


def _last_error(call: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{call}: {os.strerror(code)}")
