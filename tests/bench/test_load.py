"""What counts as a clear answer."""

import pytest

from bench.load import ANSWER_LIMIT_S, fault_of

PROBLEM = {"content-type": "application/problem+json", "retry-after": "5"}


@pytest.mark.parametrize(
    ("status", "headers", "elapsed_s", "clear"),
    [
        (202, {}, 0.1, True),
        (409, {}, 0.1, True),
        (503, PROBLEM, 0.1, True),
        (503, {"content-type": "application/problem+json"}, 0.1, False),
        (503, {"content-type": "text/html", "retry-after": "5"}, 0.1, False),
        (500, PROBLEM, 0.1, False),
        (202, {}, ANSWER_LIMIT_S + 1, False),
    ],
)
def test_a_clear_answer(status: int, headers: dict[str, str], elapsed_s: float, clear: bool) -> None:
    assert (fault_of(status, headers, elapsed_s) == "") is clear
