"""Languages: each window its own, unless it is short or unclear; the chunk's is that of most of its time."""

from hypothesis import given
from hypothesis import strategies as st

from streams.speech.engines.languages import Heard, Language, among, choose, rivals, vote


def heard(length_ms: int, **probabilities: float) -> Heard:
    return Heard(length_ms=length_ms, probabilities=probabilities)


def test_clear_windows_keep_their_own_language() -> None:
    found = choose([heard(9_000, en=0.9, de=0.1), heard(5_000, en=0.2, de=0.8)])
    assert [language.code for language in found] == ["en", "de"]


def test_a_short_or_unclear_window_follows_its_neighbours() -> None:
    found = choose([heard(20_000, en=0.9, cy=0.05), heard(800, en=0.1, cy=0.8), heard(9_000, en=0.3, cy=0.4)])
    assert [language.code for language in found] == ["en", "en", "en"]
    assert found[1].probability == 0.1


def test_the_only_window_is_taken_at_its_word() -> None:
    assert choose([heard(500, ja=0.4, zh=0.3)]) == [Language(code="ja", probability=0.4)]


def test_no_window_no_language() -> None:
    assert choose([]) == []
    assert vote([]) is None


spoken = st.lists(
    st.tuples(
        st.builds(Language, code=st.sampled_from(["en", "de", "ja"]), probability=st.floats(0, 1)),
        st.integers(0, 30_000),
    ),
    min_size=1,
)


@given(spoken)
def test_the_vote_is_for_the_language_of_most_time(windows: list[tuple[Language, int]]) -> None:
    voted = vote(windows)
    assert voted is not None
    lengths = {code: sum(ms for language, ms in windows if language.code == code) for code in ("en", "de", "ja")}
    assert lengths[voted.code] == max(lengths.values())
    assert 0 <= voted.probability <= 1


def test_only_languages_that_may_be_spoken_are_looked_for() -> None:
    found = among({"cy": 0.6, "en": 0.3, "de": 0.1}, ["en", "de"])
    assert found == {"en": 0.3 / 0.4, "de": 0.1 / 0.4}
    assert among({"cy": 0.6, "en": 0.3}, []) == {"cy": 0.6, "en": 0.3}


def test_an_unclear_lone_window_has_two_candidates() -> None:
    assert [found.code for found in rivals({"cy": 0.4, "en": 0.35, "de": 0.1})] == ["cy", "en"]
    assert [found.code for found in rivals({"cy": 0.1, "en": 0.85})] == ["en"]
    assert rivals({}) == []
