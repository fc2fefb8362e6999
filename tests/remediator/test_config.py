"""The configuration file: what is read, what is refused with which words, and that the reference names every key."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remediator.config import SHIPPED_PLAYBOOKS, describe, listens_locally, parse_listen_address, shipped_files
from remediator.config.reading import load
from remediator.config.written import KEYS
from remediator.model import Limits, Mode, Rate
from selfheal.common.documents import parse_yaml
from selfheal.common.problems import ConfigError

unhurried = settings(deadline=None)  # a busy machine is no fault; the whole test has its time-out

BAD = sorted((Path(__file__).parent / "bad_config").glob("*.yml"))
TOP = Path(__file__).parents[2]
HOSTS = 'hosts: {web-1: {instances: ["web-1:9976", "127.0.0.1:9976"]}}\n'
TOKEN = "0123456789abcdef0123456789abcdef"


def write(folder: Path, text: str, name: str = "remediator.yml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def secret(folder: Path, name: str, text: str, mode: int = 0o600) -> Path:
    path = write(folder, text, name)
    path.chmod(mode)
    return path


def problems(path: Path, listen_address: str = "127.0.0.1:9977") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, listen_address)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("source", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_every_error_and_its_remedy(source: Path, tmp_path: Path) -> None:
    expected = [line.removeprefix("#= ") for line in source.read_text("utf-8").splitlines() if line.startswith("#= ")]
    path = tmp_path / source.name
    shutil.copyfile(source, path)
    path.chmod(0o644)

    found = problems(path)

    assert expected
    assert [line.removeprefix(f"{path}: ").replace(str(tmp_path), "FOLDER") for line in found] == expected
    assert all(line.startswith(f"{path}: ") for line in found)


def test_hosts_alone_are_a_configuration_and_the_rest_has_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, HOSTS))

    assert config.state == Path("/var/lib/selfheal")
    assert config.prometheus.url == "http://127.0.0.1:9090"
    assert [endpoint.url for endpoint in config.alertmanagers] == ["http://127.0.0.1:9093"]
    assert config.scrape_interval == 15.0
    assert config.ignore_labels == ("replica", "prometheus_replica")
    assert config.receiver == "selfheal"
    assert config.highest_mode is Mode.OBSERVE
    assert config.hook_tokens == config.api_tokens == ()
    assert config.limits == Limits()
    assert config.host_rates == (Rate(10, 3600.0),)
    assert (config.reconcile, config.retention) == (30.0, 90 * 86_400.0)
    assert config.policy is config.process_config is None
    assert config.playbooks == shipped_files(SHIPPED_PLAYBOOKS)
    assert {path.name for path in config.rules} >= {"process.yml", "target.yml"}
    assert not any("example" in path.name for path in config.rules)


def test_a_host_is_found_by_each_of_its_instances(tmp_path: Path) -> None:
    config = load(write(tmp_path, HOSTS))

    assert config.hosts == {"web-1": ("web-1:9976", "127.0.0.1:9976")}
    assert config.hosts_of("127.0.0.1:9976") == ("web-1",)
    assert config.hosts_of("web-2:9976") == ()


def test_paths_are_relative_to_the_file_and_patterns_name_sorted_files_without_repeats(tmp_path: Path) -> None:
    (tmp_path / "mine[1]").mkdir()
    for name in ("b.yml", "a.yml"):
        write(tmp_path / "mine[1]", "", name)
    text = HOSTS + 'state: s\npolicy: p.yml\nplaybooks: ["*.yml", a.yml, shipped]\nprotected: [data, /srv/data]\n'

    config = load(write(tmp_path / "mine[1]", text, "z.yaml"))

    folder = tmp_path / "mine[1]"
    assert config.state == folder / "s"
    assert config.policy == folder / "p.yml"
    assert config.playbooks[:2] == (folder / "a.yml", folder / "b.yml")
    assert config.playbooks[2:] == shipped_files(("remediator", "playbooks", "shipped"))
    assert config.protected == (
        folder / "data",
        Path("/srv/data"),
        folder / "s",
        folder / "z.yaml",
        folder / "p.yml",
    )


def test_a_path_that_climbs_and_one_that_is_absolute_are_both_found(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    rules = write(tmp_path, "groups: []\n", "r.yml")

    config = load(write(tmp_path / "conf", HOSTS + f"rules: [../*.yml, {rules}]\n"))

    assert [path.resolve() for path in config.rules] == [rules, rules]


def test_a_written_rate_stands_for_the_host_and_for_playbooks_that_name_none(tmp_path: Path) -> None:
    config = load(write(tmp_path, HOSTS + "limits: {cooldown: 0s, rate: [1000/1h, 5/1m]}\n"))

    assert config.limits == Limits(cooldown=0.0, rate=(Rate(1000, 3600.0), Rate(5, 60.0)))
    assert config.host_rates == (Rate(1000, 3600.0), Rate(5, 60.0))


def test_two_tokens_are_valid_while_one_is_rotated_out(tmp_path: Path) -> None:
    secret(tmp_path, "hook.token", f"{TOKEN}\nold-{TOKEN}\n")

    config = load(write(tmp_path, HOSTS + "hook: {token_file: hook.token}\n"))

    assert [token.reveal() for token in config.hook_tokens] == [TOKEN, f"old-{TOKEN}"]


def test_credentials_come_from_private_files(tmp_path: Path) -> None:
    secret(tmp_path, "password", "pass word\n")
    secret(tmp_path, "credentials", "abc\n")
    text = HOSTS + (
        "prometheus: {basic_auth: {username: me, password_file: password}, headers: {X-Scope-OrgID: one}}\n"
        "alertmanagers: [{url: 'https://am.example/base/', authorization: {credentials_file: credentials}}]\n"
    )

    config = load(write(tmp_path, text))

    assert config.prometheus.username == "me"
    assert config.prometheus.password is not None
    assert config.prometheus.password.reveal() == "pass word"
    assert config.prometheus.headers == {"X-Scope-OrgID": "one"}
    assert config.alertmanagers[0].url == "https://am.example/base"
    assert config.alertmanagers[0].authorization is not None
    assert config.alertmanagers[0].authorization.reveal() == "Bearer abc"


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        ("abc\n", 0o644, "FOLDER/s can be read or written by others (mode 0644); run chmod 600 FOLDER/s"),
        ("\n", 0o600, "FOLDER/s must hold one line; write the secret into it"),
        ("one\ntwo\n", 0o600, "FOLDER/s must hold one line; write the secret into it"),
    ],
    ids=["others may read it", "empty", "two lines"],
)
def test_a_secret_that_is_not_private_or_not_one_line_is_refused(
    content: str, mode: int, expected: str, tmp_path: Path
) -> None:
    secret(tmp_path, "s", content, mode)
    path = write(tmp_path, HOSTS + "prometheus: {authorization: {credentials_file: s}}\n")

    found = problems(path)

    wanted = f"{path}: prometheus.authorization.credentials_file: " + expected.replace("FOLDER", str(tmp_path))
    assert found == [wanted]


@pytest.mark.parametrize("address", ["127.0.0.1:9977", "127.8.9.1:1", "[::1]:9977", "localhost:0"])
def test_on_loopback_no_credential_is_needed(address: str, tmp_path: Path) -> None:
    config = load(write(tmp_path, HOSTS), address)

    assert config.listen_address == address


@pytest.mark.parametrize("address", [":9977", "0.0.0.0:9977", "[::]:9977", "10.0.0.1:9977", "host.example:9977"])
def test_an_address_others_can_reach_needs_both_credentials(address: str, tmp_path: Path) -> None:
    path = write(tmp_path, HOSTS)

    found = problems(path, address)

    assert found == [
        f"{path}: {at}: {address} can be reached from elsewhere and {at} has no credential; "
        f"add {at}: {{token_file: {at}.token}} or listen on 127.0.0.1"
        for at in ("hook", "api")
    ]


def test_with_both_credentials_any_address_will_do(tmp_path: Path) -> None:
    secret(tmp_path, "hook.token", TOKEN)
    secret(tmp_path, "api.token", f"other-{TOKEN}")
    path = write(tmp_path, HOSTS + "hook: {token_file: hook.token}\napi: {token_file: api.token}\n")

    config = load(path, "0.0.0.0:9977")

    assert config.listen_address == "0.0.0.0:9977"


@pytest.mark.parametrize("text", ["9977", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:65536", ""])
def test_what_is_no_address_to_listen_on_is_refused(text: str, tmp_path: Path) -> None:
    found = problems(write(tmp_path, HOSTS), text)

    assert found == [f"--web.listen-address: {text!r} is no address to listen on; write for example 127.0.0.1:9977"]


def test_an_address_is_read_into_host_and_port() -> None:
    assert parse_listen_address("[::1]:9977") == ("::1", 9977)
    assert parse_listen_address(":80") == ("0.0.0.0", 80)
    assert listens_locally("::1")
    assert not listens_locally("127.0.0.1.example")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "none.yml"

    assert problems(path) == [
        f"{path}: cannot be read (No such file or directory); name a file that this user can read"
    ]


def test_a_folder_in_place_of_the_file_says_so(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}: cannot be read (Is a directory); name a file that this user can read"]


def test_a_huge_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.yml"
    with path.open("wb") as file:
        file.truncate(10 << 30)

    assert problems(path) == [f"{path}: is larger than 262144 bytes; split it or shorten it"]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yml"
    path.write_bytes(b"state: \xe9t\xe9\n")

    assert problems(path) == [f"{path}: is not UTF-8 text (byte 7); save it as UTF-8"]


@pytest.mark.parametrize("text", ["[" * 20_000, "- " * 20_000 + "x", "{a: " * 5_000], ids=["list", "dashes", "mapping"])
def test_bottomless_nesting_is_refused(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)

    assert problems(path) == [f"{path}: is nested too deeply; at most 50 levels"]


def test_control_characters_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HOSTS + 'state: "a\x00b"\n')

    assert len(problems(path)) == 1


def test_korean_text_is_text(tmp_path: Path) -> None:
    config = load(write(tmp_path, HOSTS + "state: 상태\nreceiver: 자가치유\n"))

    assert config.state == tmp_path / "상태"
    assert config.receiver == "자가치유"


def test_aliases_within_bounds_are_fine() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x\n", "f") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", "yes"), ("010", "010"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("1_000", "1_000"), ("12", 12)],
)
def test_only_plain_forms_are_more_than_text(text: str, value: object) -> None:
    assert parse_yaml(f"a: {text}", "f") == {"a": value}


def test_what_is_in_force_can_be_shown_without_secrets(tmp_path: Path) -> None:
    secret(tmp_path, "hook.token", TOKEN)
    secret(tmp_path, "password", "hunter2hunter2")
    text = HOSTS + "hook: {token_file: hook.token}\n"
    text += "prometheus: {basic_auth: {username: me, password_file: password}}\n"

    config = load(write(tmp_path, text))

    shown = yaml.safe_dump(describe(config)) + repr(config)
    assert TOKEN not in shown
    assert "hunter2" not in shown
    assert set(describe(config)) == {key for key in KEYS if "." not in key}


PARTS = sorted({part for key in KEYS for part in re.split(r"[.\[\]]+", key) if part} | {"x"})
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.just("../*")
values = st.deferred(
    lambda: leaves | st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(PARTS), values, max_size=4)
)


@unhurried
@given(st.dictionaries(st.sampled_from(PARTS), values, max_size=10))
@example({"playbooks": ["", "/", "a\0b", "**", "//x", "~"], "state": "\0", "hook": {"token_file": "\0"}})
@example({"playbooks": ["[", "a/**b", "***"], "prometheus": {"url": "http://[::1"}})
def test_any_values_are_a_configuration_or_are_refused_in_words(document: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), json.dumps({"hosts": {"a": {"instances": ["b"]}}} | document, ensure_ascii=False))
        try:
            load(path)
        except ConfigError as error:
            assert all(problem.what for problem in error.problems)


def reference_rows(name: str) -> dict[str, str]:
    text = (TOP / "docs" / "reference" / name).read_text("utf-8")
    section = text.partition("## Keys")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", section, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_the_reference_has_a_row_for_every_key_and_for_nothing_else() -> None:
    assert set(reference_rows("config.md")) == set(KEYS)


def test_the_reference_tells_the_defaults_that_are_in_force(tmp_path: Path) -> None:
    shown = describe(load(write(tmp_path, HOSTS)))
    rows = reference_rows("config.md")

    assert rows["state"] == f"`{shown['state']}`"
    assert rows["receiver"] == f"`{shown['receiver']}`"
    assert rows["reconcile"] == f"`{shown['reconcile']}`"
    assert rows["retention"] == f"`{shown['retention']}`"
    assert rows["highest_mode"] == f"`{shown['highest_mode']}`"
    assert rows["prometheus.url"] == f"`{shown['prometheus']['url']}`"
    assert rows["prometheus.scrape_interval"] == f"`{shown['prometheus']['scrape_interval']}`"
    assert rows["limits.cooldown"] == f"`{shown['limits']['cooldown']}`"
    assert rows["limits.rate"].startswith(f"`[{shown['limits']['rate'][0]}]`")


def test_signatures_keys_and_origins_are_read(tmp_path: Path) -> None:
    secret(tmp_path, "grafana.secret", TOKEN + "\n")
    secret(tmp_path, "api.keys", f"kim admin sha256:{'0' * 64}\n")
    found = load(
        write(
            tmp_path,
            HOSTS + "hook: {hmac: {secret_file: grafana.secret, timestamp_header: X-Time, tolerance: 1m}}\n"
            'api: {keys_file: api.keys, cors: ["https://Grafana.example:3000"]}\n',
        )
    )

    assert found.hook_hmac is not None
    assert (found.hook_hmac.secret.reveal(), found.hook_hmac.timestamp_header) == (TOKEN, "X-Time")
    assert (found.hook_hmac.header, found.hook_hmac.tolerance) == ("X-Grafana-Alerting-Signature", 60.0)
    assert (found.api_keys, found.cors) == (tmp_path / "api.keys", ("https://grafana.example:3000",))
    assert TOKEN not in json.dumps(describe(found))


def test_a_signature_and_keys_suffice_on_an_address_that_others_can_reach(tmp_path: Path) -> None:
    asked = "hook: {hmac: {secret_file: grafana.secret}}\napi: {keys_file: api.keys}\n"
    secret(tmp_path, "grafana.secret", TOKEN)
    secret(tmp_path, "api.keys", f"kim admin sha256:{'0' * 64}\n")

    assert load(write(tmp_path, HOSTS + asked), "0.0.0.0:9977").api_keys is not None


def test_a_short_secret_of_signatures_is_refused(tmp_path: Path) -> None:
    secret(tmp_path, "grafana.secret", "short")
    path = write(tmp_path, HOSTS + "hook: {hmac: {secret_file: grafana.secret}}\n")

    assert problems(path) == [
        f"{path}: hook.hmac.secret_file: holds a secret shorter than 16 characters; "
        "make one with: (umask 077; openssl rand -hex 32 > FILE)"
    ]
