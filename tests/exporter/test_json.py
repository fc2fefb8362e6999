"""The json collector: documents, logs and answers over HTTP become gauges, counters and histograms."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.collectors import json_
from exporter.jsonsource.written import read_sources
from exporter.paths import Paths
from exporter.settings import IncompleteError, Settings
from selfheal.common.clock import Clock, ManualClock, SystemClock
from selfheal.common.problems import ConfigError
from tests.exporter.probing import answering, http_answer, serving
from tests.exporter.trees import values, wait_until

BAD = sorted((Path(__file__).parent / "fixtures/json").glob("*.yml"))
EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIG = "exporter-json-ai-operations.yml"
SAMPLE = "exporter-json-ai-operations.jsonl"


def settings(path: Path | None, clock: Clock | None = None, *, once: bool = True) -> Settings:
    flags = argparse.Namespace(**{"collector.json.config": path})
    return Settings(Paths(Path("/proc"), Path("/sys"), Path("/")), clock or ManualClock(), flags, once)


@contextmanager
def collecting(
    folder: Path, text: str, clock: Clock | None = None, *, once: bool = True
) -> Iterator[json_.JsonCollector]:
    path = folder / "sources.yml"
    path.write_text(text)
    collector = json_.create(settings(path, clock, once=once))
    try:
        yield collector
    finally:
        collector.close()


def page(collector: json_.JsonCollector) -> tuple[dict[str, str], str]:
    """Return the values, and what is wrong with them, if anything."""
    try:
        return values(collector()), ""
    except IncompleteError as error:
        return values(error.families), str(error)


def own(found: dict[str, str]) -> dict[str, str]:
    """Return the numbers that the file asks for."""
    return {series: value for series, value in found.items() if not series.startswith("selfheal_")}


def faults(found: dict[str, str]) -> dict[str, str]:
    """Return the faults that happened."""
    start = "selfheal_json_faults_total{"
    return {
        series.partition('reason="')[2].rstrip('"}'): value
        for series, value in found.items()
        if series.startswith(start) and value != "0"
    }


def once(folder: Path, text: str) -> dict[str, str]:
    """Return the page under `--once`."""
    with collecting(folder, text, SystemClock()) as collector:
        return values(collector())


def document(folder: Path, text: str, metrics: str) -> dict[str, str]:
    """Return the page of one document."""
    (folder / "a.json").write_text(text)
    return once(folder, f"sources: {{a: {{file: a.json, metrics: {metrics}}}}}")


def lines(folder: Path, text: str, metrics: str, more: str = "") -> dict[str, str]:
    """Return the page of one log."""
    (folder / "a.jsonl").write_text(text)
    return once(folder, f"sources: {{a: {{lines: a.jsonl, {more} metrics: {metrics}}}}}")


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_a_bad_file_is_refused_with_every_fault_at_once(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        json_.create(settings(path))

    told = [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems]
    assert told == path.with_suffix(".txt").read_text().splitlines()


def test_without_a_file_it_says_which_flag_is_missing() -> None:
    with pytest.raises(ValueError, match=r"nothing to read; name a file with --collector\.json\.config"):
        json_.create(settings(None))


def test_the_file_is_known_to_a_reload(tmp_path: Path) -> None:
    assert json_.files(settings(tmp_path / "x").flags) == [tmp_path / "x"]
    assert json_.files(settings(None).flags) == []


def test_importing_the_collector_loads_no_library() -> None:
    code = (
        "import sys, exporter.collectors.json_;"
        "print(*[name for name in ('jmespath', 'pydantic', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)

    assert done.stdout.strip() == ""


def test_a_document_gives_gauges_and_totals_with_labels(tmp_path: Path) -> None:
    text = '{"up": true, "queue": {"length": 3, "wait_ms": 1500}, "done": 12345678901234567890, "state": "ok"}'
    metrics = """{
      app_up: {type: gauge, help: Up., value: up},
      app_queue_jobs: {type: gauge, help: Queue, value: queue.length},
      app_wait_seconds: {type: gauge, help: Wait, value: queue.wait_ms, scale: 0.001},
      app_done_total: {type: counter, help: Done, value: done, labels: {state: state, missing: nothing}},
      app_state: {type: gauge, help: State, value: state, values: {ok: 1, bad: 0}},
      app_none: {type: gauge, help: None, value: nothing}}"""

    assert own(document(tmp_path, text, metrics)) == {
        "app_up": "1",
        "app_queue_jobs": "3",
        "app_wait_seconds": "1.5",
        'app_done_total{state="ok",missing=""}': "12345678901234567890",
        "app_state": "1.0",
    }


def test_a_list_gives_a_sample_each_and_values_of_any_kind_become_labels(tmp_path: Path) -> None:
    text = '[{"n": "a", "v": 1}, {"n": 2, "v": 2}, {"n": true, "v": 3}, {"n": 1.5, "v": 4}, {"n": null, "v": 5}]'
    metrics = '{x: {type: gauge, help: X, select: "@", value: v, labels: {n: n}}}'

    assert own(document(tmp_path, text, metrics)) == {
        'x{n="a"}': "1", 'x{n="2"}': "2", 'x{n="true"}': "3", 'x{n="1.5"}': "4", 'x{n=""}': "5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[{"v": "text"}]', {"value": "1"}),
        ('[{"v": {}}]', {"value": "1"}),
        ('[{"v": 1e999}]', {"value": "1"}),
        (f'[{{"v": 1{"0" * 400}}}]', {"value": "1"}),
        ('[{"v": 1, "n": [1]}]', {"label": "1"}),
        (f'[{{"v": 1, "n": "{"x" * 201}"}}]', {"label": "1"}),
        ('[{"v": 1}, {"v": 2}]', {"twice": "1"}),
        ('[{"v": 1, "n": "\\ud800"}, {"v": 2, "n": "\\udfff"}]', {"twice": "1"}),
        ('[{"v": 1, "n": "\\u0000"}, {"v": 2, "n": "\\ufffd"}]', {"twice": "1"}),
        ('[{"v": 1, "n": "%s"}]' % ("y" * 200), {}),
        ("[1, null, {}]", {}),
    ],
    ids=[
        "text", "object", "infinite", "huge", "label-list", "label-long", "twice", "surrogates", "nul",
        "label-at-limit", "without",
    ],
)  # fmt: skip
def test_what_cannot_be_a_sample_is_counted_and_left_out(tmp_path: Path, text: str, told: dict[str, str]) -> None:
    found = document(tmp_path, text, '{x: {type: gauge, help: X, select: "@", value: v, labels: {n: n}}}')

    assert faults(found) == told


def test_an_expression_that_does_not_fit_is_counted(tmp_path: Path) -> None:
    metrics = """{
      a: {type: gauge, help: A, value: "sum(list)"},
      b: {type: gauge, help: B, where: "text > `1`", value: one},
      c: {type: gauge, help: C, select: "length(one)", value: "@"}}"""
    found = document(tmp_path, '{"list": ["x"], "text": "y", "one": 1}', metrics)

    assert own(found) == {}
    assert faults(found) == {"path": "3"}


def test_series_are_capped_and_the_rest_counted(tmp_path: Path) -> None:
    text = "".join(f'{{"v": 1, "n": "{number}"}}\n' for number in range(25))
    metrics = """{
      g: {type: gauge, help: G, value: v, labels: {n: n}},
      c_total: {type: counter, help: C, labels: {n: n}},
      h: {type: histogram, help: H, value: v, labels: {n: n}, buckets: [1]}}"""
    found = lines(tmp_path, text + text, metrics, "most_series: 10,")

    for start in ("g{", "c_total{", "h_count{"):
        assert len([series for series in found if series.startswith(start)]) == 10
    assert faults(found) == {"series": "90"}
    assert found['c_total{n="9"}'] == "2", "known series go on"


def test_what_is_gone_from_a_document_is_gone_from_the_page(tmp_path: Path) -> None:
    file, clock = tmp_path / "a.json", ManualClock()
    file.write_text('{"a": 1, "b": 2}')
    metrics = "{x: {type: gauge, help: X, value: a}, y: {type: gauge, help: Y, value: b}}"
    text = f"sources: {{a: {{file: a.json, metrics: {metrics}}}}}"
    with collecting(tmp_path, text, clock) as collector:
        assert own(page(collector)[0]) == {"x": "1", "y": "2"}
        file.write_text('{"a": 3}')
        clock.advance(15)
        wait_until(lambda: own(page(collector)[0]) == {"x": "3"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "a: [Errno 2] No such file or directory: "),
        ('{"a": hush}', "a: the document cannot be read: no JSON at line 1, column 7"),
        ("", "a: the document cannot be read: no JSON at line 1, column 1"),
        ('{"a": NaN}', "a: the document cannot be read: NaN is no JSON"),
        ("[" * 100_000, "a: the document is nested too deeply"),
        ('"' + "x" * 2000 + '"', "a.json is larger than 1000 bytes"),
    ],
    ids=["missing", "broken", "empty", "nan", "deep", "large"],
)
def test_a_document_that_cannot_be_read_keeps_the_last_values(tmp_path: Path, text: str | None, told: str) -> None:
    file, clock = tmp_path / "a.json", ManualClock(1000.0)
    file.write_text('{"a": 1}')
    limit = "size_limit: 200000," if text and text.startswith("[[") else "size_limit: 1000,"
    config = f"sources: {{a: {{file: a.json, {limit} metrics: {{x: {{type: gauge, help: X, value: a}}}}}}}}"
    with collecting(tmp_path, config, clock) as collector:
        assert page(collector)[1] == ""
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        clock.advance(15)
        wait_until(lambda: page(collector)[1])

        found, problem = page(collector)
        assert told in problem
        assert "hush" not in problem
        assert found["x"] == "1"
        assert found['selfheal_collector_refresh_timestamp_seconds{collector="json",source="a"}'] == "1000.0"
        assert found['selfheal_collector_refresh_failures_total{collector="json",source="a"}'] == "1"


def test_lines_count_add_up_and_are_observed(tmp_path: Path) -> None:
    text = """
{"e": "op", "ms": 100, "n": 2}
{"e": "op", "ms": 200, "n": 3, "total": 70}
{"e": "other", "ms": 9999}
{"e": "op", "ms": 5000, "n": -1, "total": 75}
"""
    metrics = """{
      op_total: {type: counter, help: A, where: "e == 'op'"},
      n_total: {type: counter, help: B, value: n},
      seen_total: {type: counter, help: C, value: total, total: true},
      last: {type: gauge, help: D, where: "e == 'op'", value: ms},
      d_seconds: {type: histogram, help: E, where: "e == 'op'", value: ms, scale: 0.001, buckets: [0.1, 1]}}"""
    found = lines(tmp_path, text, metrics)

    assert own(found) == {
        "op_total": "3",
        "n_total": "5",
        "seen_total": "75",
        "last": "5000",
        'd_seconds_bucket{le="0.1"}': "1",
        'd_seconds_bucket{le="1.0"}': "2",
        'd_seconds_bucket{le="+Inf"}': "3",
        "d_seconds_sum": str(0.1 + 0.2 + 5.0),
        "d_seconds_count": "3",
    }
    assert faults(found) == {"value": "1"}, "what is added to a counter is never below 0; an empty line is no fault"
    assert found['selfheal_json_lines_total{source="a"}'] == "5"


def test_broken_lines_are_counted_and_never_fatal(tmp_path: Path) -> None:
    text = b'{"a": 1}\n{"a": \n\xff\xfe\nplain text\n' + b"[" * 100_000 + b'\n{"a": Infinity}\n[1]\n"a"\n{"a": 2}\r\n'
    (tmp_path / "a.jsonl").write_bytes(text)
    found = once(tmp_path, "sources: {a: {lines: a.jsonl, metrics: {x_total: {type: counter, help: X, value: a}}}}")

    assert own(found) == {"x_total": "3"}
    assert faults(found) == {"broken": "5"}


LOG = "sources: {a: {lines: a.jsonl, every: 1s, start: %s, metrics: {x_total: {type: counter, help: X, value: a}}}}"


@pytest.mark.parametrize(("start", "expected"), [("end", "2"), ("beginning", "102")])
def test_the_start_decides_whether_old_lines_count(tmp_path: Path, start: str, expected: str) -> None:
    log, clock = tmp_path / "a.jsonl", ManualClock()
    log.write_text('{"a": 100}\n')
    with collecting(tmp_path, LOG % start, clock, once=False) as collector:
        wait_until(lambda: page(collector)[1] == "")
        with open(log, "a") as file:
            file.write('{"a": 2}\n')
        clock.advance(1)
        wait_until(lambda: own(page(collector)[0]) == {"x_total": expected})


def test_counters_never_fall_by_rotation_or_truncation(tmp_path: Path) -> None:
    log, clock = tmp_path / "a.jsonl", ManualClock()
    log.touch()
    expected, seen = 0, []
    with collecting(tmp_path, LOG % "beginning", clock, once=False) as collector:
        for turn in range(30):
            if turn % 5 == 3:
                log.rename(tmp_path / f"a.{turn}")
            elif turn % 5 == 4:
                os.truncate(log, 0)
            with open(log, "a") as file:
                # what a truncation meets has been read, or it would be lost with the file
                file.write(f'{{"a": {turn}}}\n{{"a"')
                expected += turn
            clock.advance(1)
            wait_until(lambda expected=expected: own(page(collector)[0]) == {"x_total": str(expected)})  # type: ignore[misc]
            with open(log, "a") as file:
                file.write(": 0}\n")
            clock.advance(1)
            wait_until(lambda turn=turn: _lines_read(collector) == str(2 * turn + 2))  # type: ignore[misc]
            seen.append(int(own(page(collector)[0])["x_total"]))

    assert seen == sorted(seen)


def _lines_read(collector: json_.JsonCollector) -> str | None:
    return page(collector)[0].get('selfheal_json_lines_total{source="a"}')


def test_a_log_that_is_not_there_is_told_and_read_once_it_is(tmp_path: Path) -> None:
    clock = ManualClock()
    with collecting(tmp_path, LOG % "end", clock, once=False) as collector:
        wait_until(lambda: "No such file" in page(collector)[1])
        (tmp_path / "a.jsonl").write_text('{"a": 7}\n')
        clock.advance(1)
        wait_until(lambda: own(page(collector)[0]) == {"x_total": "7"})


def test_a_log_closed_while_it_is_read_is_let_go_when_that_ends(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "sources.yml").write_text(LOG % "beginning")
    from exporter.jsonsource.run import Log

    source = read_sources(tmp_path / "sources.yml")[0]
    assert isinstance(source.place, Path)

    class Closing(ManualClock):
        """A clock on which the log is closed while it is being read, as by a reload that did not wait for it."""

        def monotonic(self) -> float:
            log.close()
            return super().monotonic()

    log = Log(source, source.place, Closing(), from_beginning=True)
    log.refresh()

    assert log.lines == 1
    assert log.tail._files() == []


def test_reading_stops_at_half_the_interval_and_goes_on_the_next_time(tmp_path: Path) -> None:
    class Hasty(ManualClock):
        """A clock on which every look takes 0.2 s."""

        def monotonic(self) -> float:
            self.advance(0.2)
            return super().monotonic()

    (tmp_path / "a.jsonl").write_text('{"a": 1}\n' * 200_000)
    sources = LOG % "beginning"
    (tmp_path / "sources.yml").write_text(sources)
    from exporter.jsonsource.run import Log

    source = read_sources(tmp_path / "sources.yml")[0]
    assert isinstance(source.place, Path)
    log = Log(source, source.place, Hasty(), from_beginning=True)
    log.refresh()
    assert 0 < log.lines < 200_000
    turns = 1
    while log.tail.behind():
        log.refresh()
        turns += 1
    log.close()

    assert turns > 2
    assert log.table.series[0].values() == {(): 200_000}


def test_json_over_http_is_fetched_with_its_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hush\n")
    with serving(answering(http_answer(b'{"queue": {"jobs": [1, 2, 3]}}'))) as service:
        found = once(
            tmp_path,
            f"""
sources:
  api:
    url: {service.url}/state
    authorization: {{credentials_file: token}}
    metrics: {{jobs: {{type: gauge, help: Jobs, value: length(queue.jobs)}}}}
""",
        )

    assert own(found) == {"jobs": "3"}
    assert b"Authorization: Bearer hush" in service.asked[0]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (http_answer(b"hush", "503 Busy"), "api: cannot fetch it: the status is 503, not 2xx"),
        (http_answer(b"hush"), "api: the document cannot be read: no JSON at line 1, column 1"),
        (http_answer(b" " * 101), "api: cannot fetch it: the body is larger than 100 bytes"),
        (b"", "api: cannot fetch it: the answer is no HTTP: the connection was closed"),
    ],
    ids=["status", "text", "large", "closed"],
)
def test_an_answer_that_is_none_is_told_without_its_content(tmp_path: Path, answer: bytes, told: str) -> None:
    metrics = "{jobs: {type: gauge, help: Jobs, value: a}}"
    with serving(answering(answer)) as service:
        config = f"sources: {{api: {{url: '{service.url}', size_limit: 100, metrics: {metrics}}}}}"
        with collecting(tmp_path, config, SystemClock()) as collector:
            assert page(collector)[1] == told


def test_a_server_that_hangs_is_given_up_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    with serving(lambda service, _: service.ended.wait(20)) as service:  # type: ignore[arg-type,return-value]
        config = f"""
sources:
  api: {{url: "{service.url}", timeout: 100ms, metrics: {{jobs: {{type: gauge, help: Jobs, value: a}}}}}}
  file: {{file: a.json, metrics: {{x: {{type: gauge, help: X, value: a}}}}}}
"""
        with collecting(tmp_path, config, SystemClock()) as collector:
            found, problem = page(collector)

    assert problem == "api: cannot fetch it: no answer in time"
    assert own(found) == {"x": "1"}


def test_what_the_how_to_shows_is_read(tmp_path: Path) -> None:
    page = (EXAMPLES.parent / "docs/how-to/watch-an-ai-pipelines-log.md").read_text()
    (tmp_path / "sources.yml").write_text(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])

    assert [len(source.measures) for source in read_sources(tmp_path / "sources.yml")] == [2]


def test_one_line_with_a_number_per_channel_gives_a_sample_each(tmp_path: Path) -> None:
    metrics = """{ms: {type: gauge, help: M, value: ms, labels: {channel: c},
      select: "[{c: 'local', ms: local_ms}, {c: 'cloud', ms: cloud_ms}]"}}"""

    assert own(lines(tmp_path, '{"local_ms": 5, "cloud_ms": 7}\n', metrics)) == {
        'ms{channel="local"}': "5", 'ms{channel="cloud"}': "7",
    }  # fmt: skip


def test_the_example_reads_its_sample_log(tmp_path: Path) -> None:
    collector = json_.create(settings(EXAMPLES / CONFIG, SystemClock()))
    try:
        found = values(collector())
    finally:
        collector.close()

    assert faults(found) == {}
    expected = {
        "ai_scheduler_healthy": "0.0",
        "ai_scheduler_heartbeat_timestamp_seconds": "1795000005.0",
        "ai_scheduler_queue_jobs": "41",
        "ai_queue_wait_seconds_count": "4",
        'ai_queue_wait_seconds_bucket{le="0.05"}': "3",
        "ai_loop_iterations_total": "10",
        'ai_operations_total{channel="cloud",outcome="error"}': "1",
        "ai_second_passes_total": "2",
        'ai_confidence_ratio_count{channel="cloud"}': "2",
        'ai_quality_ratio{channel="cloud"}': "0.74",
        'ai_response_duration_seconds_sum{channel="gateway"}': "0.42",
        'ai_process_cpu_seconds_total{worker="writer"}': "240.25",
        'ai_process_resident_memory_bytes{worker="planner"}': "432013312.0",
    }
    assert {series: found.get(series) for series in expected} == expected


def test_a_hundred_thousand_lines_are_exact_and_fast(tmp_path: Path) -> None:
    sample = [json.loads(line) for line in (EXAMPLES / SAMPLE).read_text().splitlines()]
    channels = ("local", "cloud", "gateway")
    with open(tmp_path / SAMPLE, "w") as file:
        for number in range(100_000):
            entry = dict(sample[number % len(sample)])
            if entry["event"] == "operation":
                entry["channel"] = channels[number % 3]
                entry["latency_ms"] = number % 1000
            file.write(json.dumps(entry) + "\n")
    config = (EXAMPLES / CONFIG).read_text().replace("every: 5s", "every: 100s")
    (tmp_path / CONFIG).write_text(config)
    operations = [number for number in range(100_000) if sample[number % len(sample)]["event"] == "operation"]

    collector = json_.create(settings(tmp_path / CONFIG, SystemClock()))
    begun = time.process_time()
    try:
        found = values(collector())
        seconds = time.process_time() - begun
    finally:
        collector.close()

    assert found['selfheal_json_lines_total{source="ai-operations"}'] == "100000"
    assert faults(found) == {}
    for channel in range(3):
        of_channel = [number % 1000 for number in operations if number % 3 == channel]
        series = f'ai_response_duration_seconds_count{{channel="{channels[channel]}"}}'
        assert found[series] == str(len(of_channel))
        within = sum(number <= 500 for number in of_channel)
        assert found[f'ai_response_duration_seconds_bucket{{channel="{channels[channel]}",le="0.5"}}'] == str(within)
    counted = sum(float(value) for series, value in found.items() if series.startswith("ai_operations_total"))
    assert counted == len(operations)
    # about 100,000 lines a second on an idle core; a machine ten times slower still passes
    assert seconds < 20
