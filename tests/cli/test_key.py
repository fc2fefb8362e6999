"""`selfheal key`: a key is shown once and stored as its hash; without a daemon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selfheal.common.keys import ApiKey, Role, digest_of, find_key, read_keys
from tests.cli.conftest import Told

Say = Callable[..., Told]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "remediator.yml"
    path.write_text("hosts: {a: {instances: [a]}}\napi: {keys_file: api.keys}\nnonsense: 1\n")
    return path


def test_a_new_key_is_shown_alone_on_its_line_and_stored_as_a_hash(say: Say, config: Path) -> None:
    told = say("key", "new", "kim", "--role", "approver", "--config.file", str(config))
    key = told.out.splitlines()[0]

    assert told.code == 0
    assert find_key(key, read_keys(config.parent / "api.keys")) == ApiKey("kim", Role.APPROVER, digest_of(key))
    assert key not in (config.parent / "api.keys").read_text()
    assert "kim is approver" in told.out


def test_keys_are_listed_without_anything_that_opens(say: Say, config: Path) -> None:
    say("key", "new", "kim", "--config.file", str(config))
    say("key", "new", "ci", "--role", "operator", "--config.file", str(config))
    listed = say("key", "list", "--config.file", str(config))
    as_json = say("key", "list", "--json", "--config.file", str(config)).json()

    assert listed.out.split() == ["kim", "viewer", "ci", "operator"]
    assert as_json["keys"] == [{"name": "kim", "role": "viewer"}, {"name": "ci", "role": "operator"}]


def test_a_key_in_json_is_taken_by_a_program(say: Say, tmp_path: Path) -> None:
    made = say("key", "new", "ci", "--json", "--keys-file", str(tmp_path / "keys")).json()

    assert find_key(made["key"], read_keys(tmp_path / "keys")) is not None


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["new"], 2, "say for whom: selfheal key new NAME"),
        (["list", "kim"], 2, "list takes no name: selfheal key list"),
        (["new", "k/m"], 1, "'k/m' cannot name a key; use letters, digits and . _ @ -, at most 63"),
    ],
    ids=["no name", "a name too many", "a wrong name"],
)
def test_what_cannot_be_done_is_told_with_the_remedy(
    say: Say, config: Path, words: list[str], code: int, told: str
) -> None:
    found = say("key", *words, "--config.file", str(config))

    assert (found.code, found.err) == (code, f"selfheal: {told}\n")
    assert not (config.parent / "api.keys").exists()


def test_a_configuration_without_a_file_of_keys_says_what_to_add(say: Say, config: Path) -> None:
    config.write_text("hosts: {a: {instances: [a]}}\n")

    assert say("key", "list", "--config.file", str(config)).err == (
        "selfheal: the configuration names no file of keys; add api: {keys_file: api.keys} or give --keys-file\n"
    )


def test_a_file_that_others_can_read_is_not_added_to(say: Say, config: Path) -> None:
    keys = config.parent / "api.keys"
    say("key", "new", "kim", "--config.file", str(config))
    keys.chmod(0o644)
    before = keys.read_text()
    told = say("key", "new", "lee", "--config.file", str(config))

    assert told.code == 1
    assert "run chmod 600" in told.err
    assert keys.read_text() == before
