"""Flags: what they mean together, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.collectors import COLLECTORS
from exporter.config import format_address, parse_address, read_config
from exporter.paths import Paths


def test_without_flags_everything_is_collected_on_loopback() -> None:
    config = read_config([])

    assert config.address == ("127.0.0.1", 9976)
    assert config.metrics_path == "/metrics"
    assert config.paths == Paths(Path("/proc"), Path("/sys"), Path("/"))
    assert config.collectors == tuple(COLLECTORS)
    assert (config.log_level, config.log_format) == ("info", "logfmt")


@pytest.mark.parametrize(
    ("flags", "collectors"),
    [
        (["--no-collector.cpu"], set(COLLECTORS) - {"cpu"}),
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

    assert read_config([]).address == ("127.0.0.1", 1111)
    assert read_config([]).paths.procfs == Path("/host/proc")
    assert read_config(["--web.listen-address=[::1]:2222"]).address == ("::1", 2222)


@pytest.mark.parametrize(
    ("flags", "variables", "reason"),
    [
        (["--web.listen-address=9976"], {}, "write HOST:PORT with a port from 0 to 65535"),
        (["--web.listen-address=127.0.0.1:65536"], {}, "write HOST:PORT"),
        (["--web.listen-address=::1:9976"], {}, "write an IPv6 address in brackets: [::1]:9976"),
        (["--web.listen-address=:9976"], {}, "listen on 127.0.0.1, or add --web.allow-anyone if that is meant"),
        (["--web.listen-address=[::]:9976"], {}, "[::]:9976 can be reached by others"),
        (["--web.telemetry-path=metrics"], {}, "a page's path begins with /"),
        (["--web.max-connections=0"], {}, "at least 1 is needed"),
        (["--log.level=loud"], {}, "invalid choice: 'loud'"),
        (["--collector.filesystem.mount-points-exclude=("], {}, "unterminated subpattern"),
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
    assert read_config(["--web.listen-address=:9976", "--web.allow-anyone"]).address == ("0.0.0.0", 9976)


@pytest.mark.parametrize("text", ["127.0.0.1:9976", "[::1]:0", "localhost:80"])
def test_an_address_is_printed_as_it_is_written(text: str) -> None:
    assert format_address(parse_address(text)) == text


def test_every_flag_stands_in_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/exporter.md").read_text()
    with pytest.raises(SystemExit):
        read_config(["--help"])

    words = capsys.readouterr().out.replace(",", " ").split()
    flags = {word for word in words if word.startswith("--") and "." in word and not word.startswith("--no-")}
    assert len(flags) > 15
    assert [flag for flag in sorted(flags) if f"`{flag}" not in page and not flag.startswith("--collector.")] == []
    assert [flag for flag in sorted(flags) if flag.count(".") > 1 and f"`{flag}" not in page] == []
    assert [name for name in COLLECTORS if f"| `{name}` |" not in page] == []
