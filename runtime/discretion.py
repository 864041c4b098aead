"""What a log may say of an error: where it arose and of which kind it is, and nothing that a stranger wrote.

In: exceptions and log records of whatever library. Out: text without messages of drivers and libraries, because these
quote what they failed at: a row, a query, a name. Only our own errors say their sentence; they are written to be read.
Knows no process and no logger.
"""

import logging
import traceback
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any

from runtime.errors import Fenced, Misconfigured, ObjectMissing, Unavailable
from schemas.codec import UnknownSchemaId

_OUTSPOKEN = (Unavailable, Fenced, ObjectMissing, Misconfigured, UnknownSchemaId)
_MAX_CAUSES = 8


def about(error: BaseException) -> str:
    """Kind of an error, with the codes that tell one from another."""
    kind = type(error).__name__
    if isinstance(error, _OUTSPOKEN):
        return f"{kind}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{kind}: errno {error.errno}"
    codes = (("sqlstate", getattr(error, "sqlstate", None)), ("status", getattr(error, "status_code", None)))
    return " ".join((kind, *(f"{name}={code}" for name, code in codes if isinstance(code, str | int))))


def described(error: BaseException) -> str:
    """The whole chain of an error, each with the places it went through: no source lines, no values."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(chain) < _MAX_CAUSES:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(f"{about(each)}\n{_places(each.__traceback__)}" for each in reversed(chain))


def _places(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)


def exceptions_described(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A step of structlog: `exc_info` becomes text."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
    if error is not None:
        event["exception"] = described(error)
    return event


class Discreet(logging.Filter):
    """Takes out of a library's log record what it says of an error beside its kind."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: the record is changed, not dropped."""
        if isinstance(record.args, tuple):
            record.args = tuple(about(arg) if isinstance(arg, BaseException) else arg for arg in record.args)
        if record.name == "asyncio":
            # Below its first line it draws tasks, and with a task the error that ended it.
            record.msg, record.args = record.getMessage().partition("\n")[0], ()
        return True
