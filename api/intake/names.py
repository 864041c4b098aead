"""Names of uploaded files, for people to recognise, never a path; and what clients say these files are.

In: what a client called its file. Out: at most 255 printable characters without folders, or None. Pure.
"""

from email.message import Message

MAX_NAME_CHARS = 255
MAX_MEDIA_TYPE_CHARS = 100


def clean_name(name: str | None) -> str | None:
    """The last part of a path, without what cannot be printed."""
    if name is None:
        return None
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in last if c.isprintable()).strip()
    return kept[:MAX_NAME_CHARS] or None


def disposition_name(header: str | None) -> str | None:
    """The file name in a Content-Disposition header, also in the `filename*` form of RFC 8187."""
    if header is None:
        return None
    message = Message()
    message["Content-Disposition"] = header.replace("\r", " ").replace("\n", " ")
    return clean_name(message.get_filename())


def clean_media_type(header: str | None) -> str | None:
    """The type in a Content-Type header, without parameters and what cannot be printed."""
    kept = "".join(c for c in (header or "").partition(";")[0] if c.isprintable()).strip().lower()
    return kept[:MAX_MEDIA_TYPE_CHARS] or None
