"""Words and figures for a terminal.

In: values from a server, which may hold anything. Out: plain text of one line, tables, moments as h:mm:ss.
Must not know which command prints it.
"""

import html
import re
import unicodedata
from collections.abc import Sequence

BOLD = "\x1b[1m"
PLAIN = "\x1b[0m"
_MARK = re.compile(r"<(/?)mark>")
_GAP = 2


def printable(value: object) -> str:
    """Text without control characters: a file name must not be able to move the cursor or set the title."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf") else char for char in str(value))


def moment(seconds: float | None) -> str:
    """h:mm:ss of a place in a recording; a dash where there is none."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def highlighted(marked: str, colour: bool) -> str:
    """HTML-escaped text with <mark> around hits, as terminal text: hits in bold where the terminal can."""
    pieces = _MARK.split(marked)
    text = printable(html.unescape(pieces[0]))
    for closing, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        switch = (PLAIN if closing else BOLD) if colour else ""
        text += switch + printable(html.unescape(piece))
    return text


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; the last one is free."""
    cells = [list(header), *([printable("-" if cell is None else cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("".join(cell.ljust(width + _GAP) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
