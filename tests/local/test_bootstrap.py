"""Installing: what must be there is named, and the lock can be trusted anywhere."""

import re

import pytest

from local import bootstrap

PRESENT = ("venv", "ensurepip")


def test_this_machine_meets_the_prerequisites() -> None:
    bootstrap.require_prerequisites((3, 11, 7), PRESENT, "linux", "x86_64")


@pytest.mark.parametrize(
    ("version", "modules", "machine", "sentence"),
    [
        ((3, 9, 2), PRESENT, "x86_64", "Python 3.11 is needed and this is 3.9"),
        ((3, 13, 0), PRESENT, "x86_64", "Python 3.11 is needed and this is 3.13"),
        ((3, 11, 2), ("venv", "no_such_module"), "x86_64", "apt install python3-venv"),
        ((3, 11, 2), PRESENT, "aarch64", "Only Linux on x86-64"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    version: tuple[int, int, int], modules: tuple[str, ...], machine: str, sentence: str
) -> None:
    with pytest.raises(bootstrap.Unmet, match=sentence):
        bootstrap.require_prerequisites(version, modules, "linux", machine)


def test_every_locked_package_has_a_version_and_hashes_and_no_address() -> None:
    text = bootstrap.LOCK.read_text()
    packages = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert packages
    assert all("==" in block and "--hash=sha256:" in block for block in packages)
    assert "://" not in text
    assert "index-url" not in text


def test_this_environment_was_made_from_a_lock() -> None:
    assert len(bootstrap.fingerprint()) == 64
