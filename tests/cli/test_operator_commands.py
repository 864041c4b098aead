"""The operator commands on real engines."""

import json
import os
from collections.abc import Mapping

import pytest

from cli.errors import Exit
from cli.main import run
from runtime.kafka import EventProducer, Incoming, dead_letter, outgoing
from runtime.registry import Registry
from runtime.settings import Settings
from schemas.codec import Codec, headers
from schemas.records import CancellationRequested
from schemas.topics import CONTROLS

JOB = "3d2f0c60-6d6c-5b86-9c07-0f5a3c0c0001"


@pytest.fixture
def settings(workspace: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A workspace, as the environment an operator works in."""
    for name in [name for name in os.environ if name.startswith("PALIMPSEST_")]:
        monkeypatch.delenv(name)
    for name, value in workspace.items():
        monkeypatch.setenv(name, value)
    return Settings.read(workspace)


def _give_up(settings: Settings, *, broken: bool) -> None:
    """Puts a record on the dead-letter topic, as a worker does."""
    record = CancellationRequested(
        event_id=JOB, job_id=JOB, tenant_id="t", actor="somebody\x1b[2J", occurred_at=1_760_000_000_000, cause_id=JOB
    )
    out = outgoing(record, CONTROLS, Codec(Registry(settings.registry_url)), settings.kafka.partitions, "test")
    came = Incoming(
        topic=CONTROLS,
        partition=0,
        offset=7,
        key=JOB.encode(),
        value=b"\x00broken" if broken else out.value,
        headers=tuple(headers(record, "test")),
        timestamp_ms=0,
    )
    producer = EventProducer(settings.kafka)
    producer.send(dead_letter(came, "assembler", "Poison", "cannot be read", 3))
    producer.flush()


def test_applying_twice_changes_nothing(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topics", "apply"]) == Exit.DONE
    assert capsys.readouterr().out == "all topics are there\n"
    assert run(["schema", "apply"]) == Exit.DONE
    assert run(["schemas", "register"]) == Exit.DONE
    assert "UploadReceived" in capsys.readouterr().out
    assert run(["schemas", "check"]) == Exit.DONE


def test_other_partitions_are_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PALIMPSEST_PARTITIONS", str(settings.kafka.partitions + 1))
    assert run(["topics", "apply"]) == Exit.FAILED
    assert "partitions" in capsys.readouterr().err


def test_a_key_is_made_listed_and_ended(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "--tenant", "acme", "--name", "importer"]) == Exit.DONE
    key_id = capsys.readouterr().out.strip().split("_")[1]
    assert run(["keys", "revoke", key_id]) == Exit.DONE
    assert run(["keys", "revoke", key_id]) == Exit.NOT_FOUND
    capsys.readouterr()
    assert run(["keys", "list", "--tenant", "acme"]) == Exit.DONE
    row = capsys.readouterr().out.splitlines()[1]
    assert key_id in row and "importer" in row


def test_dead_letters_are_listed_with_the_reason(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dead-letters", "list"]) == Exit.DONE
    assert capsys.readouterr().out == "no dead letters\n"
    _give_up(settings, broken=False)
    assert run(["dead-letters", "list", "--json"]) == Exit.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert row["why"] == "Poison: cannot be read"
    assert run(["dead-letters", "list", "--json", "--limit", "0"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == []
    assert (row["topic"], row["group"], row["attempts"], row["job"]) == (CONTROLS, "assembler", "3", JOB)
    assert run(["dead-letters", "show", row["place"]]) == Exit.DONE
    shown = capsys.readouterr().out
    assert "CancellationRequested" in shown and "__dlq.errors.message: cannot be read" in shown
    assert "\x1b" not in shown


def test_a_dead_letter_that_cannot_be_read_is_shown_too(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    _give_up(settings, broken=True)
    assert run(["dead-letters", "show", "0/0"]) == Exit.DONE
    assert "7 bytes that cannot be read" in capsys.readouterr().out
    assert run(["dead-letters", "show", "0/1"]) == Exit.NOT_FOUND


def test_a_view_is_rebuilt_and_its_versions_are_shown(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rebuild", "history"]) == Exit.DONE
    assert "live after" in capsys.readouterr().out
    assert run(["rebuild", "--status"]) == Exit.DONE
    rows = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert ["history", "1", "old"] in rows and ["history", "2", "live"] in rows
    assert run(["rebuild", "history", "--back"]) == Exit.DONE
    assert run(["rebuild", "history", "--drop-old"]) == Exit.DONE
    assert "dropped history_v2" in capsys.readouterr().out
    assert run(["rebuild", "history", "--abandon"]) == Exit.DONE


@pytest.mark.parametrize("arguments", [["rebuild"], ["rebuild", "nonsense"], ["rebuild", "history", "--back"]])
def test_a_rebuild_that_makes_no_sense_is_refused(
    settings: Settings, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == Exit.FAILED
    assert capsys.readouterr().err
