"""A job's state is kept as JSON between transactions."""

import msgspec

from streams.assembler.state import State
from tests.streams.assembler.given import Inputs
from tests.streams.assembler.test_decide import gappy


def test_the_state_survives_its_own_json() -> None:
    given = Inputs()
    job = gappy(given)
    job.give(given.retried(), given.failed(1, round_=1), given.merged("spk2", "spk1"))
    text = msgspec.json.encode(job.known)
    assert msgspec.json.decode(text, type=State) == job.known
