"""A restart reads again whatever is not answered, and knows how often it was tried."""

from hypothesis import given
from hypothesis import strategies as st

from streams.speech.offsets import Commit, Ledger, Place, Position


def test_nothing_is_due_before_anything_was_read() -> None:
    assert Ledger().due() is None
    assert Ledger(Commit(5, "")).due() is None


def test_the_contiguous_prefix_is_committed() -> None:
    ledger = Ledger()
    for offset in (10, 11, 12):
        ledger.opened(offset)
    ledger.answered(11)
    assert ledger.due() == Commit(10, "")
    ledger.answered(10)
    assert ledger.due() == Commit(12, "")
    ledger.answered(12)
    assert ledger.due() == Commit(13, "")


def test_a_commit_is_due_once() -> None:
    ledger = Ledger()
    ledger.opened(3)
    commit = ledger.due()
    assert commit == Commit(3, "")
    ledger.saved(commit)
    assert ledger.due() is None
    ledger.tried([3])
    assert ledger.due() == Commit(3, "tries1 0:1")


def test_tries_go_over_to_the_next_member() -> None:
    ledger = Ledger(Commit(4, ""))
    for offset in (4, 5, 6):
        ledger.opened(offset)
    ledger.tried([5, 6])
    ledger.tried([6])
    ledger.answered(4)
    commit = ledger.due()
    assert commit is not None
    heir = Ledger(commit)
    assert [heir.tries(offset) for offset in (4, 5, 6, 7)] == [0, 1, 2, 0]


def test_a_try_taken_back_leaves_no_trace() -> None:
    ledger = Ledger(Commit(4, ""))
    ledger.opened(4)
    ledger.tried([4])
    ledger.untried([4])
    assert ledger.tries(4) == 0
    assert ledger.due() is None


def test_gaps_in_the_log_are_no_records() -> None:
    ledger = Ledger(Commit(0, ""))
    ledger.opened(7)
    assert ledger.due() == Commit(7, "")
    ledger.answered(7)
    ledger.opened(90)
    assert ledger.due() == Commit(90, "")


def test_a_position_names_its_partition() -> None:
    assert Position("chunks.batch", 3, 9).place == Place("chunks.batch", 3)


STEPS = st.lists(st.tuples(st.sampled_from(["answer", "try", "back"]), st.integers(0, 19)), max_size=80)


@given(STEPS)
def test_nothing_unanswered_is_ever_behind_the_commit(steps: list[tuple[str, int]]) -> None:
    ledger, open_offsets = Ledger(Commit(0, "")), set(range(20))
    for offset in range(20):
        ledger.opened(offset)
    for step, offset in steps:
        if step == "answer":
            ledger.answered(offset)
            open_offsets.discard(offset)
        elif offset in open_offsets:
            (ledger.tried if step == "try" else ledger.untried)([offset])
        commit = ledger.due() or Commit(0, "")
        heir = Ledger(commit)
        assert commit.offset <= min(open_offsets, default=20)
        assert all(heir.tries(offset) == ledger.tries(offset) for offset in open_offsets)
        assert ledger.open == len(open_offsets)
        assert ledger.span == 20 - min(open_offsets, default=20)
        assert ledger.behind(25) == 25 - min(open_offsets, default=20)
