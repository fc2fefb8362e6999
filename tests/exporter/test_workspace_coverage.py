"""Reports of coverage: every known kind, and everything that is none."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.workspace import coverage
from exporter.workspace.coverage import read_cobertura, read_coverage
from exporter.workspace.model import Coverage

COBERTURA = """<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
<coverage version="7.6" timestamp="1" lines-valid="10" lines-covered="7" line-rate="0.7" branches-covered="1"
 branches-valid="4" branch-rate="0.25" complexity="0">
 <packages/>
</coverage>
"""
LINES_ONLY = """<coverage line-rate="0.5"><packages><package><classes><class name="a">
<methods><method name="f"><lines><line number="1" hits="2"/></lines></method></methods>
<lines><line number="1" hits="2"/><line number="2" hits="0"/></lines>
</class></classes></package></packages></coverage>
"""
LCOV = """TN:
SF:/src/a.c
DA:1,1
LF:10
LH:7
BRF:4
BRH:1
end_of_record
SF:/src/b.c
LF:5
LH:0
end_of_record
"""
COVERAGE_PY = {
    "meta": {"version": "7.6"},
    "files": {},
    "totals": {"covered_lines": 7, "num_statements": 10, "num_branches": 4, "covered_branches": 1},
}
ISTANBUL = {
    "total": {"lines": {"total": 10, "covered": 7, "pct": 70}, "branches": {"total": 4, "covered": 1}},
    "/src/a.js": {},
}
LLVM = {"data": [{"totals": {"lines": {"count": 10, "covered": 7}, "branches": {"count": 4, "covered": 1}}}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(COBERTURA, Coverage(10, 7, 4, 1), id="cobertura"),
        pytest.param("\ufeff\n" + COBERTURA.partition("\n")[2], Coverage(10, 7, 4, 1), id="cobertura after a mark"),
        pytest.param(LINES_ONLY, Coverage(2, 1, 0, 0), id="cobertura without totals"),
        pytest.param(LCOV, Coverage(15, 7, 4, 1), id="lcov"),
        pytest.param(LCOV.rstrip(), Coverage(15, 7, 4, 1), id="lcov without its last line's end"),
        pytest.param(json.dumps(COVERAGE_PY), Coverage(10, 7, 4, 1), id="coverage.py"),
        pytest.param(
            json.dumps({"totals": {"covered_lines": 1, "num_statements": 2}}), Coverage(2, 1, 0, 0), id="lines"
        ),
        pytest.param(json.dumps(ISTANBUL), Coverage(10, 7, 4, 1), id="istanbul"),
        pytest.param(json.dumps(LLVM), Coverage(10, 7, 4, 1), id="llvm"),
    ],
)
def test_known_kinds(tmp_path: Path, text: str, expected: Coverage) -> None:
    path = tmp_path / "report"
    path.write_text(text)
    os.utime(path, (1000.5, 1000.5))

    assert read_coverage(path) == (expected, 1000.5)


BILLION = (
    '<!DOCTYPE coverage [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><coverage lines-valid="1" lines-covered="&b;"/>'
)
OUTSIDE = '<!DOCTYPE coverage [<!ENTITY a SYSTEM "file:///etc/passwd">]><coverage>&a;</coverage>'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is of no known kind"),
        (b"covered: all\n", "it is of no known kind"),
        (b"\xff\xfe\x00", "it is of no known kind"),
        (b"<html></html>", "its root is html, not coverage"),
        (b"<coverage", "unclosed token: line 1, column 0"),
        (b"<coverage>", "no element found: line 1, column 10"),
        (b'<coverage lines-valid="ten"/>', "invalid literal for int() with base 10: 'ten'"),
        (BILLION.encode(), "it declares entities, which no such report needs"),
        (OUTSIDE.encode(), "it declares entities, which no such report needs"),
        (b"LF:x\nend_of_record\n", "invalid literal for int() with base 10: b'x'"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"{}", "it is of no known kind"),
        (b'{"totals": []}', "it is of no known kind"),
        (b'{"total": {"lines": 7}}', "it is of no known kind"),
        (b'{"data": []}', "it is of no known kind"),
        (b'{"totals": {"num_statements": true, "covered_lines": 1}}', "its num_statements is no count"),
        (b'{"totals": {"num_statements": 5, "covered_lines": -1}}', "its covered_lines is no count"),
        (b'{"a":' * 100_000, "it is of no known kind"),
    ],
)
def test_what_is_no_report_is_told(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "report"
    path.write_bytes(data)

    with pytest.raises(ValueError) as caught:
        read_coverage(path)

    assert str(caught.value) == f"{path} is no report of coverage: {told}"


@pytest.mark.parametrize(
    ("limit", "data"),
    [("MOST_JSON_BYTES", b'{"x": "' + b"x" * 100), ("MOST_BYTES", b"LF:1\n" * 20), ("MOST_BYTES", b"<coverage>" * 10)],
)
def test_a_report_that_is_too_large_is_refused(
    tmp_path: Path, limit: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, limit, 50)
    path = tmp_path / "report"
    path.write_bytes(data)

    with pytest.raises(ValueError) as caught:
        read_coverage(path)

    assert str(caught.value) == f"{path} is no report of coverage: it is larger than 50 bytes"


def test_totals_are_taken_from_the_beginning_without_reading_the_rest() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size) or b"<line/>" * 1000

    assert read_cobertura(Endless(COBERTURA.encode().replace(b"</coverage>", b""))) == Coverage(10, 7, 4, 1)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["totals", "total", "data", "lines", "count", "covered", "x"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(_JSON)
def test_any_json_is_a_report_or_refused(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({"totals": document} if document is None else {"data": [document], **_top(document)}))

    try:
        found, _ = read_coverage(path)
    except ValueError as error:
        assert str(error).startswith(f"{path} is no report of coverage: ")
    else:
        assert min(found) >= 0


def _top(document: Any) -> dict[str, Any]:
    return document if isinstance(document, dict) else {}


NINES = "9" * 400


@pytest.mark.parametrize(
    "text",
    [
        f'<coverage lines-valid="{NINES}"/>',
        '<coverage lines-valid="-1"/>',
        f"LF:{NINES}\nend_of_record\n",
        f'{{"totals": {{"num_statements": {NINES}, "covered_lines": 1}}}}',
    ],
)
def test_a_count_that_would_spoil_the_page_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"its counts are no counts$"):
        read_coverage(path)


def test_a_pipe_instead_of_a_report_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report")

    with pytest.raises(ValueError, match=r"it is no regular file$"):
        read_coverage(tmp_path / "report")


@pytest.mark.parametrize("head", [b"LF:", b'<coverage x="'], ids=["lcov", "cobertura"])
def test_what_never_ends_is_given_up_before_it_fills_the_memory(head: bytes) -> None:
    class Endless:
        """A file without an end."""

        taken = 0

        def read(self, size: int) -> bytes:
            """Return more of it."""
            self.taken += size
            return head if self.taken == size else b"1" * size

    file = Endless()
    read = coverage.read_lcov if head.startswith(b"LF") else coverage.read_cobertura

    with pytest.raises(ValueError, match="it holds a line or a tag of more than 1048576 bytes"):
        read(file)  # type: ignore[arg-type]
    assert file.taken < 4 << 20
