"""Files of which, while the kernel runs, only the numbers change: where each number stands is found once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter, mul
from typing import NamedTuple

_NUMBERS = b"0123456789 \t"


class Place(NamedTuple):
    """Which of the file's words, counted from 0, is the number, and by what it is multiplied."""

    word: int
    factor: int


class Layout:
    """Reads the numbers of such a file; as soon as anything but numbers has changed, it looks for them anew."""

    def __init__(self, find: Callable[[bytes], Mapping[str, Place]]) -> None:
        """`find` returns the places by name, and raises ValueError if the file is broken."""
        self._find = find
        self._shape: tuple[int, bytes] | None = None
        self._pick: Callable[[list[bytes]], tuple[bytes, ...]] = tuple
        self._factors: tuple[int, ...] = ()
        self.names: tuple[str, ...] = ()
        """The names of the numbers last read; another object whenever they may have changed."""

    def read(self, data: bytes) -> list[int]:
        """Given the bytes, return the numbers in the order of `names`. Raise ValueError if the file is broken."""
        words = data.split()
        shape = (len(words), data.translate(None, _NUMBERS))
        if shape != self._shape:
            self._learn(data, shape)
        return list(map(mul, map(int, self._pick(words)), self._factors))

    def _learn(self, data: bytes, shape: tuple[int, bytes]) -> None:
        self._shape = None
        places = self._find(data)
        self.names = tuple(sorted(places))
        positions = [places[name].word for name in self.names]
        self._factors = tuple(places[name].factor for name in self.names)
        self._pick = _picker(positions)
        self._shape = shape


def _picker(positions: list[int]) -> Callable[[list[bytes]], tuple[bytes, ...]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    # itemgetter of one position returns the word itself, and of none is refused
    return lambda words: tuple(words[position] for position in positions)
