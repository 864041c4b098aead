"""Named SQL, tables and the check that they are this program's."""

import select
import threading
from collections.abc import Mapping

import pytest

from runtime import postgres
from runtime.errors import Unavailable
from runtime.postgres import (
    TABLE_OWNERS,
    SchemaOutdated,
    apply_schema,
    async_connection,
    check_schema,
    connection,
    load_sql,
)
from runtime.settings import Settings
from tests.deadline import until


def test_statements_are_found_by_name() -> None:
    sql = load_sql("runtime")
    assert sql["move_offset"].startswith("UPDATE consumer_offsets")
    assert "-- name" not in sql["next_offsets"]


def test_every_owner_has_tables() -> None:
    assert len(set(TABLE_OWNERS)) == len(TABLE_OWNERS)


def test_any_number_of_starters_may_apply_the_tables(workspace: Mapping[str, str]) -> None:
    dsn = Settings.read(workspace).postgres_dsn
    starters = [threading.Thread(target=apply_schema, args=(dsn,)) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    with connection(dsn) as conn:
        check_schema(conn)


def test_other_tables_are_refused(workspace: Mapping[str, str]) -> None:
    with connection(Settings.read(workspace).postgres_dsn) as conn:
        conn.execute("DELETE FROM schema_version")
        with pytest.raises(SchemaOutdated, match="schema apply"):
            check_schema(conn)
        conn.rollback()
        conn.execute("DROP TABLE schema_version")
        with pytest.raises(SchemaOutdated):
            check_schema(conn)
        conn.rollback()


def test_a_process_that_hangs_in_a_transaction_loses_its_locks(workspace: Mapping[str, str]) -> None:
    with pytest.raises(Unavailable), connection(Settings.read(workspace).postgres_dsn) as conn:
        row = conn.execute("SELECT current_setting('idle_in_transaction_session_timeout')").fetchone()
        assert row == ("1min",)
        conn.execute("SET idle_in_transaction_session_timeout = 50")
        ended, _, _ = select.select([conn.fileno()], [], [], 10.0)
        assert ended
        conn.execute("SELECT 1")


def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable), connection("postgresql://127.0.0.1:9/none"):
        pass


async def test_so_is_one_for_async_code(workspace: Mapping[str, str]) -> None:
    async with async_connection(Settings.read(workspace).postgres_dsn) as conn:
        assert await (await conn.execute("SHOW statement_timeout")).fetchone() == ("1min",)
    with pytest.raises(Unavailable):
        async with async_connection("postgresql://127.0.0.1:9/none"):
            pass


async def test_what_is_read_is_of_one_moment(workspace: Mapping[str, str]) -> None:
    dsn = workspace["PALIMPSEST_POSTGRES_DSN"]
    count, more = b"SELECT count(*) FROM nudges", "INSERT INTO nudges (partition, nudged_at) VALUES (%s, now())"
    async with postgres.pool(dsn, maximum=1) as connections, async_connection(dsn) as other:
        async with postgres.borrowed(connections) as conn:
            assert await (await conn.execute(count)).fetchone() == (0,)
            await other.execute(more, (0,))
            assert await (await conn.execute(count)).fetchone() == (0,)
        async with postgres.borrowed(connections, commit="nudges.note") as conn:  # who writes sees what others write
            assert await (await conn.execute(count)).fetchone() == (1,)
            await other.execute(more, (1,))
            assert await (await conn.execute(count)).fetchone() == (2,)
        async with async_connection(dsn) as conn, postgres.snapshot(conn):
            assert await (await conn.execute(count)).fetchone() == (2,)
            await other.execute(more, (2,))
            assert await (await conn.execute(count)).fetchone() == (2,)


def test_a_connection_of_a_thread_is_cut_when_it_says_nothing(workspace: Mapping[str, str]) -> None:
    with (
        pytest.raises(Unavailable),
        connection(workspace["PALIMPSEST_POSTGRES_DSN"], autocommit=True) as conn,
        postgres.answered_within(0.3, conn),
    ):
        conn.execute(b"SELECT pg_sleep(60)")
    with connection(workspace["PALIMPSEST_POSTGRES_DSN"]) as conn:
        with postgres.answered_within(0.3, conn):
            conn.execute(b"SELECT 1")
        until(lambda: not any(isinstance(each, threading.Timer) for each in threading.enumerate()), 5, "no timer runs")
        conn.execute(b"SELECT 1")  # what answered in time stays


async def test_a_connection_that_is_borrowed_for_too_long_is_cut(workspace: Mapping[str, str]) -> None:
    async with postgres.pool(workspace["PALIMPSEST_POSTGRES_DSN"], limit_s=0.3) as connections:
        with pytest.raises(Unavailable):
            async with postgres.borrowed(connections) as conn:
                await conn.execute(b"SELECT pg_sleep(60)")
        async with postgres.borrowed(connections) as conn:  # and the pool has made a new one
            await conn.execute(b"SELECT 1")
