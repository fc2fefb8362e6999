"""Units, users, URLs, named commands and Ansible playbooks of a policy: read strictly, asked narrowly."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.errors import Refused
from remediator.policy import Door, Policy, Refusal
from remediator.policy.addresses import read_address
from remediator.policy.parameters import fill, read_values, text_problem
from remediator.policy.values import Parameter, ParameterType
from remediator.policy_file import load_policy
from remediator.policy_written import KEYS
from selfheal.common.problems import ConfigError
from selfheal.common.processes import Process
from selfheal.common.shipped import shipped
from tests.docs.pages import blocks, table

PAGE = shipped("docs", "reference", "policy.md")

WHOLE = """
process_groups: ["worker-*"]
users: [0, 1001]
units:
  web.service: {verbs: [status, restart]}
  "worker-*.service": {verbs: [restart]}
  sshd.service: {verbs: [status]}
urls:
  "http://127.0.0.1:8080/admin": {methods: [POST]}
  "http://127.0.0.1:8080/": {}
  "http://127.0.0.1:9090/": {methods: [GET, POST]}
  "tcp://db.example:5432": {}
commands:
  web: {start: [/opt/web, start], stop: [/opt/web, stop], status: [/opt/web, status]}
  shrink:
    run: [/opt/shrink, --to, "{size}", --, "{name}", "{how}"]
    parameters:
      size: {type: number, at_least: 1, at_most: 100}
      name: {type: text, pattern: "[a-z]+"}
      how: {type: choice, of: [--soft, --hard], default: --soft}
    stdin: alert
    read_only: true
    timeout: 5s
ansible:
  redeploy: {playbook: /srv/redeploy.yml, inventory: "localhost,", limit: web, timeout: 20m}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return load_policy(write(tmp_path / "policy.yml", WHOLE), monitoring=["http://localhost:9090", "http://:9977"])


def problems(tmp_path: Path, text: str) -> dict[str, str]:
    """Return what is wrong with a policy's text, by the place of each fault."""
    path = write(tmp_path / "policy.yml", text)
    with pytest.raises(ConfigError) as raised:
        load_policy(path)
    return {problem.path: f"{problem.what}; {problem.remedy}" for problem in raised.value.problems}


def process(uid: int = 0) -> Process:
    return Process(4242, 77, uid, 1, "worker", ("worker",), "worker", "S", 0, 0)


def test_every_section_is_read_and_travels_between_processes(policy: Policy) -> None:
    (named,) = policy.named

    assert named.run == ("/opt/shrink", "--to", "{size}", "--", "{name}", "{how}")
    assert (named.timeout, named.stdin, named.read_only) == (5.0, "alert", True)
    assert [parameter.name for parameter in named.parameters] == ["size", "name", "how"]
    assert policy.command("web").name == "web"
    assert policy.ansible_playbook("redeploy").timeout == 1_200.0
    # reading happens in another process
    assert replace(pickle.loads(pickle.dumps(policy)), grouping=policy.grouping) == policy


@pytest.mark.parametrize(
    ("unit", "verb", "why"),
    [
        ("web.service", "restart", None),
        ("web.service", "status", None),
        ("web.service", None, None),
        ("worker-7.service", "restart", None),
        ("web.service", "stop", "'stop' is not permitted for unit 'web.service'; there are restart, status"),
        ("worker-7.service", "status", "'status' is not permitted"),
        ("db.service", "restart", "unit 'db.service' is not permitted; list it under units"),
        ("web", "restart", "'web' is no .service, .timer, .socket, .path"),
        ("worker-*.service", "restart", "is no name of a unit"),
        ("worker-[ab].service", "restart", "is no name of a unit"),
        ("--now.service", "restart", "is no name of a unit"),
        ("web.service\nx.service", "restart", "is no name of a unit"),
        ("worker-\N{CYRILLIC SMALL LETTER A}.service", "restart", "is no name of a unit"),
        ("web.target", "restart", "no other kind of unit is ever touched"),
        ("sshd.service", "status", None),
        ("sshd.service", "restart", "'restart' is not permitted for unit 'sshd.service'"),
    ],
)
def test_a_unit_is_permitted_by_name_and_verb(policy: Policy, unit: str, verb: str | None, why: str | None) -> None:
    if why is None:
        policy.unit(unit, verb)
    else:
        with pytest.raises(Refused) as refused:
            policy.unit(unit, verb)
        assert why in refused.value.detail


@pytest.mark.parametrize("unit", ["ssh.service", "prometheus.service", "systemd-logind.service", "selfheal.service"])
def test_a_pattern_that_reaches_too_far_does_not_reach_what_is_never_touched(tmp_path: Path, unit: str) -> None:
    text = f"units: {{'{unit[0]}*': {{verbs: [restart, status]}}, '{unit[0]}*.service': {{verbs: [restart]}}}}"
    faults = problems(tmp_path, text)
    policy = load_policy(write(tmp_path / "policy.yml", text.partition(", '")[0].replace("*'", "*.service'") + "}"))

    assert "is no unit or pattern of units" in next(iter(faults.values()))
    with pytest.raises(Refused, match="keeps this host reachable or watched"):
        policy.unit(unit, "restart")
    policy.unit(unit, "status")


@pytest.mark.parametrize(
    ("url", "method", "permitted"),
    [
        ("http://127.0.0.1:8080/", "GET", True),
        ("http://127.0.0.1:8080", "GET", True),
        ("http://127.0.0.1:8080/health?full=1", "GET", True),
        ("http://127.0.0.1:8080/", "POST", False),
        ("http://127.0.0.1:8080/admin", "POST", True),
        ("http://127.0.0.1:8080/admin/restart", "POST", True),
        ("http://127.0.0.1:8080/administrator", "POST", False),
        ("http://127.0.0.1:8080/admin", "DELETE", False),
        ("https://127.0.0.1:8080/", "GET", False),
        ("http://127.0.0.1:8081/", "GET", False),
        ("http://127.0.0.1/", "GET", False),
        ("http://127.0.0.2:8080/", "GET", False),
        ("http://localhost:8080/", "GET", False),
        ("tcp://db.example:5432", None, True),
        ("tcp://db.example:5433", None, False),
        ("http://127.0.0.1:9090/api/v1/query?query=up", "GET", True),
        ("http://127.0.0.1:9090/-/reload", "POST", False),
    ],
)
def test_a_url_is_permitted_by_place_path_and_method(
    policy: Policy, url: str, method: str | None, permitted: bool
) -> None:
    if permitted:
        policy.address(url, method)
    else:
        with pytest.raises(Refused, match=r"is not permitted|belongs to the monitoring itself"):
            policy.address(url, method)


@pytest.mark.parametrize(
    ("uids", "permitted"), [({0}, True), ({1001}, True), ({1001, 0}, True), ({1001, 1002}, False), (set(), False)]
)
def test_users_narrow_the_groups_to_processes_that_are_wholly_theirs(
    policy: Policy, uids: set[int], permitted: bool
) -> None:
    refusal = policy.may_signal(process(), "worker-a", uids)

    assert (refusal is None) is permitted


def test_an_empty_list_of_users_leaves_nobody_and_no_list_narrows_nothing(tmp_path: Path) -> None:
    text = "process_groups: [worker-a]\n"
    narrowed = load_policy(write(tmp_path / "policy.yml", text + "users: []\n"))
    free = load_policy(write(tmp_path / "policy.yml", text))

    assert "runs as uid 0" in (narrowed.may_signal(process(), "worker-a") or "")
    assert free.may_signal(process(), "worker-a") is None
    assert "must be a list of users" in problems(tmp_path, text + "users:\n")["users"]


def test_a_user_may_be_named(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path / "policy.yml", "users: [root]"))

    assert policy.users == {0}
    assert "is no user of this machine" in problems(tmp_path, "users: [no-such-user-here]")["users"]


def test_every_refusal_is_heard_with_its_door(policy: Policy) -> None:
    heard: list[Refusal] = []
    listening = replace(policy, heard=heard.append)
    for ask in (
        lambda: listening.root("/nowhere"),
        lambda: listening.command("nothing"),
        lambda: listening.command("web", "kill"),
        lambda: listening.named_command("web"),
        lambda: listening.ansible_playbook("web"),
        lambda: listening.unit("db.service", "stop"),
        lambda: listening.address("http://elsewhere/", "GET"),
        lambda: listening.address("http://a@b/", "GET"),
    ):
        with pytest.raises(Refused):
            ask()

    shell = Door.SHELL
    assert [refusal.door for refusal in heard] == [Door.FILES, *[shell] * 5, Door.HTTP, Door.HTTP]
    assert all(refusal.detail for refusal in heard)


def test_a_policy_that_others_could_write_denies_every_section(tmp_path: Path) -> None:
    path = write(tmp_path / "policy.yml", WHOLE)
    path.chmod(0o666)
    policy = load_policy(path)

    for ask in (
        lambda: policy.named_command("shrink"),
        lambda: policy.ansible_playbook("redeploy"),
        lambda: policy.unit("web.service", "status"),
        lambda: policy.address("http://127.0.0.1:8080/", "GET"),
    ):
        with pytest.raises(Refused, match="can be written by others"):
            ask()


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("process_groups: ['w[ab]']", "process_groups", "only * stands for something else"),
        ("units: {'*.service': {verbs: [restart]}}", "units.*.service", "begins with *"),
        ("units: {web: {verbs: [restart]}}", "units.web", "is no unit or pattern"),
        ("units: {web.service: {verbs: [kill]}}", "units.web.service.verbs", "'kill' is no verb"),
        ("units: {sshd.service: {verbs: [restart]}}", "units", "only its status may be asked"),
        ("urls: {'http://127.1/': {}}", "urls.http://127.1/", "a number in disguise"),
        ("urls: {'http://a/?b': {}}", "urls.http://a/?b", "must end with its path"),
        ("urls: {'http://a/': {methods: [BREW]}}", "urls.http://a/.methods", "'BREW' is no method"),
        ("commands: {a: {run: [ls]}}", "commands.a.run", "write its absolute path"),
        ("commands: {a: {run: [/ls, '{x}']}}", "commands.a", "run uses {x}, which is no parameter"),
        ("commands: {a: {run: [/ls], start: [/x]}}", "commands.a", "give each an entry of its own"),
        ("commands: {a: {start: [/ls], stop: [/x]}}", "commands.a", "write start, stop and status, or run"),
        (
            "commands: {a: {run: [/ls, '--x={x}'], parameters: {x: {type: text}}}}",
            "commands.a",
            "{x} stands inside of an argument; make it an argument of its own",
        ),
        ("commands: {a: {run: [/ls], parameters: {x: {type: text}}}}", "commands.a", "run never uses the parameter x"),
        (
            "commands: {a: {run: [/ls, '{x}'], parameters: {x: {type: word}}}}",
            "commands.a.parameters.x.type",
            "no type",
        ),
        ("commands: {a: {run: [/ls, '{x}'], parameters: {x: {type: choice}}}}", "commands.a.parameters.x", "belong"),
        (
            "commands: {a: {run: [/ls, '{x}'], parameters: {x: {type: text, pattern: '('}}}}",
            "commands.a.parameters.x.pattern",
            "is no regular expression",
        ),
        (
            "commands: {a: {run: [/ls, '{x}'], parameters: {x: {type: text, default: -rf}}}}",
            "commands.a.parameters.x",
            "its own default begins with -",
        ),
        ("ansible: {a: {playbook: a.yml, inventory: 'b,'}}", "ansible.a.playbook", "not a plain absolute path"),
        ("ansible: {a: {playbook: /a.yml, inventory: -x}}", "ansible.a.inventory", "is no inventory"),
        ("programs: {systemctl: systemctl}", "programs.systemctl", "not a plain absolute path"),
    ],
)
def test_what_is_wrong_in_a_section_is_told_with_its_place_and_remedy(
    tmp_path: Path, text: str, at: str, what: str
) -> None:
    found = {place.removesuffix(".[key]"): said for place, said in problems(tmp_path, text).items()}

    assert what in found[at]
    assert not found[at].endswith("; ")


URLS = [
    ("http://user:hush@127.0.0.1:8080/", "^must not hold a user or a password; leave out"),
    ("http://127.0.0.1:8080@evil.example/", "must not hold a user"),
    ("http://2130706433/", "a number in disguise"),
    ("http://0x7f000001/", "a number in disguise"),
    ("http://127.1/", "a number in disguise"),
    ("http://0177.0.0.1/", "a number in disguise"),
    ("http://127.0.0.01/", "a number in disguise"),
    ("http://127.0.0.1./", "is no URL|write a name|number in disguise"),
    ("http://[::ffff:127.0.0.1]/", "hides an IPv4 address; write 127.0.0.1"),
    ("http://[0:0:0:0:0:0:0:1]/", r"write \[::1\]"),
    ("http://[::1%25eth0]/", "is no URL|no IPv6 address|write"),
    ("http://EXAMPLE.com/", "is no URL|small letters"),
    ("HTTP://example.com/", "is no URL"),
    ("http://example.com./", "without a dot at its end"),
    ("http://ex\N{CYRILLIC SMALL LETTER A}mple.com/", "is no URL"),
    ("http://example.com:080/", "has the port '080'"),
    ("http://example.com:/", "has the port ''"),
    ("http://example.com:65536/", "has the port '65536'"),
    ("http://example.com:80:90/", "is no URL|has the port"),
    ("http://example.com/../x", "some servers read otherwise"),
    ("http://example.com/%2e%2e/x", "some servers read otherwise"),
    ("http://example.com/a%2fb", "some servers read otherwise"),
    ("http://example.com/a%5cb", "some servers read otherwise"),
    ("http://example.com/a%252e", "some servers read otherwise"),
    ("http://example.com/..;x/y", "some servers read otherwise"),
    ("http://example.com/a%0d%0ab", "some servers read otherwise"),
    ("http://example.com/a%2", "has a broken %"),
    ("http://example.com//x", "has // in its path"),
    ("http://example.com/a\\b", "is no URL"),
    ("http://example.com/a b", "is no URL"),
    ("http://example.com/a\r\nHost: x", "is no URL"),
    ("http://example.com/#x", "is no URL"),
    ("http:///x", "write a name"),
    ("file:///etc/passwd", "is no URL"),
    ("tcp://example.com", "write tcp://HOST:PORT"),
    ("tcp://example.com:22/x", "write tcp://HOST:PORT"),
    ("http://" + "a" * 3_000, "of at most 2000 plain characters"),
]


@pytest.mark.parametrize(("url", "why"), URLS, ids=[url[:40].encode("unicode_escape").decode() for url, _ in URLS])
def test_a_url_with_two_readings_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_address(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://example.com", "example.com", 80, "/"),
        ("https://a-b.example:8443/x/y?q=1&r=%20", "a-b.example", 8443, "/x/y"),
        ("http://[::1]:9090/", "::1", 9090, "/"),
        ("http://10.0.0.1/a%20b/", "10.0.0.1", 80, "/a%20b/"),
        ("http://web_1:80/", "web_1", 80, "/"),
    ],
)
def test_a_url_in_its_one_spelling_is_read(url: str, host: str, port: int, path: str) -> None:
    address = read_address(url)

    assert (address.host, address.port, address.path) == (host, port, path)
    assert read_address(str(address)) == address


def look_up(kind: ParameterType, value: str) -> str | None:
    return None if value == "known" else f"{kind.value} {value!r} is not listed"


TYPES = [
    (Parameter("x", ParameterType.TEXT), "plain", None),
    (Parameter("x", ParameterType.TEXT), "", "is empty"),
    (Parameter("x", ParameterType.TEXT), "-rf", "begins with -"),
    (Parameter("x", ParameterType.TEXT), "--", "begins with -"),
    (Parameter("x", ParameterType.TEXT), "a\nb", "cannot be seen"),
    (Parameter("x", ParameterType.TEXT), "a\u202eb", "cannot be seen"),
    (Parameter("x", ParameterType.TEXT), "a\ud800b", "cannot be seen"),
    (Parameter("x", ParameterType.TEXT), "a" * 256, None),
    (Parameter("x", ParameterType.TEXT), "a" * 257, "is longer than 256 bytes"),
    (Parameter("x", ParameterType.TEXT), 5, "must be text"),
    (Parameter("x", ParameterType.TEXT, pattern="[a-z]+"), "abc", None),
    (Parameter("x", ParameterType.TEXT, pattern="[a-z]+"), "abc\n", "does not match|cannot be seen"),
    (Parameter("x", ParameterType.TEXT, pattern="[a-z]+"), "abc1", "does not match"),
    (Parameter("x", ParameterType.NUMBER), 5, None),
    (Parameter("x", ParameterType.NUMBER), "5.5", None),
    (Parameter("x", ParameterType.NUMBER), "-1", "is no number"),
    (Parameter("x", ParameterType.NUMBER), "1e9", "is no number"),
    (Parameter("x", ParameterType.NUMBER), "\N{ARABIC-INDIC DIGIT FIVE}", "is no number"),
    (Parameter("x", ParameterType.NUMBER), float("nan"), "is no number"),
    (Parameter("x", ParameterType.NUMBER), True, "is no text and no number"),
    (Parameter("x", ParameterType.NUMBER, at_least=2, at_most=3), "1.9", "must be from 2 to 3"),
    (Parameter("x", ParameterType.NUMBER, at_least=2, at_most=3), "2", None),
    (Parameter("x", ParameterType.NUMBER, at_least=2, at_most=3), "3", None),
    (Parameter("x", ParameterType.NUMBER, at_least=2, at_most=3), "3.1", "must be from 2 to 3"),
    (Parameter("x", ParameterType.CHOICE, of=("--soft", "b")), "--soft", None),
    (Parameter("x", ParameterType.CHOICE, of=("a", "b")), "\N{CYRILLIC SMALL LETTER A}", "must be one of a, b"),
    (Parameter("x", ParameterType.CHOICE, of=("a", "b")), ["a"], "is no text and no number"),
    (Parameter("x", ParameterType.GROUP), "known", None),
    (Parameter("x", ParameterType.GROUP), "other", "is refused: group 'other' is not listed"),
    (Parameter("x", ParameterType.ROOT), "/etc", "is refused: root '/etc' is not listed"),
]


@pytest.mark.parametrize(("parameter", "value", "why"), TYPES)
def test_a_parameter_is_checked_by_its_type(parameter: Parameter, value: object, why: str | None) -> None:
    if why is None:
        assert read_values([parameter], {"x": value}, look_up) == {"x": str(value)}
    else:
        with pytest.raises(ValueError, match=why):
            read_values([parameter], {"x": value}, look_up)


def test_an_unknown_or_missing_parameter_is_refused_and_a_default_stands_in() -> None:
    wanted = [Parameter("x", ParameterType.TEXT), Parameter("y", ParameterType.NUMBER, default="7")]

    assert read_values(wanted, {"x": "a"}, look_up) == {"x": "a", "y": "7"}
    with pytest.raises(ValueError, match="parameter 'x' is missing"):
        read_values(wanted, {}, look_up)
    with pytest.raises(ValueError, match="there is no parameter 'z'"):
        read_values(wanted, {"x": "a", "z": "b"}, look_up)


@given(st.text(max_size=300))
def test_whatever_a_label_holds_it_is_one_element_that_is_no_option_or_it_is_refused(text: str) -> None:
    if text_problem(text) is not None:
        return
    argv = fill(["/opt/x", "{a}", "--", "{b}", "x{a}"], {"a": text, "b": "{a}"})

    assert argv == ("/opt/x", text, "--", "{a}", "x{a}")
    assert not text.startswith("-")
    assert text.isprintable() or " " in text or any(ord(sign) > 127 for sign in text)


def test_the_reference_has_a_row_for_every_key_and_its_example_is_loaded(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    rows = {row[0].strip("`") for row in table(text.split("## Keys")[1].split("\n## ")[0])}
    (example, *_) = blocks(text, "yaml")

    policy = load_policy(write(tmp_path / "policy.yml", example))

    assert rows == set(KEYS)
    for section in (policy.process_groups, policy.roots, policy.commands, policy.named, policy.ansible):
        assert section
    assert policy.units
    assert policy.urls
    assert policy.users is not None
    assert policy.problem is None
