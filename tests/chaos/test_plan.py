"""Plans: repeatable, and nobody is left out of a long run."""

import io
from collections import Counter
from itertools import pairwise

import pytest
import soundfile

from schemas.topics import UPLOADS_LONG, upload_topic
from tests.chaos.plan import ENGINES, GAP_S, OURS, PAUSE_S, Kind, Script, plan
from tests.chaos.run import CALM_JOBS, drawn
from tests.chaos.sounds import heavy as heavier
from tests.chaos.sounds import recording

MINUTES = 30


def test_a_seed_gives_the_same_plan_again() -> None:
    assert plan(7, 3, 50) == plan(7, 3, 50)
    assert plan(7, 3, 50).faults != plan(8, 3, 50).faults


@pytest.mark.parametrize("seed", range(5))
def test_a_long_run_kills_and_pauses_everybody(seed: int) -> None:
    done = Counter((fault.target, fault.kind) for fault in plan(seed, MINUTES, 1).faults)
    for name in OURS:
        assert done[name, Kind.KILL] + done[name, Kind.KILL_FAMILY] >= 3, name
        assert done[name, Kind.PAUSE] >= 1, name
    for name in ENGINES:
        assert done[name, Kind.KILL] >= 1, name
        assert done[name, Kind.PAUSE] >= 1, name


def test_faults_come_every_few_seconds_and_pauses_outlast_the_session() -> None:
    faults = plan(1, MINUTES, 1).faults
    gaps = [after.at_s - before.at_s for before, after in pairwise(faults)]
    assert all(GAP_S[0] - 0.02 <= gap <= GAP_S[1] + 0.02 for gap in gaps)
    pauses = [fault.duration_s for fault in faults if fault.kind is Kind.PAUSE and fault.target in OURS]
    assert all(PAUSE_S[0] <= pause <= PAUSE_S[1] for pause in pauses)


def test_clients_do_everything_that_people_do() -> None:
    assert {upload.script for upload in plan(1, MINUTES, 300).uploads} == set(Script)


@pytest.mark.parametrize("seed", range(5))
def test_uploads_begin_until_the_last_fault(seed: int) -> None:
    starts = [upload.at_s for upload in plan(seed, MINUTES, 200).uploads]
    assert MINUTES * 60 - 60 < max(starts) <= MINUTES * 60


@pytest.mark.parametrize("jobs", [10, 200])
def test_some_uploads_go_to_the_chunker_of_long_ones(jobs: int) -> None:
    uploads = plan(3, MINUTES, jobs).uploads
    heavy = [upload for upload in uploads if upload.heavy]
    assert 1 <= len(heavy) <= 0.03 * jobs + 1
    assert all(upload.script is not Script.RUBBISH for upload in heavy)
    sound = recording(3, 0, 2.0)
    assert upload_topic(len(large := heavier(sound))) == UPLOADS_LONG
    assert (soundfile.read(io.BytesIO(large))[0] == soundfile.read(io.BytesIO(sound))[0]).all()


def test_what_is_repeated_calmly_comes_from_the_whole_run() -> None:
    whole = plan(4, MINUTES, 300)
    again = drawn(whole, {upload.number for upload in whole.uploads})
    assert len({upload.number for upload in again}) == CALM_JOBS
    assert sum(upload.at_s > MINUTES * 30 for upload in again) > CALM_JOBS / 4
    assert again == drawn(whole, {upload.number for upload in whole.uploads})
