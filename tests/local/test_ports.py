"""The port table, and the sentence when something else holds a port."""

import socket

import pytest

from local.engines import ENGINES
from local.errors import PortTaken
from local.ports import DEFAULT_PORT_BASE, LOOPBACK, OFFSETS, is_listening, port_of, require_free
from local.processes import PROCESSES

LINUX_EPHEMERAL_FIRST = 32768


def test_every_port_is_given_once() -> None:
    assert len(set(OFFSETS.values())) == len(OFFSETS)


def test_every_engine_and_process_has_its_row() -> None:
    rows = [port for engine in ENGINES.values() for port in engine.ports] + list(PROCESSES)
    assert sorted(rows) == sorted(OFFSETS)


def test_default_ports_are_not_handed_out_by_linux() -> None:
    assert all(port_of(name, DEFAULT_PORT_BASE) < LINUX_EPHEMERAL_FIRST for name in OFFSETS)


def test_a_taken_port_is_named_with_its_engine_and_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        assert is_listening(port)
        with pytest.raises(PortTaken) as refused:
            require_free(["kafka"], port - OFFSETS["kafka"])
    assert all(part in str(refused.value) for part in (str(port), "kafka", "PALIMPSEST_PORT_BASE"))


def test_a_port_is_free_again_after_its_holder_has_gone() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        port: int = taken.getsockname()[1]
    require_free(["s3"], port - OFFSETS["s3"])
    assert not is_listening(port)
