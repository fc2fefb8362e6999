"""The probe collector: its file, its page, its timers, and that nothing secret is told."""

from __future__ import annotations

import argparse
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.collectors import probe
from exporter.paths import Paths
from exporter.probe.model import Dns, Exchange, Http, Icmp, Probe, Tcp, Tls
from exporter.probe.written import read_probes
from exporter.settings import IncompleteError, Settings
from selfheal.common.clock import Clock, ManualClock, SystemClock
from selfheal.common.problems import ConfigError
from tests.exporter.probing import Authority, answering, http_answer, serving
from tests.exporter.trees import values, wait_until

BAD = sorted((Path(__file__).parent / "fixtures/probe").glob("*.yml"))
EXAMPLE = Path(__file__).parents[2] / "examples/exporter-probe.yml"


def settings(path: Path | None, clock: Clock | None = None, *, once: bool = True) -> Settings:
    flags = argparse.Namespace(**{"collector.probe.config": path})
    return Settings(Paths(Path("/proc"), Path("/sys"), Path("/")), clock or SystemClock(), flags, once)


def written(folder: Path, text: str) -> Path:
    path = folder / "probes.yml"
    path.write_text(text)
    return path


def page(path: Path) -> dict[str, str]:
    """Return the page under `--once`."""
    collector = probe.create(settings(path))
    try:
        return values(collector())
    finally:
        collector.close()


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_a_bad_file_is_refused_with_every_fault_at_once(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        probe.create(settings(path))

    told = [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems]
    assert told == path.with_suffix(".txt").read_text().splitlines()


def test_without_a_file_it_says_which_flag_is_missing() -> None:
    with pytest.raises(ValueError, match=r"nothing to ask; name a file with --collector\.probe\.config"):
        probe.create(settings(None))


def test_the_file_is_known_to_a_reload(tmp_path: Path) -> None:
    assert probe.files(settings(tmp_path / "x").flags) == [tmp_path / "x"]
    assert probe.files(settings(None).flags) == []


def test_the_example_is_read_as_it_is_meant() -> None:
    found = {read.name: read for read in read_probes(EXAMPLE)}

    assert list(found) == ["shop", "database", "mail", "resolver", "gateway"]
    assert found["database"] == Probe("database", Tcp("127.0.0.1", 5432), 5, 1)
    assert found["gateway"] == Probe("gateway", Icmp("192.0.2.1"), 15, 5)
    shop, mail, resolver = (found[name].ask for name in ("shop", "mail", "resolver"))
    assert isinstance(shop, Http)
    assert (shop.valid_status_codes, [p.source for p in shop.fail_if_body_not_matches]) == (
        (200,),
        ['"status": *"ok"'],
    )
    assert isinstance(mail, Tcp)
    assert mail.conversation[-1].starttls
    assert mail.conversation[1] == Exchange(send="EHLO monitor")
    assert isinstance(resolver, Dns)
    assert (resolver.host, resolver.port, resolver.query_type) == ("127.0.0.1", 53, "SOA")


def test_what_the_how_to_shows_is_read(tmp_path: Path) -> None:
    page = (EXAMPLE.parents[1] / "docs/how-to/probe-a-service.md").read_text()
    path = written(tmp_path, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])

    assert [read.name for read in read_probes(path)] == ["shop", "database", "resolver"]


def test_every_key_reaches_the_request(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
timeout: 9s
probes:
  a:
    prober: http
    target: https://a.test/x?y=1
    every: 8s
    preferred_ip_protocol: ip4
    ip_protocol_fallback: false
    http:
      method: POST
      body: "{}"
      headers: {Content-Type: application/json}
      follow_redirects: false
      valid_http_versions: [HTTP/1.1]
      fail_if_header_not_matches: [{header: A, regexp: b, allow_missing: true}]
      body_size_limit: 10
      basic_auth: {username: me, password_file: secrets/p}
      tls_config: {ca_file: /ca.pem, server_name: b.test, cert_file: c.pem, key_file: k.pem}
  b:
    prober: http
    target: http://b.test/
    http: {authorization: {credentials_file: t}}
""",
    )

    one, two = read_probes(path)

    assert (one.every, one.timeout, one.prefer, one.fall_back) == (8, 8, "ip4", False), "it ends before its next turn"
    assert isinstance(one.ask, Http)
    assert one.ask.tls == Tls(Path("/ca.pem"), tmp_path / "c.pem", tmp_path / "k.pem", "b.test")
    assert (one.ask.username, one.ask.password_file) == ("me", tmp_path / "secrets/p")
    assert (one.ask.method, one.ask.body, one.ask.follow_redirects, one.ask.body_size_limit) == (
        "POST",
        b"{}",
        False,
        10,
    )
    assert one.ask.headers == (("Content-Type", "application/json"),)
    assert one.ask.fail_if_header_not_matches[0].allow_missing
    assert isinstance(two.ask, Http)
    assert (two.ask.token_type, two.ask.token_file) == ("Bearer", tmp_path / "t")
    assert (two.every, two.timeout) == (15, 9)


def test_once_gives_the_whole_page_of_a_good_and_a_bad_service(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("good")
    with serving(answering(http_answer(b"ok")), issued.context()) as service, serving(lambda _, __: None) as tcp:
        found = page(
            written(
                tmp_path,
                f"""
probes:
  web: {{prober: http, target: "https://127.0.0.1:{service.port}/", http: {{tls_config: {{ca_file: ca.pem}}}}}}
  port: {{prober: tcp, target: "127.0.0.1:{tcp.port}"}}
  bad: {{prober: tcp, target: "127.0.0.1:{tcp.port}", tcp: {{query_response: [{{expect: hello}}]}}}}
""",
            )
        )

    assert [found[f'probe_success{{probe="{name}"}}'] for name in ("web", "port", "bad")] == ["1", "1", "0"]
    assert found['probe_http_status_code{probe="web"}'] == "200"
    assert float(found['probe_http_duration_seconds{probe="web",phase="tls"}']) > 0
    expiry = found['probe_ssl_earliest_cert_expiry{probe="web"}']
    assert float(expiry) == issued.certificate.not_valid_after_utc.timestamp()
    assert found['probe_failed_due_to_regex{probe="bad"}'] == "1"
    assert found['selfheal_probe_failures_total{probe="bad",reason="regex"}'] == "1"
    assert found['selfheal_probe_failures_total{probe="bad",reason="timeout"}'] == "0", (
        "reasons are there from the start"
    )
    assert found['selfheal_probe_phase_duration_seconds_count{probe="web",phase="tls"}'] == "1"
    assert found['selfheal_probe_phase_duration_seconds_bucket{probe="web",phase="tls",le="+Inf"}'] == "1"
    assert 'probe_http_duration_seconds{probe="port",phase="connect"}' not in found
    assert 'selfheal_collector_refresh_timestamp_seconds{collector="probe",source="web"}' in found


def test_runs_add_up_and_a_failure_shows_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exporter")
    clock = ManualClock()
    answers = [http_answer(), http_answer(b"", "500 X"), http_answer(b"", "500 X"), http_answer()]
    with serving(answering(*answers)) as service:
        path = written(tmp_path, f'probes: {{web: {{prober: http, target: "{service.url}/"}}}}')
        collector = probe.create(settings(path, clock))
        try:
            for run in range(1, 5):
                wait_until(lambda run=run: _runs(collector) == str(run))  # type: ignore[misc]
                found = values(collector())
                assert found['probe_success{probe="web"}'] == ("0" if run in (2, 3) else "1")
                clock.advance(15)
        finally:
            collector.close()

    assert found['selfheal_probe_failures_total{probe="web",reason="status"}'] == "2"
    assert found['selfheal_probe_phase_duration_seconds_count{probe="web",phase="connect"}'] == "4"
    assert [record.message for record in caplog.records] == ["probe failed", "probe works again"]
    assert caplog.records[0].__dict__["text"] == "the status is 500, not 2xx"


def _runs(collector: probe.ProbeCollector) -> str | None:
    try:
        return values(collector()).get('selfheal_probe_runs_total{probe="web"}')
    except IncompleteError:
        return None


def test_secrets_are_in_no_page_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "password").write_text("hush-hush")
    with serving(answering(http_answer(b"no", "401 Unauthorized"))) as service:
        path = written(
            tmp_path,
            f"""
probes:
  web:
    prober: http
    target: {service.url}/?key=hidden
    http: {{basic_auth: {{username: me, password_file: password}}, headers: {{X-Key: quiet}}}}
""",
        )
        found = page(path)

    assert b"Basic " in service.asked[0]
    assert found['probe_success{probe="web"}'] == "0"
    told = "".join(found) + caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert not [word for word in ("hush-hush", "quiet", "hidden", "Basic ") if word in told]


def loaded(code: str, *modules: str) -> str:
    """Run code in an interpreter of its own; return which of the modules it has loaded."""
    code = f"import sys; {code}; print(*[name for name in {modules} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    return done.stdout.strip()


def test_importing_the_collector_loads_no_library() -> None:
    assert loaded("import exporter.collectors.probe", "ssl", "dns", "pydantic", "http.client") == ""


def test_a_file_without_dns_loads_no_dnspython(tmp_path: Path) -> None:
    path = written(tmp_path, "probes: {a: {prober: icmp, target: 127.0.0.1}}")
    code = f"from pathlib import Path; from exporter.probe.written import read_probes; read_probes(Path({str(path)!r}))"

    assert loaded(code, "dns", "pydantic") == "pydantic"
