"""Erasures and retention while one place is away or refuses: the others forget, and the rest is made up for soon."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from effects.retention import Retention, set_retention
from effects.sweeps.erasures import erase_again, erase_all
from effects.sweeps.retention import expire_audio
from effects.sweeps.rewriting import LARGE_TABLES, SMALL_TABLES, rewrite
from effects.world import World
from projections.search.index import ALIAS, INDEX, index_body
from runtime.errors import StoreRefuses, Unavailable
from runtime.objects import ObjectStore, Purged
from runtime.opensearch import SearchEngine
from runtime.settings import OpenSearch, Settings
from tests.effects.test_erasures import erased
from tests.effects.test_retention import aged
from tests.effects.test_sweeps import _KEY, accepted, rows, show, stored
from tests.projections.facts import Job, job_id

NOWHERE = "http://127.0.0.1:1"
Held = Callable[[Job], None]


@pytest.fixture
def away(settings: Settings) -> Iterator[SearchEngine]:
    """A search engine that nobody answers for."""
    engine = SearchEngine(OpenSearch(url=NOWHERE, index_prefix=settings.opensearch.index_prefix), 1.0, 0)
    yield engine
    engine.close()


@pytest.fixture
def held(world: World, monkeypatch: pytest.MonkeyPatch) -> Held:
    """Has the store refuse to delete what belongs to a job, as it does where something is held."""
    world.search.create_index(INDEX, index_body(), ALIAS)
    purge = ObjectStore.purge

    def hold(job: Job) -> None:
        def refuse(store: ObjectStore, prefix: str) -> Purged:
            if job.job_id in prefix:
                raise StoreRefuses("held")
            return purge(store, prefix)

        monkeypatch.setattr(ObjectStore, "purge", refuse)

    return hold


def _keys(world: World) -> set[str]:
    return {key.split("/")[1] for key in world.objects.keys("")}


async def test_search_that_is_away_keeps_nothing_else_from_being_forgotten(
    world: World, settings: Settings, away: SearchEngine
) -> None:
    await accepted(world, settings, 1)
    rows(settings, _KEY, job_id(1))
    first, second = erased(1), erased(2)
    for job in (first, second):
        show(settings, job)
        stored(world, job)
    without = replace(world, search=away)
    with pytest.raises(Unavailable):
        await erase_all(without)
    assert _keys(world) == set()
    assert rows(settings, "SELECT answer_status, answer_body FROM idempotency_keys") == [(410, b"")]
    rows(settings, "DELETE FROM search_pending")
    with pytest.raises(Unavailable):
        await rewrite(without)
    assert {store for (store,) in rows(settings, "SELECT store FROM rewrites")} == {SMALL_TABLES, LARGE_TABLES}

    # Nothing is settled meanwhile, and the look is made again soon after the engine is back.
    world.search.create_index(INDEX, index_body(), ALIAS)
    rows(settings, "UPDATE erasures SET noticed_at = now() - interval '2 hours'")
    assert await erase_again(world) == 0
    rows(settings, "UPDATE erasures SET passed_at = passed_at - interval '10 seconds'")
    assert await erase_again(world) == 2
    assert rows(settings, "SELECT count(*) FROM erasures WHERE settled_at IS NOT NULL") == [(2,)]


async def test_what_is_held_of_one_job_keeps_no_other_from_being_forgotten(
    world: World, settings: Settings, held: Held
) -> None:
    first, second = sorted((erased(1), erased(2)), key=lambda job: job.job_id)
    for job in (first, second):
        show(settings, job)
        stored(world, job)
    held(first)
    with pytest.raises(StoreRefuses):
        await erase_all(world)
    assert _keys(world) == {first.job_id}
    rows(
        settings, "UPDATE erasures SET passed_at = now() - interval '2 hours', noticed_at = now() - interval '2 hours'"
    )
    with pytest.raises(StoreRefuses):
        await erase_again(world)
    assert rows(settings, "SELECT job_id FROM erasures WHERE settled_at IS NOT NULL") == [(second.job_id,)]


async def test_a_held_recording_keeps_no_other_from_going_by_age(world: World, settings: Settings, held: Held) -> None:
    jobs = sorted((aged(1, 5), aged(2, 4)), key=lambda job: job.job_id)
    for job in jobs:
        show(settings, job)
        stored(world, job)
    set_retention(settings.postgres_dsn, Retention(tenant_id="acme", audio_days=3, transcript_days=None))
    held(jobs[0])
    with pytest.raises(StoreRefuses):
        await expire_audio(world)
    assert _keys(world) == {jobs[0].job_id}
    assert rows(settings, "SELECT job_id FROM audio_expiries") == [(jobs[1].job_id,)]
