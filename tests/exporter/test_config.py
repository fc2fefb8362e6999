"""Flags: what they mean together, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.addresses import format_address, parse_address
from exporter.collectors import COLLECTORS
from exporter.config import Web, read_all, read_config
from exporter.paths import Paths


def test_without_flags_the_defaults_are_collected_on_loopback() -> None:
    config = read_config([])

    assert config.web == Web((("127.0.0.1", 9976),), False, None, False, "/metrics", 40, 40, True)
    assert config.paths == Paths(Path("/proc"), Path("/sys"), Path("/"))
    assert config.collectors == tuple(name for name, collector in COLLECTORS.items() if collector.enabled)
    assert (config.once, config.check) == (False, False)
    assert (config.log_level, config.log_format) == ("info", "logfmt")


DEFAULTS = {name for name, collector in COLLECTORS.items() if collector.enabled}


@pytest.mark.parametrize(
    ("flags", "collectors"),
    [
        (["--no-collector.cpu"], DEFAULTS - {"cpu"}),
        (["--collector.disable-defaults", "--collector.cpu", "--collector.process"], {"cpu", "process"}),
        (["--collector.disable-defaults"], set()),
    ],
)
def test_collectors_are_switched_as_in_node_exporter(flags: list[str], collectors: set[str]) -> None:
    assert set(read_config(flags).collectors) == collectors


@pytest.mark.parametrize(("text", "on"), [("false", False), ("0", False), ("TRUE", True), ("", True)])
def test_a_variable_switches_a_collector(monkeypatch: pytest.MonkeyPatch, text: str, on: bool) -> None:
    monkeypatch.setenv("SELFHEAL_COLLECTOR_CPU", text)

    assert ("cpu" in read_config([]).collectors) is on


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_WEB_LISTEN_ADDRESS", "127.0.0.1:1111")
    monkeypatch.setenv("SELFHEAL_PATH_PROCFS", "/host/proc")

    assert read_config([]).web.addresses == (("127.0.0.1", 1111),)
    assert read_config([]).paths.procfs == Path("/host/proc")
    assert read_config(["--web.listen-address=[::1]:2222"]).web.addresses == (("::1", 2222),)


@pytest.mark.parametrize(
    ("flags", "variables", "reason"),
    [
        (["--web.listen-address=9976"], {}, "write HOST:PORT with a port from 0 to 65535"),
        (["--web.listen-address=127.0.0.1:65536"], {}, "write HOST:PORT"),
        (["--web.listen-address=::1:9976"], {}, "write an IPv6 address in brackets: [::1]:9976"),
        (["--web.listen-address=:9976"], {}, "or add --web.allow-anyone if that is meant"),
        (["--web.listen-address=[::]:9976"], {}, "[::]:9976 can be reached by others"),
        (["--web.telemetry-path=metrics"], {}, "a page's path begins with /"),
        (["--web.max-connections=0"], {}, "at least 1 is needed"),
        (["--web.max-requests=-1"], {}, "it cannot be negative"),
        (["--web.listen-address=127.0.0.1:1", "--web.listen-address=192.0.2.1:1"], {}, "192.0.2.1:1 can be reached"),
        (["--log.level=loud"], {}, "invalid choice: 'loud'"),
        (["--collector.filesystem.mount-points-exclude=("], {}, "refuses it: missing ): ("),
        (["--collector.netdev.device-exclude=^(?!lo)"], {}, "refuses it: invalid perl operator: (?!"),
        (["--collector.directory.deadline=2"], {}, "is not a duration; write for example 30s"),
        (["--web.listen"], {}, "unrecognized arguments: --web.listen"),
        ([], {"SELFHEAL_LOG_LEVEL": "loud"}, "from $SELFHEAL_LOG_LEVEL: 'loud' is none of debug, info, warn, error"),
        ([], {"SELFHEAL_COLLECTOR_CPU": "maybe"}, "from $SELFHEAL_COLLECTOR_CPU: 'maybe' is neither on"),
        ([], {"SELFHEAL_WEB_MAX_CONNECTIONS": "x"}, "invalid literal"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_remedy(
    flags: list[str],
    variables: dict[str, str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as caught:
        read_config(flags)

    assert caught.value.code == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_everybody_may_be_let_in_when_it_is_meant() -> None:
    web = read_config(["--web.listen-address=:9976", "--web.allow-anyone"]).web

    assert (web.addresses, web.reachable) == ((("::", 9976),), (("::", 9976),))


@pytest.mark.parametrize("flags", [["--web.config.file=web.yml"], ["--once"], ["--web.systemd-socket"]])
def test_who_may_come_is_judged_elsewhere_or_nobody_comes(flags: list[str]) -> None:
    assert read_config(["--web.listen-address=:9976", *flags]).web.allows_anyone is False


def test_node_exporters_web_flags_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_WEB_LISTEN_ADDRESS", "127.0.0.1:1,[::1]:2")
    flags = "--web.max-requests=0 --web.disable-exporter-metrics --runtime.gomaxprocs=4 --web.config.file="
    web = read_config(flags.split()).web

    assert web.addresses == (("127.0.0.1", 1), ("::1", 2))
    assert (web.most_scrapes, web.shows_itself, web.file) == (0, False, None)
    two = [
        "--web.listen-address=127.0.0.1:3",
        "--web.listen-address",
        "127.0.0.1:4",
        "--web.listen-address=127.0.0.1:3",
    ]
    assert read_config(two).web.addresses == (("127.0.0.1", 3), ("127.0.0.1", 4))


def test_everything_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SELFHEAL_LOG_LEVEL", "loud")
    flags = [
        "--web.max-connections",
        "none",
        "--web.max-requests=x",
        "--web.listen-address=:1",
        "--log.format",
        "--what",
    ]

    with pytest.raises(SystemExit) as caught:
        read_config(flags)

    assert caught.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert [error.partition("error: ")[2].partition(";")[0] for error in errors] == [
        "argument --web.max-connections: 'none': invalid literal for int() with base 10: 'none'",
        "argument --web.max-requests: 'x': invalid literal for int() with base 10: 'x'",
        "argument --log.format: expected one argument",
        "argument --log.level: from $SELFHEAL_LOG_LEVEL: 'loud' is none of debug, info, warn, error",
        "unrecognized arguments: --what",
        "--web.listen-address [::]:1 can be reached by others and nobody is asked for a password",
    ]


def test_what_is_wrong_counts_as_not_given() -> None:
    config, problems = read_all(["--web.max-requests=x", "--log.level=warn"])

    assert config is not None
    assert (config.web.most_scrapes, config.log_level, len(problems)) == (40, "warn", 1)


@pytest.mark.parametrize("text", ["127.0.0.1:9976", "[::1]:0", "localhost:80"])
def test_an_address_is_printed_as_it_is_written(text: str) -> None:
    assert format_address(parse_address(text)) == text


def test_every_flag_stands_in_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/exporter.md").read_text()
    with pytest.raises(SystemExit):
        read_config(["--help"])

    words = re.split(r"[\s,)]+", capsys.readouterr().out)
    flags = {word for word in words if word.startswith("--") and "." in word and not word.startswith("--no-")}
    assert len(flags) > 15
    assert [flag for flag in sorted(flags) if f"`{flag}" not in page and not flag.startswith("--collector.")] == []
    assert [flag for flag in sorted(flags) if flag.count(".") > 1 and f"`{flag}" not in page] == []
    assert [name for name in COLLECTORS if f"| `{name}` |" not in page] == []
