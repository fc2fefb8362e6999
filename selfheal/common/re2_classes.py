"""Classes of characters as RE2 has them: ranges of codes, and how Python is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LARGEST = 0x10FFFF

Range = tuple[int, int]

_WORD: tuple[Range, ...] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_DIGIT: tuple[Range, ...] = ((0x30, 0x39),)
# without the vertical tab, which Python's has
_SPACE: tuple[Range, ...] = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
PERL = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
POSIX: Mapping[str, tuple[Range, ...]] = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": ((0x41, 0x5A),),
    "word": _WORD,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}
# letters beyond ASCII that are the same as one within it when case does not matter
_FOLDED = {0x4B: 0x212A, 0x6B: 0x212A, 0x53: 0x17F, 0x73: 0x17F}


def folded(ranges: Sequence[Range]) -> list[Range]:
    """Given ranges, return them with the other case of each letter. Raise ValueError for letters beyond ASCII."""
    result = list(ranges)
    for first, last in ranges:
        if last > 0x7F:
            raise ValueError(
                "(?i) with characters beyond ASCII: Python and RE2 know other pairs of cases; write both cases out"
            )
        for shift, low, high in ((32, 0x41, 0x5A), (-32, 0x61, 0x7A)):
            begin, end = max(first, low), min(last, high)
            if begin <= end:
                result.append((begin + shift, end + shift))
                result += [(other, other) for code, other in _FOLDED.items() if begin <= code <= end]
    return result


def negated(ranges: Sequence[Range]) -> list[Range]:
    """Given ranges, return those of all other characters."""
    result: list[Range] = []
    begin = 0
    for first, last in sorted(ranges):
        if first > begin:
            result.append((begin, first - 1))
        begin = max(begin, last + 1)
    if begin <= LARGEST:
        result.append((begin, LARGEST))
    return result


def class_text(ranges: Sequence[Range]) -> str:
    """Given ranges, return the class as Python reads it."""
    if not ranges:
        # nothing is in it, so it never matches
        return r"(?!)"
    return "[" + "".join(f"{escaped(low)}-{escaped(high)}" for low, high in ranges) + "]"


def escaped(code: int) -> str:
    """Given a code, return its character as Python reads it, whatever that means otherwise."""
    return f"\\x{code:02x}" if code < 0x100 else f"\\U{code:08x}"
