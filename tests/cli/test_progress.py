"""What a waiting person sees, on a terminal and in a log."""

import io

from cli.progress import Lines, display


class Terminal(io.StringIO):
    """Says that somebody is watching."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_when_something_changed() -> None:
    out = io.StringIO()
    lines = Lines(out)
    for fraction in (0.0, 0.1, 0.2, 0.3, 0.5):
        lines.step("a.mp3", "uploading", fraction)
    lines.step("a.mp3", "transcribing", 0.5)
    assert out.getvalue().splitlines() == [
        "a.mp3: uploading 0%",
        "a.mp3: uploading 30%",
        "a.mp3: transcribing 50%",
    ]


def test_a_terminal_gets_a_bar_for_each_file() -> None:
    out = Terminal()
    with display(out) as shown:
        shown.step("a[red].mp3", "uploading", 0.5)
        shown.step("b\x1b[2J.mp3", "preparing", 0.25)
        shown.say("b.mp3", "note: [bold] stays as it is")
    assert "a[red].mp3" in out.getvalue()
    assert "[bold] stays" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


def test_elsewhere_there_are_lines() -> None:
    out = io.StringIO()
    with display(out) as shown:
        shown.say("a.mp3", "written")
    assert out.getvalue() == "a.mp3: written\n"
