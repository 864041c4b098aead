"""Marks around found words: safe HTML from text that nobody trusts.

In: text with two private characters around each hit, as the engine returns it. Out: escaped HTML with `<mark>`.
The two characters are taken out of every text before it is indexed, so only the engine can have put them there.
Knows no query and no engine.
"""

from html import escape

OPENED = "\ue000"
CLOSED = "\ue001"
_NEITHER = str.maketrans("", "", OPENED + CLOSED)


def plain(text: str) -> str:
    """The text without the two characters."""
    return text.translate(_NEITHER)


def marked_html(text: str) -> str:
    """Escaped first, marked afterwards: nothing in the text can become a tag."""
    return escape(text, quote=True).replace(OPENED, "<mark>").replace(CLOSED, "</mark>")


def first_mark(text: str) -> int | None:
    """Where the first hit begins, counted in characters of the plain text."""
    found = text.find(OPENED)
    return found if found >= 0 else None
