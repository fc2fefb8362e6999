"""Files with metrics: which are read, how they are merged, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.encode import encode
from exporter.settings import IncompleteError
from exporter.textfile_read import parse_text
from exporter.textfile_render import render_family, spell
from selfheal.common.clock import ManualClock, SystemClock
from tests.exporter.storage import TREE, create, write
from tests.exporter.trees import values

ERROR = "node_textfile_scrape_error"


def page(folder: Path, *more: str) -> str:
    return encode(create("textfile", f"--collector.textfile.directory={folder}", *more)()).decode()


def lines(folder: Path) -> list[str]:
    """Return the samples that came from files."""
    return [line for line in page(folder).splitlines() if not line.startswith(("#", "node_textfile"))]


def rendered(text: str) -> str:
    return "".join("".join(render_family(family).values()) for family in parse_text(text.encode()))


def test_without_a_folder_there_is_no_error_and_no_parser() -> None:
    assert values(create("textfile")()) == {ERROR: "0"}


def test_the_parser_is_loaded_only_for_who_has_files() -> None:
    code = (
        "import sys; from tests.exporter.storage import create; {more}; "
        "print('prometheus_client' in sys.modules, 'exporter.textfile_read' in sys.modules)"
    )
    asked = "create('textfile', '--collector.textfile.directory=/nowhere')"
    loaded = [
        subprocess.run(
            [sys.executable, "-c", code.format(more=more)], capture_output=True, text=True, check=True, timeout=50
        ).stdout.strip()
        for more in ("create('textfile')()", asked)
    ]

    assert loaded == ["False False", "True True"]


def test_files_are_merged_by_family_and_sorted() -> None:
    text = page(TREE / "textfile")

    folder = f"{TREE}/textfile"
    assert "not_read" not in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert names[:-2] == sorted(names[:-2])
    assert len(set(names)) == len(names)
    assert f"# HELP jobs_total Metric read from {folder}/a.prom, {folder}/b.prom\n" in text
    assert "# HELP backup_last_success_seconds When the last backup ended.\n" in text
    found = values(text.encode())
    assert found[ERROR] == "0"
    assert float(found[f'node_textfile_mtime_seconds{{file="{folder}/a.prom"}}']) == int(
        (TREE / "textfile/a.prom").stat().st_mtime
    )


def test_histograms_and_summaries_come_out_whole() -> None:
    text = page(TREE / "textfile")

    assert (
        "# TYPE request_seconds histogram\n"
        'request_seconds_bucket{le="0.1"} 3\n'
        'request_seconds_bucket{le="+Inf"} 5\n'
        "request_seconds_sum 1.5\n"
        "request_seconds_count 5\n"
    ) in text
    assert (
        "# TYPE rpc_seconds summary\n"
        'rpc_seconds{quantile="0.5"} 0.2\n'
        'rpc_seconds{quantile="0.9"} NaN\n'
        "rpc_seconds_sum 12.5\n"
        "rpc_seconds_count 30\n"
    ) in text


def test_bounds_are_sorted_and_the_last_bucket_follows_from_the_count() -> None:
    text = '# TYPE h histogram\nh_bucket{le="1000000"} 4\nh_bucket{le="1"} 2\nh_count{a="b"} 3\nh_count 5\nh_sum 1\n'

    assert rendered(text) == (
        'h_bucket{a="",le="1"} 2\nh_bucket{a="",le="1e+06"} 4\nh_bucket{a="",le="+Inf"} 5\n'
        'h_sum{a=""} 1\nh_count{a=""} 5\n'
        'h_bucket{a="b",le="+Inf"} 3\nh_sum{a="b"} 0\nh_count{a="b"} 3\n'
    )


def test_a_counter_keeps_its_name() -> None:
    assert rendered("# TYPE a counter\na 1\n# TYPE b_total counter\nb_total 2\n") == "a 1\nb_total 2\n"


def test_a_label_that_only_some_have_is_empty_in_the_others() -> None:
    assert rendered('a{x="1"} 1\na{y="2"} 2\n') == 'a{x="1",y=""} 1\na{x="",y="2"} 2\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.1, "0.1"), (100000.0, "100000"), (1e6, "1e+06"), (2.5e7, "2.5e+07"), (1e-5, "1e-05"),
     (1234567.5, "1.2345675e+06"), (-2e6, "-2e+06"), (1e22, "1e+22"), (float("inf"), "+Inf"), (0.0, "0")],
)  # fmt: skip
def test_bounds_are_spelled_as_go_does(value: float, text: str) -> None:
    assert spell(value) == text


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "a 1\n", " a 1\n", "a\t1\n", "a{} 1\n", 'a{b="c"}1\n', 'a { b = "c" , d="e" , } 1\n', "a NaN\n",
     "a +Inf\n", "a .5\n", "#\n# words\n# HELPx\n# HELP\na 1\n", "# HELP a x\\\\y\\nz\na 1\n", "# TYPE a GAUGE\na 1\n",
     "a 1\n# EOF\n", 'a{b="}"} 1\n', 'a{b="x\\\\\\n\\"y"} 1\n', "# TYPE a\na 1\n", "a 1\nb 2\na{c=\"d\"} 3\n",
     "# TYPE s summary\n# HELP s_count x\ns_count 2\n"],
)  # fmt: skip
def test_what_prometheus_reads_is_read(text: str) -> None:
    assert parse_text(text.encode()) is not None


@pytest.mark.parametrize(
    "text",
    ["a 1", "a 1\r\n", "a 1 1700000000000\n", "a 1 -5\n", "a 1 2 3\n", "a one\n", "a\n", "nan\n", "a 1_0\n", "1a 2\n",
     "a-b 2\n", "a{,} 1\n", 'a{b="c",,d="e"} 1\n', 'a{b="c",b="d"} 1\n', 'a{b="c" d="e"} 1\n', 'a{b="x\\ty"} 1\n',
     'a{b="x} 1\n', 'a{b="x\ny"} 1\n', 'a{1b="c"} 1\n', 'a{b:c="d"} 1\n', 'a{__name__="c"} 1\n', '{"a.b"} 1\n',
     "a 1 \n",
     "# HELP a x\n# HELP a x\na 1\n", "# TYPE a gauge\n# TYPE a gauge\na 1\n", "a 1\n# TYPE a gauge\n",
     "# TYPE a foo\na 1\n", "# TYPE a unknown\na 1\n", "# TYPE a gauge \na 1\n", "# HELP a \\q\na 1\n", "# HELP 1a x\n",
     'a_bucket{le="1"} 1 # {x="y"} 1\n', '# TYPE h histogram\nh_bucket{le="x"} 1\n', "a 1e400\n", "a ١\n"],
)  # fmt: skip
def test_what_prometheus_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_text(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        parse_text(b'a{b="\xe9"} 1\n')


def test_a_bad_file_is_left_out_whole_and_named_in_the_log_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, {"bad.prom": "x 1\ny 2 1700000000000\n", "good.prom": "z 3\n"})
    collect = create("textfile", f"--collector.textfile.directory={tmp_path}")

    first, second = values(collect()), values(collect())

    assert first == second
    assert {series: value for series, value in first.items() if "mtime" not in series} == {"z": "3", ERROR: "1"}
    assert [series for series in first if "mtime" in series] == [
        f'node_textfile_mtime_seconds{{file="{tmp_path}/good.prom"}}'
    ]
    assert len(caplog.records) == 1
    assert "bad.prom: line 2: a time of its own" in vars(caplog.records[0])["reason"]


@pytest.mark.parametrize(
    ("second", "what"),
    [("# HELP m other\nm 2\n", "HELP"), ("# TYPE m counter\nm 2\n", "TYPE")],
)
def test_the_first_file_to_describe_a_family_is_believed(
    tmp_path: Path, second: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, {"a.prom": "# HELP m first\n# TYPE m gauge\nm 1\n", "b.prom": second + "n 1\n"})

    assert lines(tmp_path) == ["m 1", "n 1"]
    assert f"{ERROR} 1\n" in page(tmp_path)
    assert f"another {what} of m" in vars(caplog.records[0])["reason"]


def test_a_help_that_comes_in_a_later_file_is_taken(tmp_path: Path) -> None:
    write(tmp_path, {"a.prom": 'm{x="1"} 1\n', "b.prom": '# HELP m later\nm{x="2"} 2\n'})

    assert "# HELP m later\n" in page(tmp_path)
    assert f"{ERROR} 0\n" in page(tmp_path)
    assert sorted(lines(tmp_path)) == ['m{x="1"} 1', 'm{x="2"} 2']


def test_of_equal_series_the_first_counts(tmp_path: Path) -> None:
    write(tmp_path, {"a.prom": "m 1\nm 2\n", "b.prom": "m 3\n"})

    assert lines(tmp_path) == ["m 1"]


@pytest.mark.parametrize("count", ["+Inf", "-Inf", "NaN"])
@pytest.mark.parametrize("line", ["h_count {}", 'h_bucket{{le="1"}} {}'])
def test_a_count_that_is_no_number_costs_only_its_file(tmp_path: Path, line: str, count: str) -> None:
    write(tmp_path, {"a.prom": f"# TYPE h histogram\n{line.format(count)}\n", "b.prom": "b 1\n"})

    assert lines(tmp_path) == ["b 1"]
    assert f"{ERROR} 1\n" in page(tmp_path)


def test_an_empty_label_is_none(tmp_path: Path) -> None:
    write(tmp_path, {"a.prom": 'm{x="",y="1"} 1\nm{x="2",y="1"} 2\n', "b.prom": 'm{y="1"} 3\n'})

    assert lines(tmp_path) == ['m{x="",y="1"} 1', 'm{x="2",y="1"} 2']


def test_files_whose_names_are_no_text_are_one_series(tmp_path: Path) -> None:
    for number in (0xFE, 0xFF):
        path = os.fsencode(tmp_path) + b"/%c.prom" % number
        Path(os.fsdecode(path)).write_text("a 1\n")

    assert [line for line in page(tmp_path).splitlines() if line.startswith("node_textfile_mtime")] == [
        f'node_textfile_mtime_seconds{{file="{tmp_path}/\ufffd.prom"}} {int(Path(os.fsdecode(path)).stat().st_mtime)}'
    ]


def test_patterns_and_several_folders(tmp_path: Path) -> None:
    write(tmp_path, {"x1/a.prom": "a 1\n", "x2/a.prom": "b 2\n", "y/a.prom": "c 3\n", ".x3/a.prom": "d 4\n"})

    found = values(page(tmp_path / "x[^2]", f"--collector.textfile.directory={tmp_path}/y").encode())
    assert {series for series in found if not series.startswith("node_")} == {"a", "c"}
    found = values(page(tmp_path / "*x*").encode())
    assert {series for series in found if not series.startswith("node_")} == {"a", "b", "d"}


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    assert values(page(tmp_path / "gone").encode()) == {ERROR: "1"}


def test_what_is_no_file_does_not_make_us_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.prom")
    (tmp_path / "folder.prom").mkdir()
    write(tmp_path, {"a.prom": "a 1\n"})

    assert lines(tmp_path) == ["a 1"]
    assert f"{ERROR} 1\n" in page(tmp_path)


def test_an_unchanged_file_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import exporter.textfile_folder as folder

    parsed: list[bytes] = []
    monkeypatch.setattr(folder, "parse_text", lambda data: parsed.append(data) or parse_text(data))
    file = write(tmp_path, {"a.prom": "a 1\n"}) / "a.prom"
    clock = ManualClock(file.stat().st_mtime + 100)
    collect = create("textfile", f"--collector.textfile.directory={tmp_path}", clock=clock)
    for _ in range(3):
        assert values(collect())["a"] == "1"
    assert len(parsed) == 1

    # as programs do it that write a new file and rename it
    write(tmp_path, {"new": "a 2\n"})
    (tmp_path / "new").rename(file)
    assert values(collect())["a"] == "2"
    file.unlink()
    assert values(collect()) == {ERROR: "0"}


def test_a_file_written_twice_in_one_tick_is_read_twice(tmp_path: Path) -> None:
    file = write(tmp_path, {"a.prom": "a 1\n"}) / "a.prom"
    status = file.stat()
    collect = create("textfile", f"--collector.textfile.directory={tmp_path}", clock=ManualClock(status.st_mtime + 1))
    assert values(collect())["a"] == "1"

    file.write_text("a 2\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert values(collect())["a"] == "2"


def test_a_folder_that_hangs_does_not_hold_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    import exporter.collectors.textfile as textfile

    go_on = threading.Event()
    monkeypatch.setattr(textfile, "_DEADLINE", 0.05)
    monkeypatch.setattr(os, "listdir", lambda _: go_on.wait(30) and [])
    collect = create("textfile", f"--collector.textfile.directory={tmp_path}", clock=SystemClock())
    try:
        with pytest.raises(IncompleteError, match="no answer") as caught:
            collect()
        assert values(caught.value.families) == {ERROR: "1"}
    finally:
        go_on.set()


def test_a_complaint_about_a_long_line_is_short() -> None:
    with pytest.raises(ValueError) as caught:
        parse_text(b"x" * 1_000_000 + b"\n")

    assert len(str(caught.value)) < 400
