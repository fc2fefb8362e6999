"""A growing file is read line by line, each line once, whatever becomes of the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.jsonsource.opened import LONGEST_LINE, Opened
from exporter.jsonsource.tail import Tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def append(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def read(tail: Tail, now: float = 0.0) -> list[str]:
    return [line.decode() for lines in tail.read(now) for line in lines]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_lines_come_once_and_a_partial_one_when_it_is_whole(log: Path) -> None:
    append(log, "one\ntw")
    tail = Tail(log, from_beginning=True)

    assert read(tail) == ["one"]
    assert read(tail) == []
    append(log, "o\nthree\n")
    assert read(tail) == ["two", "three"]
    assert tail.behind() == 0
    tail.close()


def test_from_the_end_nothing_old_comes_nor_the_rest_of_a_line(log: Path) -> None:
    append(log, "old\nhalf a ")
    tail = Tail(log, from_beginning=False)

    assert read(tail) == []
    append(log, "line\nnew\n")
    assert read(tail) == ["new"]
    tail.close()


def test_from_the_end_of_whole_lines_the_next_line_comes(log: Path) -> None:
    append(log, "old\n")
    tail = Tail(log, from_beginning=False)

    assert read(tail) == []
    append(log, "new\n")
    assert read(tail) == ["new"]
    tail.close()


def test_a_file_that_comes_later_is_all_new(log: Path) -> None:
    tail = Tail(log, from_beginning=False)
    with pytest.raises(FileNotFoundError):
        read(tail)

    append(log, "first\n")

    assert read(tail) == ["first"]
    tail.close()


def test_a_file_that_could_not_be_opened_at_first_is_still_read_from_its_end(log: Path) -> None:
    append(log, "old\n")
    tail = Tail(log, from_beginning=False)
    log.rename(log.with_suffix(".away"))
    log.symlink_to(log.name)
    with pytest.raises(OSError, match="symbolic links"):
        read(tail)

    log.unlink()
    log.with_suffix(".away").rename(log)
    assert read(tail) == []
    append(log, "new\n")
    assert read(tail) == ["new"]
    tail.close()


@pytest.mark.parametrize("end", ["", "\n"], ids=["unended", "ended"])
def test_rotation_by_renaming_loses_nothing(log: Path, end: str) -> None:
    append(log, "one\n")
    tail = Tail(log, from_beginning=True)
    assert read(tail) == ["one"]

    append(log, "two\nlast" + end)
    log.rename(log.with_suffix(".1"))
    append(log, "three\n")

    assert read(tail) == ["two", "last", "three"]
    assert (tail.rotations, tail.truncations) == (1, 0)
    append(log, "four\n")
    assert read(tail) == ["four"]
    tail.close()


def test_what_is_written_just_before_the_renaming_is_read(log: Path) -> None:
    class Raced(Tail):
        """The log is written to and rotated after the last look at it, before the look for a successor."""

        def _has_successor(self, file: Opened) -> bool:
            if self.rotations == 0:
                append(log, "late\n")
                log.rename(log.with_suffix(".1"))
                append(log, "new\n")
            return super()._has_successor(file)

    append(log, "one\n")
    tail = Raced(log, from_beginning=True)

    assert read(tail) == ["one", "late", "new"]
    tail.close()


def test_between_renaming_and_the_new_file_the_old_one_is_read_on(log: Path) -> None:
    append(log, "one\n")
    tail = Tail(log, from_beginning=True)
    read(tail)
    log.rename(log.with_suffix(".1"))
    append(log.with_suffix(".1"), "two\n")

    assert read(tail) == ["two"]
    append(log, "three\n")
    assert read(tail) == ["three"]
    assert tail.rotations == 1
    tail.close()


def test_a_reader_that_stops_at_a_rotation_goes_on_without_repeating(log: Path) -> None:
    append(log, "one\nlast")
    tail = Tail(log, from_beginning=True)
    parts = tail.read(0.0)
    assert next(parts) == [b"one"]
    log.rename(log.with_suffix(".1"))
    append(log, "new\n")
    assert next(parts) == [b"last"]
    parts.close()  # type: ignore[attr-defined]

    assert read(tail) == ["new"]
    tail.close()


def test_truncation_begins_anew(log: Path) -> None:
    append(log, "one\ntwo\nhal")
    tail = Tail(log, from_beginning=True)
    read(tail)
    os.truncate(log, 0)
    append(log, "new\n")

    assert read(tail) == ["new"]
    assert (tail.rotations, tail.truncations) == (0, 1)
    tail.close()


def test_truncation_is_seen_even_when_the_file_has_grown_past_our_place(log: Path) -> None:
    append(log, "one\n")
    tail = Tail(log, from_beginning=True)
    read(tail)
    os.truncate(log, 0)
    append(log, "other\nlonger\n")

    assert read(tail) == ["other", "longer"]
    assert tail.truncations == 1
    tail.close()


def test_a_line_too_long_is_left_out_and_counted_once(log: Path) -> None:
    append(log, "x" * (3 * LONGEST_LINE) + "\nnext\n")
    tail = Tail(log, from_beginning=True)

    assert read(tail) == ["next"]
    assert tail.too_long == 1
    tail.close()


def test_what_is_left_is_told_and_read_the_next_time(log: Path) -> None:
    append(log, "line\n" * 200_000)
    tail = Tail(log, from_beginning=True)
    first = next(tail.read(0.0))

    assert 0 < tail.behind() < 1_000_000
    assert len(first) + len(read(tail)) == 200_000
    assert tail.behind() == 0
    tail.close()


def test_a_folder_or_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ""):
        with pytest.raises(ValueError, match="is no regular file"):
            read(Tail(tmp_path / name, from_beginning=True))


def test_descriptors_are_not_leaked_by_rotation(log: Path) -> None:
    append(log, "0\n")
    tail = Tail(log, from_beginning=True)
    read(tail)
    before = descriptors()
    for number in range(20):
        log.rename(log.with_suffix(f".{number}"))
        append(log, f"{number}\n")
        assert read(tail) == [str(number)]

    # the last one that was renamed may still be written to
    assert descriptors() == before + 1
    assert read(tail, 60.0) == []
    assert descriptors() == before
    tail.close()
    assert descriptors() == before - 1


def test_what_is_written_to_a_renamed_log_is_read_until_the_program_opens_the_new_one(log: Path) -> None:
    old = log.with_suffix(".1")
    append(log, "one\n")
    tail = Tail(log, from_beginning=True)
    assert read(tail) == ["one"]
    log.rename(old)
    log.touch()
    assert read(tail, 5.0) == []

    append(old, "two\nthr")
    assert read(tail, 10.0) == ["two"]
    append(old, "ee\n")
    assert read(tail, 15.0) == ["three"]
    append(old, "four\n")
    append(log, "five\n")
    assert read(tail, 20.0) == ["four", "five"]
    assert (tail.rotations, tail.truncations, tail.behind()) == (1, 0, 0)
    tail.close()


def test_a_log_is_let_go_some_time_after_it_was_renamed_with_all_that_it_had(log: Path) -> None:
    old = log.with_suffix(".1")
    append(log, "one\n")
    tail = Tail(log, from_beginning=True)
    read(tail)
    before = descriptors()
    log.rename(old)
    log.touch()
    read(tail, 5.0)
    append(old, "two\nthree")

    assert read(tail, 64.9) == ["two"]
    assert descriptors() == before + 1
    assert read(tail, 65.0) == ["three"]
    assert descriptors() == before
    append(old, "\nfour\n")
    assert read(tail, 70.0) == []
    tail.close()


def test_a_long_line_is_counted_once_though_its_file_is_let_go(log: Path) -> None:
    append(log, "x" * (3 * LONGEST_LINE) + "\n")
    tail = Tail(log, from_beginning=True)
    read(tail)
    for number, now in enumerate((0.0, 1.0, 100.0)):
        log.rename(log.with_suffix(f".{number}"))
        log.touch()
        read(tail, now)
        assert tail.too_long == 1
    tail.close()

    assert tail.too_long == 1


def test_a_successor_that_may_not_be_read_is_told_and_nothing_is_lost_once_it_may(log: Path) -> None:
    append(log, "one\n")
    tail = Tail(log, from_beginning=True)
    read(tail)
    old = log.with_suffix(".1")
    log.rename(old)
    log.mkdir()
    with pytest.raises(ValueError, match="is no regular file"):
        read(tail)

    append(old, "two\n")
    log.rmdir()
    append(log, "three\n")
    assert read(tail) == ["two", "three"]
    tail.close()


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "half", "rotate", "reopen", "read", "read"]), st.integers(0, 9)), max_size=30
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_every_line_comes_exactly_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    log = tmp_path_factory.mktemp("log") / "app.log"
    log.touch()
    tail = Tail(log, from_beginning=True)
    written, found, rotated = "", read(tail), False
    # where the program writes: after a rotation the old file still, until it opens the new one
    target = log
    for number, (step, size) in enumerate(steps):
        if step in ("write", "half"):
            text = f"{number}-{'x' * size}" + ("\n" if step == "write" else "")
            append(target, text)
            written += text
        elif step == "read":
            found += read(tail)
            rotated = False
        elif step == "reopen" and target != log:
            if not written.endswith("\n") and target.stat().st_size:
                written += "\n"
            target = log
        elif step == "rotate" and not rotated and target == log:
            # two rotations between two looks would lose the file in between, which has no name any more
            rotated = True
            target = log.rename(log.with_name(f"app.{number}"))
            log.touch()
    if target != log and not written.endswith("\n"):
        written += "\n"
    append(log, "\n")
    found += read(tail)
    tail.close()

    assert [line for line in found if line] == [line for line in (written + "\n").split("\n") if line]
