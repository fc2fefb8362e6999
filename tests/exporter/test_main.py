"""The program itself, as a real process."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from exporter.collectors import COLLECTORS
from tests.exporter.programs import LISTENING, ask, get, running, start
from tests.exporter.trees import values, wait_until

# what a default start must not load: each costs memory and start time, and none is needed
UNWANTED = {
    "bcrypt", "cheroot", "email", "flask", "hashlib", "http", "jeepney", "prometheus_client", "psutil", "pydantic",
    "pygit2", "re2", "remediator", "requests", "ssl", "subprocess", "urllib3",
}  # fmt: skip


def test_a_default_start_serves_this_host_and_loads_nothing_heavy() -> None:
    with running(imports=True) as program:
        found = values(get(program.port, "/metrics"))
        program.child.send_signal(signal.SIGTERM)
        assert program.child.wait(timeout=10) == 0

    imported = {line.rpartition("|")[2].strip() for line in program.lines if "import time:" in line}
    assert "exporter.server" in imported
    assert {name.partition(".")[0] for name in imported} & UNWANTED == set()
    failures = {series: value for series, value in found.items() if "collector_failures_total" in series}
    assert len(failures) == sum(collector.enabled for collector in COLLECTORS.values())
    # what this host does not have is no failure
    assert {series for series, value in failures.items() if value != "0"} == set()
    assert float(found["node_memory_MemTotal_bytes"]) > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_promptly_though_a_scraper_is_connected(number: signal.Signals) -> None:
    with running() as program, socket.create_connection(("127.0.0.1", program.port), timeout=10) as sock:
        sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
        begun = time.monotonic()
        program.child.send_signal(number)

        assert program.child.wait(timeout=10) == 0
        assert time.monotonic() - begun < 2


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = start(f"--web.listen-address=127.0.0.1:{port}")
        _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert err == (
        f"selfheal-exporter: cannot listen on 127.0.0.1:{port}: another program is using this port; "
        "end that program, or choose another address with --web.listen-address\n"
    )


def test_an_address_of_nobody_is_named_with_the_remedy() -> None:
    child = start("--web.listen-address=192.0.2.1:0", "--web.allow-anyone")
    _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert err.startswith("selfheal-exporter: cannot listen on 192.0.2.1:0: ")
    assert "--web.listen-address" in err


def test_a_wrong_config_ends_it_with_every_error_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "groups.yml").write_text("process_names: [{name: a}, {comm: sh}]")
    child = start(f"--config.path={tmp_path}/groups.yml")
    _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert err.splitlines() == [
        f"selfheal-exporter: {tmp_path}/groups.yml: process_names[0]: selects nothing; "
        "add at least one of comm, exe, cmdline",
        f"{tmp_path}/groups.yml: process_names[1].comm: must be a list with at least one text; write [...] around it",
    ]


def test_what_it_says_about_itself_is_what_the_kernel_says() -> None:
    with running() as program:
        found = values(get(program.port, "/metrics"))
        process = psutil.Process(program.child.pid)
        assert float(found["process_start_time_seconds"]) == pytest.approx(process.create_time(), abs=0.02)
        assert int(found["process_resident_memory_bytes"]) == pytest.approx(process.memory_info().rss, rel=0.2)
        assert int(found["process_virtual_memory_bytes"]) == pytest.approx(process.memory_info().vms, rel=0.2)
        assert int(found["process_max_fds"]) == process.rlimit(psutil.RLIMIT_NOFILE)[0]
        # less or more only by the connection that asked
        assert int(found["process_open_fds"]) == pytest.approx(process.num_fds(), abs=2)
        spent = process.cpu_times()
        assert float(found["process_cpu_seconds_total"]) == pytest.approx(spent.user + spent.system, abs=0.3)
    assert float(found["process_virtual_memory_max_bytes"]) > 2**40
    assert found["promhttp_metric_handler_requests_in_flight"] == "1"
    assert found["selfheal_exporter_config_last_reload_successful"] == "1"
    assert sum(series.startswith("node_exporter_build_info{") for series in found) == 1


def test_it_says_nothing_about_itself_if_that_is_not_wanted() -> None:
    with running("--web.disable-exporter-metrics") as program:
        found = values(get(program.port, "/metrics"))

    own = ("selfheal_exporter_", "process_", "promhttp_")
    assert [series for series in found if series.startswith(own)] == []
    assert sum(series.startswith("node_exporter_build_info{") for series in found) == 1


def test_log_lines_are_json_if_asked_for(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    flags = ("--log.format=json", f"--path.procfs={tmp_path}/empty", "--collector.disable-defaults")
    with running(*flags, "--collector.loadavg") as program:
        get(program.port, "/metrics")
        get(program.port, "/metrics")
        wait_until(lambda: program.logged("collector failed"))
        program.child.send_signal(signal.SIGHUP)
        wait_until(lambda: program.logged("reloaded"))
        program.child.send_signal(signal.SIGTERM)
        program.child.wait(timeout=10)

    lines = [json.loads(line) for line in program.lines]
    assert [line["msg"] for line in lines] == ["listening", "collector failed", "reloaded", "ended"]
    assert {"ts", "level", "logger", "msg", "address", "version", "collectors"} == set(lines[0])
    assert (lines[1]["level"], lines[1]["collector"]) == ("warning", "loadavg")


def test_several_addresses_are_listened_on_and_one_that_cannot_be_had_is_an_error() -> None:
    with running("--web.listen-address=127.0.0.1:0", "--web.listen-address=[::1]:0") as program:
        (line,) = [line for line in program.lines if LISTENING.search(line)]
        six = int(line.partition("[::1]:")[2].split('"')[0])
        with socket.create_connection(("::1", six), timeout=10) as sock:
            sock.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert ask(program.port, "/-/healthy")[0] == 200
        child = start("--web.listen-address=127.0.0.1:0", f"--web.listen-address=[::1]:{six}")
        _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert err.startswith(f"selfheal-exporter: cannot listen on [::1]:{six}: another program is using this port; ")


def test_when_it_is_killed_it_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    with running(variables={"TMPDIR": f"{tmp_path}/tmp", "HOME": f"{tmp_path}/tmp"}) as program:
        get(program.port, "/metrics")
        port = program.port
        children = psutil.Process(program.child.pid).children(recursive=True)
        program.child.kill()
        program.child.wait(timeout=10)

    assert children == []
    assert list((tmp_path / "tmp").iterdir()) == []
    with running(f"--web.listen-address=127.0.0.1:{port}") as again:
        assert ask(again.port, "/-/healthy")[0] == 200


def test_everything_wrong_at_the_start_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "groups.yml").write_text("process_names: [{name: a}]")
    (tmp_path / "web.yml").write_text("basic_auth_users: {alice: wonderland}\nrate_limits: {}\n")
    child = start(f"--config.path={tmp_path}/groups.yml", f"--web.config.file={tmp_path}/web.yml")
    _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert f"{tmp_path}/web.yml: rate_limits: unknown key; did you mean rate_limit?" in err
    assert f"{tmp_path}/groups.yml: process_names[0]: selects nothing" in err
    assert "Traceback" not in err
