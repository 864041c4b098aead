"""Search on a real engine: what is found, what is shown, and what hostile queries cannot do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from projections.search.documents import Source, document
from projections.search.index import ALIAS, INDEX, index_body
from projections.search.queries import MAX_TEXT_CHARS, SearchHit, SearchPage, SearchRequest, search
from projections.transcripts.speakers import SpeakerRow, Speakers
from runtime.errors import Refused
from runtime.opensearch import Document, SearchEngine
from runtime.settings import Settings
from tests.hostile.texts import STRINGS
from tests.projections.facts import BORN_MS, TENANT, job_id, spoken

RIVAL = "rival"
DAY_MS = 86_400_000
TEXTS = {
    "s1-1": "The quick brown fox jumps over the lazy dog",
    "s1-2": "A fox in a naïve café, said <b>Bob</b> & Co",
    "s1-3": "東京都に行きました",
    "s1-4": "Over the hills and far away",
    "s1-5": "internationalization matters",
}
SPOKEN_BY = {
    (1, "s1-1"): "spk1",
    (1, "s1-2"): "spk2",
    (1, "s1-4"): "spk1",
    (1, "s1-5"): "spk2",
    (2, "s1-1"): "spk2",
}
HOSTILE = [
    "tenant_id:* OR *",
    'tenant_id:"rival"',
    '") OR ("',
    "/.*/",
    "*" * 400,
    "* " * 60,
    '"' * 401,
    "(" * 450,
    "((((((((((a))))))))))",
    "a* b* c* d* e* f* g* h* i* j* k* l* m* n* o* p* q* r* s* t* u* v* w* x* y* z*",
    "-" * 300,
    "- fox",
    "+|-",
    "fox~9999999999999999999",
    '"fox dog"~99999999999',
    "a~2 b~2 c~2",
    "\\",
    "\\\\\\",
    "\x00",
    "\ue000\ue001",
    "${jndi:ldap://x}",
    '{"match_all":{}}',
    "[1 TO 2]",
    "fox AND (secret OR *)",
    "<script>alert(1)</script>",
    "\u202efox",
    "é" * 500,
    "長" * 500,
    "😀" * 500,
    "a" * 500,
    "_exists_:text",
    "fox\n\n\rdog",
    "* | *",
    "-fox",
]
NASTY = st.text(
    st.sampled_from('*"()|+-~\\/:{}[]^!&<>= \u0000\ue000\u202e') | st.characters(codec="utf-8"), max_size=60
) | st.lists(st.sampled_from(["fox", "fo*", '"', "|", "-", "(", ")", "secret", "*", "~1", " "]), max_size=40).map(
    "".join
)


def _source(job: int, segment_id: str, text: str, tenant: str) -> Source:
    start_ms = int(segment_id.rpartition("-")[2]) * 10_000
    return Source(
        job_id=job_id(job),
        segment_id=segment_id,
        mark=1,
        tenant_id=tenant,
        seq=1,
        removed=False,
        start_ms=start_ms,
        end_ms=start_ms + 9_000,
        speaker_id=SPOKEN_BY.get((job, segment_id)),
        language="ja" if "東" in text else "en",
        text=text,
        words=spoken(text, start_ms, start_ms + 9_000),
        job_seq=1,
        created_at=BORN_MS + DAY_MS * (job == 2),
        file_name="talk.wav",
        erased_seq=None,
        erased_tenant_id=None,
    )


def _speakers(job: int) -> Speakers:
    names = {"spk1": "Zoë Müller", "spk2": "Grace Hopper"}
    return Speakers(
        SpeakerRow(job_id=job_id(job), kind="name", speaker_id=each, text=name, speech_ms=0, seq=1)
        for each, name in names.items()
    )


def _documents() -> list[Document]:
    sources = [_source(1, each, text, TENANT) for each, text in TEXTS.items()]
    sources += [_source(2, "s1-1", "Another fox, another day", TENANT)]
    sources += [_source(3, f"s1-{n}", "secret fox of the rival", RIVAL) for n in range(1, 4)]
    built = [(each, document(each, _speakers(int(each.job_id[-1])))) for each in sources]
    return [
        Document(id=made.id, version=made.version, routing=made.tenant_id, body=made.body)
        for _, made in built
        if made is not None
    ]


@pytest.fixture(scope="module")
def engine(module_workspace: Mapping[str, str]) -> Iterator[SearchEngine]:
    """An engine with the documents of two tenants."""
    with closing(SearchEngine(Settings.read(module_workspace).opensearch)) as engine:
        engine.create_index(INDEX, index_body(), ALIAS)
        engine.write(ALIAS, _documents(), refresh=True)
        yield engine


async def _hits(engine: SearchEngine, text: str, tenant: str = TENANT, **fields: object) -> Sequence[SearchHit]:
    return (await _page(engine, text, tenant, **fields)).hits


async def _page(engine: SearchEngine, text: str, tenant: str = TENANT, **fields: object) -> SearchPage:
    return await search(engine, tenant, SearchRequest(text=text, **fields))  # type: ignore[arg-type]


def _found(hits: Sequence[SearchHit]) -> set[tuple[int, str]]:
    return {(int(hit.job_id[-1]), hit.segment_id) for hit in hits}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fox", {(1, "s1-1"), (1, "s1-2"), (2, "s1-1")}),
        ("FOX jum*", {(1, "s1-1")}),
        ('"brown fox"', {(1, "s1-1")}),
        ('"fox brown"', set()),
        ("fox lazy", {(1, "s1-1")}),
        ("fox -lazy", {(1, "s1-2"), (2, "s1-1")}),
        ("lazy | hills", {(1, "s1-1"), (1, "s1-4")}),
        ("naive CAFE", {(1, "s1-2")}),
        ('"naïve café"', {(1, "s1-2")}),
        ("東京", {(1, "s1-3")}),
        ("東京*", {(1, "s1-3")}),
        ("internationaliza*", {(1, "s1-5")}),
        ("muller", {(1, "s1-1"), (1, "s1-4")}),
        ("fox Hopper", {(1, "s1-2"), (2, "s1-1")}),
        ("hop*", {(1, "s1-2"), (1, "s1-5"), (2, "s1-1")}),
        ("f*", {(1, "s1-1"), (1, "s1-2"), (1, "s1-4"), (2, "s1-1")}),
        ("secret", set()),
        ("unspoken", set()),
    ],
)
async def test_words_phrases_prefixes_and_names(engine: SearchEngine, text: str, found: set[tuple[int, str]]) -> None:
    assert _found(await _hits(engine, text)) == found


async def test_filters(engine: SearchEngine) -> None:
    assert _found(await _hits(engine, "fox", job_id=job_id(2))) == {(2, "s1-1")}
    assert _found(await _hits(engine, "fox", speaker="spk1")) == {(1, "s1-1")}
    assert _found(await _hits(engine, "fox", speaker="zoe muller")) == {(1, "s1-1")}
    assert _found(await _hits(engine, "", language="ja")) == {(1, "s1-3")}
    assert _found(await _hits(engine, "fox", from_ms=BORN_MS + 1)) == {(2, "s1-1")}
    assert _found(await _hits(engine, "fox", to_ms=BORN_MS + DAY_MS)) == {(1, "s1-1"), (1, "s1-2")}


async def test_a_hit_knows_its_moment_and_its_words(engine: SearchEngine) -> None:
    (hit,) = await _hits(engine, "lazy")
    assert hit.highlight == "The quick brown fox jumps over the <mark>lazy</mark> dog"
    assert hit.moment_ms == hit.start_ms + 7 * 1_000
    assert (hit.speaker, hit.speaker_id, hit.file_name) == ("Zoë Müller", "spk1", "talk.wav")


async def test_a_hit_by_speaker_shows_the_text_unmarked(engine: SearchEngine) -> None:
    hit = next(hit for hit in await _hits(engine, "Hopper") if hit.segment_id == "s1-5")
    assert hit.highlight == hit.text
    assert hit.moment_ms == hit.start_ms


async def test_highlights_are_escaped(engine: SearchEngine) -> None:
    (hit,) = await _hits(engine, "bob")
    assert hit.highlight == "A fox in a naïve café, said &lt;b&gt;<mark>Bob</mark>&lt;/b&gt; &amp; Co"


async def test_a_chinese_or_japanese_hit_is_marked(engine: SearchEngine) -> None:
    (hit,) = await _hits(engine, "東京都")
    assert "<mark>" in hit.highlight


async def test_the_last_word_is_a_prefix_while_typing(engine: SearchEngine) -> None:
    assert _found(await _hits(engine, "fox jum", as_you_type=True)) == {(1, "s1-1")}
    assert _found(await _hits(engine, "fox jum")) == set()


async def test_pages_follow_each_other_without_overlap(engine: SearchEngine) -> None:
    seen: list[tuple[int, str]] = []
    cursor: str | None = None
    for _ in range(10):
        page = await _page(engine, "fox", limit=1, cursor=cursor)
        assert (page.total, page.total_is_exact) == (3, True)
        seen += _found(page.hits)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "WzEsMl0", "W251bGwsbnVsbCxudWxsLG51bGwsbnVsbF0"])
async def test_a_foreign_cursor_is_refused(engine: SearchEngine, cursor: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        await _page(engine, "fox", cursor=cursor)


async def test_a_long_query_is_refused(engine: SearchEngine) -> None:
    with pytest.raises(Refused):
        await _page(engine, "a" * (MAX_TEXT_CHARS + 1))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("as_you_type", [False, True])
async def test_hostile_queries_are_harmless(engine: SearchEngine, text: str, as_you_type: bool) -> None:
    for hit in await _hits(engine, text, as_you_type=as_you_type, limit=100):
        assert hit.job_id != job_id(3)


# Three strings to an example.
@examples(max_examples=-(-STRINGS // 3), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=NASTY, speaker=st.none() | NASTY, language=st.none() | NASTY, as_you_type=st.booleans())
async def test_no_text_reaches_another_tenant(
    engine: SearchEngine, text: str, speaker: str | None, language: str | None, as_you_type: bool
) -> None:
    hits = await _hits(engine, text, speaker=speaker, language=language, as_you_type=as_you_type, limit=100)
    assert all("secret" not in hit.text for hit in hits)


async def test_the_rival_finds_only_their_own(engine: SearchEngine) -> None:
    assert _found(await _hits(engine, "fox", tenant=RIVAL)) == {(3, "s1-1"), (3, "s1-2"), (3, "s1-3")}
    assert _found(await _hits(engine, "fox", tenant="rival*")) == set()
