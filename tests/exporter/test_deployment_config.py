"""The file of deployments: everything wrong in it is told at once, each with its place and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.collectors import deployment
from exporter.config import make_parser
from exporter.deployment.model import Container, Deployment, Listener, Part, Unit, Version
from exporter.deployment.written import read_deployments
from exporter.paths import Paths
from exporter.settings import Settings
from selfheal.common.clock import ManualClock
from selfheal.common.problems import ConfigError

EXAMPLE = Path(__file__).parents[2] / "examples/exporter-deployment.yml"


def test_every_key_reaches_its_value(tmp_path: Path) -> None:
    path = tmp_path / "d.yml"
    path.write_text(
        """
deployments:
  shop:
    every: 30s
    timeout: 2s
    parts:
      - {unit: shop.service, name: main}
      - {listen: "tcp:[::1]:8080", needed: false}
      - {container: db, engine: /run/my.sock}
      - version: {url: "https://127.0.0.1/v", field: a.b, expect_file: VERSION, ca_file: /etc/ca.pem}
  other:
    parts:
      - version: {url: "http://127.0.0.1:1/", expect: "2.0"}
"""
    )

    assert read_deployments(path) == [
        Deployment(
            "shop",
            30.0,
            2.0,
            (
                Part("unit", "main", Unit("shop.service")),
                Part("listener", "tcp:[::1]:8080", Listener("tcp:[::1]:8080", "tcp", "::1", 8080), needed=False),
                Part("container", "db", Container("db", "/run/my.sock")),
                Part(
                    "version",
                    "https://127.0.0.1/v",
                    Version("https://127.0.0.1/v", ("a", "b"), "", tmp_path / "VERSION", Path("/etc/ca.pem")),
                ),
            ),
        ),
        Deployment(
            "other",
            15.0,
            5.0,
            (Part("version", "http://127.0.0.1:1/", Version("http://127.0.0.1:1/", (), "2.0")),),
        ),
    ]


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "d.yml"
    path.write_text(
        """
deployments:
  shop:
    every: 10
    timeout: 100ms
    part: []
    parts:
      - unit: shop
      - {unit: a.service, listen: "tcp:1"}
      - {}
      - {unit: b.service, engine: /run/x.sock}
      - listen: 8080
      - listen: tcp:99999
      - {container: "a b", engine: run/x}
      - version: {url: ftp://x, field: a..b, expect: ""}
      - version: {url: "http://u:p@x/", expect: "1", expect_file: f}
      - version: {url: "http://x/", expect: "1", ca_file: f}
      - {unit: c.service, name: "a b", needed: "no"}
  empty: {parts: []}
"""
    )

    with pytest.raises(ConfigError) as caught:
        read_deployments(path)

    told = str(caught.value).replace(f"{path}: deployments.", "").splitlines()
    assert told == [
        "shop.every: must be a duration, not a number; write for example 30s, 5m or 1h30m",
        "shop.timeout: must be at least 1s; raise it",
        "shop.parts[0].unit: 'shop' is no unit; write its whole name, for example nginx.service",
        "shop.parts[1]: must be one of unit, listen, container, version, not unit and listen; "
        "give each part an entry of its own",
        "shop.parts[2]: must be one of unit, listen, container, version, not none; give each part an entry of its own",
        "shop.parts[3]: has an engine although it is no container; leave it out",
        "shop.parts[4].listen: must be text, not a number; put it in quotes",
        "shop.parts[5].listen: 'tcp:99999' is no socket; "
        "write tcp:8080, udp:127.0.0.1:53, tcp:[::1]:8080 or unix:/run/app.sock",
        "shop.parts[6].container: 'a b' is no name of a container; write it as the engine lists it",
        "shop.parts[6].engine: 'run/x' is no absolute path; write for example /run/docker.sock",
        "shop.parts[7].version.url: 'ftp://x' is no URL; write for example http://127.0.0.1:8080/health",
        "shop.parts[7].version.field: 'a..b' is no path of keys; write for example build.version",
        "shop.parts[7].version.expect: must not be empty; write the version",
        "shop.parts[8].version.url: a URL must not hold a user or a password; leave them out",
        "shop.parts[9].version: has a ca_file although its url is not https; leave out one of them",
        "shop.parts[10].name: 'a b' is no name; use letters, digits, _, . and -, at most 64",
        "shop.parts[10].needed: must be true or false, not text",
        "shop.part: unknown key; did you mean parts?",
        "empty.parts: must hold at least 1; add one",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "deployments: is missing; add it"),
        ("deployments: {}", "deployments: must hold at least 1; add one"),
        (
            "deployments: {'a b': {parts: [{unit: a.service}]}}",
            "deployments: 'a b' is no name; use letters, digits, _, . and -, at most 64",
        ),
        (
            "deployments: {a: {parts: [{unit: a.service}, {unit: b.service, name: a.service}]}}",
            "deployments.a.parts: two parts of a kind are both called a.service; give one of them another name",
        ),
        (
            "deployments: {a: {parts: [{version: {url: 'http://x/'}}]}}",
            "deployments.a.parts[0].version: needs one of expect and expect_file; "
            "write the version, or the file that holds it",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "d.yml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        read_deployments(path)

    assert str(caught.value) == f"{path}: {expected}"


def test_without_a_file_there_is_nothing_to_watch() -> None:
    settings = Settings(Paths(), ManualClock(), make_parser().parse_args([]))

    with pytest.raises(ValueError) as caught:
        deployment.create(settings)

    assert str(caught.value) == (
        "the deployment collector has nothing to watch; name a file with --collector.deployment.config"
    )
    assert deployment.files(settings.flags) == []


def test_the_shipped_example_is_right() -> None:
    flags = make_parser().parse_args(["--collector.deployment.config", str(EXAMPLE)])

    assert deployment.files(flags) == [EXAMPLE]
    assert [found.name for found in read_deployments(EXAMPLE)] == ["shop"]
