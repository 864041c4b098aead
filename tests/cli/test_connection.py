"""Which server a command talks to, and that a key goes nowhere it does not belong."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from cli.connection import add_server_options, operator_settings, server_from
from cli.errors import CommandError, Exit
from local.layout import Layout


def _arguments(*given: str) -> Namespace:
    parser = ArgumentParser()
    add_server_options(parser)
    return parser.parse_args(given)


@pytest.fixture
def local_home(tmp_path: Path) -> Path:
    """A home whose stack has a key."""
    key = Layout(home=tmp_path).local_key
    key.parent.mkdir(parents=True)
    key.write_text("pal_local\n")
    return tmp_path


def test_arguments_win_over_the_environment() -> None:
    environment = {"PALIMPSEST_URL": "http://b", "PALIMPSEST_KEY": "pal_b"}
    server = server_from(_arguments("--server", "https://a/", "--key", "pal_a"), environment)
    assert (server.url, server.key) == ("https://a", "pal_a")
    server = server_from(_arguments(), environment)
    assert (server.url, server.key) == ("http://b", "pal_b")


def test_a_key_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("pal_f\n")
    environment = {"PALIMPSEST_URL": "http://b", "PALIMPSEST_KEY_FILE": str(tmp_path / "key")}
    assert server_from(_arguments(), environment).key == "pal_f"


def test_the_local_stack_is_found_through_its_home(local_home: Path) -> None:
    environment = {"PALIMPSEST_HOME": str(local_home), "PALIMPSEST_PORT_BASE": "20000"}
    server = server_from(_arguments(), environment)
    assert (server.url, server.key) == ("http://127.0.0.1:20000", "pal_local")


def test_the_local_key_is_not_sent_elsewhere(local_home: Path) -> None:
    with pytest.raises(CommandError) as refused:
        server_from(_arguments("--server", "https://elsewhere"), {"PALIMPSEST_HOME": str(local_home)})
    assert refused.value.status is Exit.DENIED


def test_a_key_that_no_header_can_hold_is_refused_in_words() -> None:
    environment = {"PALIMPSEST_URL": "http://b", "PALIMPSEST_KEY": " pal_b\n"}
    assert server_from(_arguments(), environment).key == "pal_b"
    for key in ("pal_ä", "pal_\nb"):
        with pytest.raises(CommandError) as refused:
            server_from(_arguments("--server", "http://b", "--key", key), {})
        assert refused.value.status is Exit.DENIED and key not in str(refused.value)


@pytest.mark.parametrize(("server", "status"), [("elsewhere:80", Exit.USAGE), ("file:///etc", Exit.USAGE)])
def test_what_is_no_address_is_refused(server: str, status: Exit) -> None:
    with pytest.raises(CommandError) as refused:
        server_from(_arguments("--server", server, "--key", "k"), {})
    assert refused.value.status is status


def test_without_any_server_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="palimpsest up") as refused:
        server_from(_arguments(), {"PALIMPSEST_HOME": str(tmp_path)})
    assert refused.value.status is Exit.UNREACHABLE


def test_operators_without_an_installation_are_told_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="palimpsest up"):
        operator_settings({"PALIMPSEST_HOME": str(tmp_path)})


def test_operators_are_told_which_setting_is_missing() -> None:
    with pytest.raises(CommandError, match="PALIMPSEST_"):
        operator_settings({"PALIMPSEST_KAFKA_BOOTSTRAP": "kafka:9092"})
