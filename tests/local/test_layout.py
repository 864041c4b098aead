"""The two settings that move a stack."""

from pathlib import Path

import pytest

from local.errors import BadSetting
from local.layout import CHECKOUT, UNIX_SOCKET_PATH_MAX_BYTES, Layout, layout_from, port_base_from
from local.ports import DEFAULT_PORT_BASE


def test_without_settings_everything_lies_in_the_checkout() -> None:
    assert layout_from({}).home == CHECKOUT / ".palimpsest"
    assert port_base_from({}) == DEFAULT_PORT_BASE


def test_the_home_moves_what_a_stack_writes_but_not_what_is_installed(tmp_path: Path) -> None:
    moved = layout_from({"PALIMPSEST_HOME": str(tmp_path)})
    assert {moved.data.parent, moved.logs.parent, moved.run.parent} == {tmp_path}
    assert moved.engines == layout_from({}).engines


def test_the_port_base_is_taken() -> None:
    assert port_base_from({"PALIMPSEST_PORT_BASE": "20000"}) == 20000


@pytest.mark.parametrize("value", ["many", "0", "80", "65500", "-1", "1e4"])
def test_a_port_base_without_room_is_refused(value: str) -> None:
    with pytest.raises(BadSetting, match="PALIMPSEST_PORT_BASE"):
        port_base_from({"PALIMPSEST_PORT_BASE": value})


def test_the_control_socket_fits_into_a_socket_name_however_deep_the_home_is() -> None:
    deep = Layout(home=Path("/" + "deep/" * 60))
    assert len(bytes(deep.supervisor_socket)) <= UNIX_SOCKET_PATH_MAX_BYTES
    assert deep.supervisor_socket != Layout(home=Path("/" + "other/" * 60)).supervisor_socket
