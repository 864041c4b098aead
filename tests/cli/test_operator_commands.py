"""The operator commands on real engines."""

import json
import os
from collections.abc import Mapping

import pytest

from cli.errors import Exit
from cli.main import run
from projections.applying import apply_facts
from runtime.kafka import REDRIVE_HEADER, EventProducer, Incoming, dead_letter, outgoing
from runtime.postgres import connection
from runtime.registry import Registry
from runtime.settings import Settings
from runtime.topic_reader import read_topic
from schemas.codec import Codec, headers
from schemas.records import CancellationRequested
from schemas.topics import CONTROLS
from tests.projections.facts import Job, conversation

JOB = "3d2f0c60-6d6c-5b86-9c07-0f5a3c0c0001"


@pytest.fixture
def settings(workspace: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A workspace, as the environment an operator works in."""
    for name in [name for name in os.environ if name.startswith("PALIMPSEST_")]:
        monkeypatch.delenv(name)
    for name, value in workspace.items():
        monkeypatch.setenv(name, value)
    return Settings.read(workspace)


def _give_up(settings: Settings, *, broken: bool, job_id: str = JOB, offset: int = 7) -> None:
    """Puts a record on the dead-letter topic, as a worker does."""
    record = CancellationRequested(
        event_id=job_id,
        job_id=job_id,
        tenant_id="t",
        actor="somebody\x1b[2J",
        occurred_at=1_760_000_000_000,
        cause_id=job_id,
    )
    out = outgoing(record, CONTROLS, Codec(Registry(settings.registry_url)), settings.kafka.partitions, "test")
    came = Incoming(
        topic=CONTROLS,
        partition=0,
        offset=offset,
        key=job_id.encode(),
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


def _rows(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, str]]:
    capsys.readouterr()
    assert run(["dead-letters", "list", "--json", *options]) == Exit.DONE
    found: list[dict[str, str]] = json.loads(capsys.readouterr().out)
    return found


def _standing(settings: Settings, job: Job) -> None:
    with connection(settings.postgres_dsn) as conn:
        apply_facts(conn, 0, job.facts)


def test_a_redriven_letter_comes_back_as_it_was_and_is_listed_no_more(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(1)
    job.accepted("call.wav")
    _standing(settings, job)
    _give_up(settings, broken=False, job_id=job.job_id)
    (row,) = _rows(capsys)
    assert run(["dead-letters", "redrive", "--dry-run", row["place"]]) == Exit.DONE
    assert "would be redriven" in capsys.readouterr().out
    assert list(read_topic(settings.kafka, CONTROLS)) == []
    assert run(["dead-letters", "redrive", row["place"]]) == Exit.DONE
    (back,) = read_topic(settings.kafka, CONTROLS)
    assert (back.partition, back.key, back.redrives) == (0, job.job_id.encode(), 1)
    record = Codec(Registry(settings.registry_url)).decode(back.value or b"")
    assert record.event_id == job.job_id
    assert dict(back.headers) == {**dict(headers(record, "test")), REDRIVE_HEADER: b"1"}
    assert _rows(capsys) == []
    (settled,) = _rows(capsys, "--all")
    assert (settled["place"], settled["settled"]) == (row["place"], "redriven")


def test_what_cannot_help_is_not_sent_unless_forced(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    _give_up(settings, broken=False)
    assert run(["dead-letters", "redrive", "0/0"]) == Exit.FAILED
    assert "kept: no job of this id is known" in capsys.readouterr().out
    assert list(read_topic(settings.kafka, CONTROLS)) == []
    assert run(["dead-letters", "redrive", "--force", "0/0"]) == Exit.DONE
    assert len(list(read_topic(settings.kafka, CONTROLS))) == 1
    _give_up(settings, broken=True, job_id="3d2f0c60-6d6c-5b86-9c07-0f5a3c0c0002", offset=8)
    assert run(["dead-letters", "redrive", "--cause", "Poison", "--yes"]) == Exit.FAILED
    assert "still cannot be read" in capsys.readouterr().out


def test_a_letter_of_an_erased_job_is_never_sent_again(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    job = conversation()
    job.erased()
    _standing(settings, job)
    _give_up(settings, broken=False, job_id=job.job_id)
    assert run(["dead-letters", "redrive", "--force", "0/0"]) == Exit.FAILED
    assert "the job was erased" in capsys.readouterr().out
    assert list(read_topic(settings.kafka, CONTROLS)) == []


def test_letters_are_discarded_by_filter_when_that_is_confirmed(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _give_up(settings, broken=False)
    _give_up(settings, broken=True)  # the same record once more, as after a crash: one letter
    assert len(_rows(capsys)) == 1
    assert run(["dead-letters", "discard", "--job", JOB]) == Exit.DONE
    assert "add --yes" in capsys.readouterr().out
    assert run(["dead-letters", "discard", "--topic", "uploads", "--yes"]) == Exit.DONE
    assert len(_rows(capsys)) == 1
    assert run(["dead-letters", "discard", "--job", JOB, "--yes", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["letters"][0]["action"] == "discarded"
    assert _rows(capsys) == []
    assert [row["settled"] for row in _rows(capsys, "--all")] == ["discarded"]
    assert run(["dead-letters", "discard"]) == Exit.USAGE
    assert run(["dead-letters", "redrive", "0/99"]) == Exit.NOT_FOUND


def test_a_report_that_cannot_look_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PALIMPSEST_POSTGRES_DSN", "postgresql://127.0.0.1:9/none")
    assert run(["erasure-report", JOB]) == Exit.UNREACHABLE
    assert "PostgreSQL" in capsys.readouterr().err
