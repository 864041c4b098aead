"""Server-sent events, as the HTML standard writes them."""

from cli.client import parse_events


def test_events_are_read_and_keep_alives_are_not() -> None:
    lines = [
        ": ping",
        "",
        "id: 3",
        "event: ChunkCompleted",
        'data: {"seq": 3,',
        'data: "progress": 0.5}',
        "",
        "event:done",
        "",
    ]
    first, last = parse_events(iter(lines))
    assert (first.id, first.kind, first.data) == ("3", "ChunkCompleted", {"seq": 3, "progress": 0.5})
    assert (last.id, last.kind, last.data) == ("", "done", {})


def test_data_that_is_no_object_tells_nothing() -> None:
    assert [event.data for event in parse_events(iter(["data: [1]", "", "data: {", "", "retry: 100", ""]))] == [{}, {}]


def test_an_event_that_was_cut_off_is_none() -> None:
    assert list(parse_events(iter(["id: 1", "event: JobAccepted"]))) == []
