"""`os-release`: the name and version of the operating system.

https://www.freedesktop.org/software/systemd/man/latest/os-release.html
"""

from __future__ import annotations

import re

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_PIECE = re.compile(r'"(?P<double>(?:[^"\\]|\\.)*)"|\'(?P<single>[^\']*)\'|(?P<bare>[^"\'#]+)|(?P<comment>#.*)')
_ESCAPED = re.compile(r"\\(.)")


def parse_os_release(data: bytes) -> dict[str, str]:
    """Given the bytes of the file, return its variables. Raise ValueError if a line is no assignment."""
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(text)
        if assignment is None:
            raise ValueError(f"not a line of os-release: {text!r}")
        found[assignment[1]] = _value(assignment[2])
    return found


def _value(text: str) -> str:
    """Read a value as a shell does: quoted and bare pieces side by side, up to a comment."""
    value = ""
    end = 0
    while end < len(text):
        piece = _PIECE.match(text, end)
        if piece is None:
            raise ValueError(f"a quote is open in os-release: {text!r}")
        if piece["comment"] is not None:
            break
        end = piece.end()
        # blanks before a comment belong to nothing, unless they are quoted
        value += piece["bare"].rstrip() if piece["bare"] and text[end : end + 1] in ("", "#") else _plain(piece)
    return value


def _plain(piece: re.Match[str]) -> str:
    if piece["double"] is not None:
        return _ESCAPED.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], piece["double"])
    return str(piece["bare"] if piece["single"] is None else piece["single"])
