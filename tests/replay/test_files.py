"""Recordings read from files and from samples: periods, holes and gaps; every mistake names its line and the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remediator.replay import NotReadable, Recording
from remediator.replay.reading import from_file, within
from remediator.replay.recording import Gap, Period, Source, gaps_in, periods_of
from remediator.web.payload import parse
from tests.replay.histories import playbook, setting

SAMPLE = 'ALERTS{{alertname="Sick",alertstate="firing",instance="web-0"}} 1 {at}'


def read(folder: Path, text: str) -> Recording:
    path = folder / "recorded"
    path.write_text(text, encoding="utf-8")
    return from_file(path, parse, setting(folder, [playbook("fix")]).config).recording


def samples(*times: float) -> str:
    return "".join(SAMPLE.format(at=at) + "\n" for at in times)


@pytest.mark.parametrize(
    ("times", "gaps", "ended", "expected"),
    [
        ([0, 15, 30], [], [], [(0, 45)]),
        ([0, 15, 45], [], [], [(0, 60)]),
        ([0, 15, 60], [], [], [(0, 30), (60, 75)]),
        ([0, 15, 45], [], [15], [(0, 30), (45, 60)]),
        ([0, 15, 200], [(15, 200)], [], [(0, 215)]),
        ([0, 15, 400], [(15, 400)], [], [(0, 255), (400, 415)]),
        ([0, 15, 200], [(500, 600)], [], [(0, 30), (200, 215)]),
        ([970, 985], [], [], [(970, None)]),
        ([], [], [], []),
    ],
    ids=[
        "to its last sample and one interval",
        "one missed evaluation is no end",
        "a hole is an end",
        "a marked end in the same hole is one",
        "a short hole of everything is bridged",
        "in a long one Alertmanager took it for over",
        "a hole of everything at another time bridges nothing",
        "on at the end of the recording it has no end",
        "without a sample it was never on",
    ],
)
def test_samples_tell_when_an_alert_was_on(
    times: list[float],
    gaps: list[tuple[float, float]],
    ended: list[float],
    expected: list[tuple[float, float | None]],
) -> None:
    found = periods_of(times, 15.0, 1000.0, [Gap(*gap) for gap in gaps], ended)

    assert [(each.begin, each.end) for each in found] == expected


def test_times_without_anything_are_gaps_also_at_both_ends() -> None:
    assert gaps_in([100, 110, 300], 0, 310, 50) == (Gap(0, 100), Gap(110, 300))


def test_openmetrics_text_is_read_with_escaped_labels_and_other_metrics_tell_of_gaps(tmp_path: Path) -> None:
    odd = 'ALERTS{alertname="Odd",alertstate="firing",path="a\\\\b\\"}c\\n"} 1 30'
    pending = 'ALERTS{alertname="Soon",alertstate="pending"} 1 15'
    times = [*range(0, 75, 15), *range(300, 360, 15)]
    ups = [f"up 1 {at}" for at in (*times, 360)]
    lines = ["# TYPE ALERTS gauge", samples(*times), odd, pending, *ups, "# EOF"]

    found = read(tmp_path, "\n".join(lines))

    assert found.source is Source.OPENMETRICS
    assert [series.labels for series in found.series] == [
        {"alertname": "Odd", "path": 'a\\b"}c\n'},
        {"alertname": "Sick", "instance": "web-0"},
    ]
    # nothing at all was recorded for four minutes: it is taken for on throughout, and is so at the end
    assert found.series[1].periods == (Period(0, None),)
    assert found.gaps == (Gap(60, 300),)
    assert (found.begins, found.ends, found.step) == (0, 360, 15)


def test_each_alert_has_the_evaluation_interval_that_its_samples_tell(tmp_path: Path) -> None:
    slow = [f'ALERTS{{alertname="Slow",alertstate="firing"}} 1 {at}' for at in (0, 60, 120, 180, 600, 660)]
    alone = [f'ALERTS{{alertname="Alone",alertstate="firing"}} 1 {at}' for at in (100, 900)]

    found = read(tmp_path, "\n".join([samples(*range(0, 1_000, 15)), *slow, *alone]))

    periods = {each.labels["alertname"]: [(one.begin, one.end) for one in each.periods] for each in found.series}
    assert periods["Slow"] == [(0, 240), (600, 720)]
    # two samples so far apart tell of no interval: the usual one is taken
    assert periods["Alone"] == [(100, 115), (900, 915)]
    assert found.step == 15


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; record something first"),
        ("up 1 5\n", "holds no sample of ALERTS with alertstate='firing'; export it with its timestamps"),
        (
            samples(0) + SAMPLE.format(at="") + "\n",
            "line 2: the sample has no timestamp; write metric{labels} value time, the time in seconds",
        ),
        (
            samples(0, 1_700_000_000_000),
            "line 2: the time 1700000000000 is too large; OpenMetrics counts seconds, not more",
        ),
        (
            "ALERTS{alertname=Sick} 1 5\n",
            "line 1: cannot read the labels at 'alertname=Sick'; write name=\"value\", with",
        ),
        ('ALERTS{instance="a"} 1 5\n', "line 1: ALERTS without a label alertname; export it whole"),
        ('{"alerts": []}\nnonsense\n', "line 2: is no delivery"),
        (
            '{"alerts": 5}\n',
            "line 1: is no delivery: the body has no list named alerts; write each delivery on one line",
        ),
        ("{\n", "line 1: is JSON over several lines, or cut; write each delivery on one line"),
        ("[1]\n", "line 1: is neither a delivery nor OpenMetrics text; give JSON lines"),
        (
            json.dumps({"alerts": [alert := {"status": "resolved", "labels": {"alertname": "A"}, "startsAt": "x"}]}),
            "holds no alert that can be read",
        ),
        (
            json.dumps({"alerts": [{**alert, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "soon"}]}),
            "line 1: a resolved alert has the endsAt 'soon'; it must be an RFC 3339 time",
        ),
    ],
)
def test_a_mistake_in_a_file_names_its_line_and_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(NotReadable) as caught:
        read(tmp_path, text)

    assert str(caught.value).startswith(str(tmp_path / "recorded"))
    assert message in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    config = setting(tmp_path, [playbook("fix")]).config
    (tmp_path / "binary").write_bytes(b"# one\nup \xff\xfe 1\n")

    with pytest.raises(NotReadable, match="not there: cannot be read: No such file"):
        from_file(tmp_path / "not there", parse, config)
    with pytest.raises(NotReadable, match="binary: line 2: is not UTF-8 text; give JSON lines"):
        from_file(tmp_path / "binary", parse, config)


def delivery(status: str, begin: str, end: str = "0001-01-01T00:00:00Z", **labels: str) -> str:
    alert = {
        "status": status,
        "labels": {"alertname": "Sick", "instance": "web-0", **labels},
        "annotations": {"playbook": "none"},
        "startsAt": f"2026-01-01T{begin}Z",
        "endsAt": end if end.startswith("0001") else f"2026-01-01T{end}Z",
    }
    return json.dumps({"version": "4", "receiver": "selfheal", "status": status, "alerts": [alert]})


def test_deliveries_tell_when_alerts_began_and_ended_in_any_order_and_from_any_replica(tmp_path: Path) -> None:
    lines = [
        delivery("resolved", "10:00:00", "10:10:00", replica="b"),
        delivery("firing", "10:00:00", replica="a"),
        delivery("firing", "11:00:00"),
        delivery("firing", "12:00:00"),
        json.dumps({"alerts": [{"status": "firing", "labels": {}}]}),
    ]

    found = read(tmp_path, "\n".join(lines) + "\n\n")

    base = found.begins
    assert found.source is Source.DELIVERIES
    assert found.malformed == 1
    assert [(each.begin - base, each.end and each.end - base) for each in found.series[0].periods] == [
        (0, 600),
        (3600, 7200),
        (7200, None),
    ]
    assert found.series[0].annotations == {"playbook": "none"}


def test_what_several_replicas_say_of_one_end_does_not_depend_on_the_order_of_lines(tmp_path: Path) -> None:
    lines = [
        delivery("resolved", "10:00:00", "10:10:00", replica="a"),
        delivery("firing", "10:00:00", replica="a"),
        delivery("resolved", "10:00:00", "10:05:00", replica="b"),
        delivery("resolved", "10:00:00", "10:05:00", replica="b"),
    ]

    found = [read(tmp_path, "\n".join(each)) for each in (lines, lines[::-1], lines[1:] + lines[:1])]

    # until the last one says so it was on for somebody
    assert [[(one.begin, one.end) for one in each.series[0].periods] for each in found] == [
        [(found[0].begins, found[0].begins + 600)]
    ] * 3


def test_replicas_that_saw_it_begin_at_different_times_tell_of_one_period(tmp_path: Path) -> None:
    lines = [
        delivery("firing", "10:00:00", replica="a"),
        delivery("firing", "10:00:07", replica="b"),
        delivery("resolved", "10:00:00", "10:10:00", replica="a"),
        delivery("resolved", "10:00:07", "10:10:05", replica="b"),
    ]

    found = read(tmp_path, "\n".join(lines))

    assert [(each.begin - found.begins, each.end) for each in found.series[0].periods] == [(0, found.begins + 605)]
    assert found.occurrences() == 1


def test_an_end_that_was_never_set_does_not_move_the_beginning(tmp_path: Path) -> None:
    unset = delivery("resolved", "09:00:00")

    found = read(tmp_path, "\n".join([unset, delivery("firing", "10:00:00"), delivery("firing", "11:00:00")]))

    assert found.ends - found.begins == 3600
    assert [len(each.periods) for each in found.series] == [2]
    with pytest.raises(NotReadable, match="holds no alert that can be read"):
        read(tmp_path, unset)


def test_deliveries_that_alertmanager_cut_short_are_counted(tmp_path: Path) -> None:
    cut = delivery("firing", "10:00:00").replace('"version"', '"truncatedAlerts": 3, "version"')

    assert read(tmp_path, "\n".join([cut, delivery("firing", "10:30:00"), cut])).truncated == 2


def test_what_was_on_at_the_beginning_is_counted_where_nobody_knows_since_when(tmp_path: Path) -> None:
    delivered = read(tmp_path, "\n".join([delivery("firing", "10:00:00"), delivery("firing", "10:30:00", item="b")]))
    sampled = read(tmp_path, samples(*range(0, 300, 15)) + samples(900, 915))

    assert delivered.on_before() == 0
    assert within(delivered, delivered.begins + 60, None).on_before() == 1
    assert sampled.on_before() == 1
    assert within(sampled, 600, None).on_before() == 0


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff" + delivery("firing", "10:00:00")).source is Source.DELIVERIES
    assert read(tmp_path, "\ufeff" + samples(0, 15)).source is Source.OPENMETRICS


def test_a_span_cuts_what_was_on_at_its_edges(tmp_path: Path) -> None:
    whole = read(tmp_path, samples(*range(0, 300, 15), *range(600, 900, 15)))

    found = within(whole, 100, 700)

    assert found.series[0].periods == (Period(100, 300), Period(600, None))
    with pytest.raises(NotReadable, match="nothing of that time; give another --from or --to"):
        within(whole, 5000, None)
