"""Any record at all, for laws over the whole vocabulary."""

from collections.abc import Mapping
from typing import Any, get_args

from hypothesis import strategies as st

from schemas.records import Record

LONG = st.integers(-(2**40), 2**40)
INT = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)

st.register_type_strategy(str, TEXT)
st.register_type_strategy(int, INT)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(Mapping, lambda _: st.dictionaries(TEXT, TEXT, max_size=3))


def any_record(*kinds: type[Record]) -> st.SearchStrategy[Any]:
    """A record of one of `kinds`, or of any kind, with any content that its types allow."""
    return st.one_of([st.builds(cls) for cls in kinds or get_args(Record)])
