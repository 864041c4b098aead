"""What tests of the assembler's parts stand on: a database, the inputs and the facts, a workshop."""

from collections.abc import Iterator, Mapping

import pytest

from runtime.postgres import Connection, connection
from streams.assembler.workshop import Workshop
from tests.streams.assembler.member import Member
from tests.streams.assembler.running import Bus


@pytest.fixture(scope="module")
def bus(module_workspace: Mapping[str, str]) -> Bus:
    return Bus(module_workspace)


@pytest.fixture(scope="module")
def workshop(bus: Bus) -> Iterator[Workshop]:
    made = Workshop(bus.settings)
    yield made
    made.close()


@pytest.fixture
def conn(module_workspace: Mapping[str, str]) -> Iterator[Connection]:
    with connection(module_workspace["PALIMPSEST_POSTGRES_DSN"], autocommit=True) as made:
        yield made
    while Member.made:
        Member.made.pop().handler.close()
