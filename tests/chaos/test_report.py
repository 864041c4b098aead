"""What a run says of itself: recordings, not answers; times from the heal on, kind by kind; a goal that was missed."""

from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.chaos.caller import Caller
from tests.chaos.nemesis import Deeds, Recovery
from tests.chaos.plan import Kind, plan
from tests.chaos.report import HEALS, lines
from tests.chaos.run import QUIET_GOAL_S, Result, acknowledged
from tests.chaos.told import Told

RESULT = Result(
    plan=plan(1, 1, 10),
    deeds=Deeds(),
    disturbed={},
    told={},
    acknowledged=10,
    quiet_s=QUIET_GOAL_S,
    still_moving=[],
    seen=[],
    load_average=1.0,
    wall_s=1.0,
    violations=[],
)


def _upload(key: str, tenant: str = "court", outcome: str = "pending", operation: str = "upload") -> Told:
    return Told(operation=operation, tenant=tenant, number=0, job_id="", outcome=outcome, key=key)


def test_a_recording_counts_once_however_many_clients_handed_it_in() -> None:
    twins = [_upload("a"), _upload("a"), _upload("a", "clinic"), _upload("b")]
    others = [_upload("c", outcome="refused"), _upload("d", operation="upload-again")]
    assert acknowledged([*twins, *others]) == 3


@pytest.mark.parametrize(("quiet_s", "missed"), [(QUIET_GOAL_S, False), (QUIET_GOAL_S + 1, True), (None, True)])
def test_a_goal_that_was_missed_is_said(quiet_s: float | None, missed: bool) -> None:
    said = "\n".join(lines(replace(RESULT, quiet_s=quiet_s)))
    assert ("GOAL MISSED" in said) == missed


def test_times_of_recovery_are_told_apart_by_what_healed() -> None:
    assert {kind for kinds in HEALS.values() for kind in kinds} == set(Kind) - {Kind.FILL}
    back = [
        Recovery(target="api", kind=kind.value, seconds=float(seconds))
        for seconds, kind in enumerate((Kind.KILL, Kind.PAUSE, Kind.RESTART, Kind.KILL_ALL), 1)
    ]
    said = "\n".join(lines(replace(RESULT, deeds=Deeds(recoveries=back))))
    for seconds, heal in enumerate(HEALS, 1):
        assert f"our processes back after {heal}: p50 {seconds}.0 s" in said


class _Confused(BaseHTTPRequestHandler):
    """Gives everybody the same job."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"id": "another", "status": "completed"}')

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_another_job_than_was_asked_for_is_broken() -> None:
    with HTTPServer(("127.0.0.1", 0), _Confused) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        caller = Caller(f"http://127.0.0.1:{server.server_port}", "key", lambda: float("inf"))
        assert caller.job_until("another", lambda _: True) is not None and caller.broken == []
        assert caller.job_until("mine", lambda _: True) is None and len(caller.broken) == 1
        caller.close()
        server.shutdown()
