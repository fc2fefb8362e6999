"""Where a command looks: the configuration file, the state folder, and the address and token of the remediator there.

The configuration is read leniently here: a mistake in it must not keep anybody from pausing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from remediator import address
from remediator.locale import Catalog
from selfheal.cli.answers import NOTHING_TO_ASK, Failed
from selfheal.common.secrets import Secret, read_tokens

DEFAULT_STATE = Path(".selfheal")
"""Where `selfheal up` keeps everything unless told otherwise."""
SYSTEM_CONFIG = Path("/etc/selfheal/remediator.yml")
STORE = "selfheal.db"


@dataclass(frozen=True, slots=True)
class Place:
    """One remediator: its configuration (None when only the state folder is known) and its state folder."""

    config: Path | None
    state: Path
    token: Secret | None = None
    token_problem: str = ""
    highest_mode: str = ""

    @property
    def url(self) -> str | None:
        """Where it answered last, or None when it did not say or has stopped."""
        return address.read(self.state)


def find(config_file: str | None, state: str | None, texts: Catalog) -> Place:
    """Given `--config.file` and `--state` as written, return the place they mean. Raise Failed, saying what to give."""
    if config_file:
        path = Path(config_file)
        if not path.is_file():
            raise Failed(texts.say("cli.no_config", path=path), NOTHING_TO_ASK)
        return _with_config(path.absolute(), Path(state).absolute() if state else None, texts)
    places = _candidates(Path(state) if state else None, texts)
    if not places:
        looked = state or f"{DEFAULT_STATE}, {SYSTEM_CONFIG}"
        raise Failed(texts.say("cli.nothing_here", looked=looked), NOTHING_TO_ASK)
    # of several, the one that says where it answers is the one that runs
    return next((place for place in places if place.url is not None), places[0])


def _candidates(state: Path | None, texts: Catalog) -> list[Place]:
    base = (state or DEFAULT_STATE).absolute()
    configs = [base / "config" / "remediator.yml", base / "remediator.yml", base / "demo" / "config" / "remediator.yml"]
    if state is None:
        configs.append(SYSTEM_CONFIG)
    found = [_with_config(path, None, texts) for path in configs if path.is_file()]
    folders = [place.state for place in found]
    bare = [folder for folder in (base, base / "remediator") if (folder / STORE).exists() and folder not in folders]
    return found + [Place(None, folder) for folder in bare]


def _with_config(path: Path, state: Path | None, texts: Catalog) -> Place:
    try:
        document: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        if state is not None:
            return Place(path, state)
        raise Failed(texts.say("cli.bad_config", path=path, error=error.__class__.__name__), NOTHING_TO_ASK) from error
    settings = document if isinstance(document, dict) else {}
    written = settings.get("state", "/var/lib/selfheal")
    mode = settings.get("highest_mode", "observe")
    token, problem = _token(path, settings.get("api"))
    return Place(
        config=path,
        state=state or (path.parent / str(written)).resolve(),
        token=token,
        token_problem=problem,
        highest_mode=mode if isinstance(mode, str) else "",
    )


def _token(config: Path, api: Any) -> tuple[Secret | None, str]:
    if not isinstance(api, dict) or not isinstance(api.get("token_file"), str):
        return None, ""
    try:
        return read_tokens(config.parent / api["token_file"])[0], ""
    except ValueError as error:
        return None, str(error)
