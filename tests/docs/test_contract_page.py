"""docs/topics-and-records.md is what the topics and schema files say."""

from tests.docs.contract_page import MARK, PAGE, generated


def test_the_page_is_up_to_date() -> None:
    _, mark, below = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert mark, "the page has lost its mark"
    assert below.strip() == generated().strip(), "run `python -m tests.docs.contract_page`"
