"""What a log may say of an error."""

import json
import logging
import subprocess
import sys

import psycopg
import pytest

from runtime.discretion import Discreet, about, described
from runtime.errors import Unavailable

SECRET = "the words of the witness"

_SHOUT = f"""
import asyncio, logging, sys, threading
from runtime import telemetry
telemetry.configure("tester", "debug")
SECRET = {SECRET!r}
log = telemetry.logger("runtime.tester")
log.debug("ours", action="x", size=1)
for library in ("boto3", "opensearch", "urllib3", "faust", "whatever"):
    logging.getLogger(library).debug("asked for %s", SECRET)
    logging.getLogger(library).info("asked for %s", SECRET)
def fail():
    raise ValueError(SECRET)
try:
    fail()
except ValueError as error:
    log.error("broke", action="x", exc_info=error)
    log.exception("broke", action="x")
    logging.getLogger("mode").exception("Crashed reason=%r", error)
async def forgotten():
    task = asyncio.get_running_loop().create_future()
    task.set_exception(ValueError(SECRET))
    del task
asyncio.run(forgotten())
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


def _failing() -> BaseException:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(f"cannot take {SECRET}") from error
    except ValueError as error:
        return error


def test_an_error_is_described_by_kinds_and_places() -> None:
    text = described(_failing())
    assert SECRET not in text
    assert text.index("KeyError") < text.index("ValueError")
    assert "test_discretion.py" in text
    assert " in _failing" in text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("PostgreSQL: the connection was refused"), "Unavailable: PostgreSQL: the connection was refused"),
        (FileNotFoundError(2, "No such file", SECRET), "FileNotFoundError: errno 2"),
        (ValueError(SECRET), "ValueError"),
        (psycopg.errors.UniqueViolation(SECRET), "UniqueViolation sqlstate=23505"),
    ],
)
def test_kind_and_code_are_said(error: BaseException, said: str) -> None:
    assert about(error) == said


def test_a_library_that_prints_an_error_prints_its_kind() -> None:
    record = logging.LogRecord("lib", logging.ERROR, "f", 1, "failed: %r %s", (ValueError(SECRET), 3), None)
    assert Discreet().filter(record)
    assert record.getMessage() == "failed: 'ValueError' 3"


def test_a_process_says_what_went_wrong_and_nothing_of_what_it_held() -> None:
    done = subprocess.run((sys.executable, "-c", _SHOUT), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert SECRET not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines][:1] == ["ours"]
    assert sum("ValueError" in line.get("exception", "") for line in lines) >= 5
    assert {line["process"] for line in lines if "process" in line} == {"tester"}
