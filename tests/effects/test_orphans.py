"""Objects of no job go, and only when the database knows all that the log knows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from effects.sweeps import orphans
from effects.sweeps.acceptances import repeat_acceptances
from effects.sweeps.orphans import job_of, sweep_orphans
from effects.world import World
from runtime.errors import Unavailable
from runtime.objects import Entry
from runtime.settings import Settings
from runtime.topic_reader import end_offsets
from tests.effects.test_sweeps import accepted, left, rows, show, stored
from tests.projections.facts import conversation, job_id


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "CAUGHT_UP_PAUSE_S", 0.0)


def at_once(world: World) -> World:
    """The same world where whatever is there is old."""
    return replace(world, forgetting=replace(world.forgetting, orphan_hours=0))


async def test_what_no_job_and_no_acceptance_names_goes_when_it_is_old(world: World, settings: Settings) -> None:
    shown, erased, unknown = (conversation(number) for number in (1, 2, 3))
    erased.erased()
    for job in (shown, erased):
        show(settings, job)
    everything = stored(world, shown)
    stored(world, unknown)
    world.objects.put(f"acme/{erased.job_id}/evidence/late.bin", b"x")
    world.objects.put("somebody/else", b"x")
    await accepted(world, settings, 4)
    world.objects.put(f"acme/{job_id(4)}/audio", b"x")
    world.objects.begin(f"acme/{job_id(5)}/audio")

    assert await sweep_orphans(world) == 1  # of the erased job whatever its age
    assert left(world, unknown) == everything
    assert await sweep_orphans(at_once(world)) == len(everything) + 1
    assert left(world, unknown) == left(world, erased) == set()
    assert left(world, shown) == everything
    assert [*world.objects.keys("somebody/")] == ["somebody/else"]
    assert [*world.objects.keys(f"acme/{job_id(4)}")] == [f"acme/{job_id(4)}/audio"]
    assert [*world.objects.open_uploads("")] == []


@pytest.mark.parametrize("promised", [False, True], ids=["stored", "promised"])
async def test_what_is_stored_anew_after_the_look_at_its_page_stays(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, promised: bool
) -> None:
    """A client repeats, a day later, an upload whose first try left its object behind."""
    key, untouched = f"acme/{job_id(4)}/audio", f"acme/{job_id(5)}/audio"
    for each in (key, untouched):
        world.objects.put(each, b"old")
    old, look = next(world.objects.entries(key)).since, orphans._doomed
    looks = 0

    async def doomed(world: World, page: Sequence[Entry], cutoff: datetime) -> list[Entry]:
        nonlocal looks
        found = await look(world, page, cutoff)
        looks += 1
        if looks == 1:  # the page is looked through, and a moment passes
            while not promised and next(world.objects.entries(key)).since == old:
                world.objects.put(key, b"new")
            if promised:
                await accepted(world, settings, 4)
        return found

    monkeypatch.setattr(orphans, "_doomed", doomed)
    assert await sweep_orphans(at_once(world)) == 1
    assert [*world.objects.keys("acme/")] == [key]


async def test_nothing_goes_while_the_views_are_behind_the_log(world: World, settings: Settings) -> None:
    unknown = conversation(3)
    everything = stored(world, unknown)
    await accepted(world, settings, 3)
    rows(settings, "UPDATE accepted_requests SET accepted_at = now() - interval '11 seconds'")
    assert await repeat_acceptances(world) == 1
    rows(settings, "DELETE FROM accepted_requests")  # as after a loss of the database
    with pytest.raises(Unavailable):
        await sweep_orphans(at_once(world))
    assert left(world, unknown) == everything
    for partition, end in end_offsets(settings.kafka, "uploads").items():
        put = "INSERT INTO consumer_offsets VALUES (%s, 'uploads', %s, %s)"
        rows(settings, put, settings.kafka.group("assembler"), partition, end)
    assert await sweep_orphans(at_once(world)) == len(everything)


def test_only_keys_of_ours_name_a_job() -> None:
    assert job_of(f"acme/{job_id(1)}/audio") == job_id(1)
    assert job_of(f"acme/{job_id(1)}") is None
    assert job_of("acme/not-a-job/audio") is None
