"""Text for operators, by key, in English and Korean. Code carries keys; the words are in `en.yml` and `ko.yml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

LANGUAGES = ("en", "ko")


class Catalog:
    """The texts of one language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def say(self, key: str, **fields: object) -> str:
        """Given a key such as `reason.cooldown` and its placeholders, return the text. Raise KeyError if unknown."""
        return self._texts[key].format(**fields)

    def keys(self) -> frozenset[str]:
        """Return every key of this language."""
        return frozenset(self._texts)


@cache
def catalog(language: str) -> Catalog:
    """Given `en` or `ko`, return its texts. Raise ValueError for another language, naming the two."""
    if language not in LANGUAGES:
        raise ValueError(f"no texts for language {language!r}; there are: {', '.join(LANGUAGES)}")
    file = Path(__file__).with_name(f"{language}.yml")
    return Catalog(language, dict(_flatten(yaml.safe_load(file.read_text("utf-8")))))


def pick_language(wanted: str | None, environment: Mapping[str, str]) -> str:
    """Given `--lang` (or None) and the environment, return the language: the option, else the locale, else English."""
    if wanted:
        return wanted
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name, "")
        if value:
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"


def _flatten(tree: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", str(value)))
    return found
