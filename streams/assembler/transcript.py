"""From words and speaker turns to segments: language consensus, words to speakers, words to segments, flags.

In: the passages of all chunks in order, and who speaks when. Out: segments without ids, and the speakers.
Knows no model and no job. A segment never holds two speakers.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.values import LOW_CONFIDENCE, Passage, Segment, Speaker, Word
from streams.assembler.turns import Turn, TurnIndex
from streams.assembler.words import ends_sentence, fill_times, join, mean_confidence, split, storable

NEAREST_TURN_MS = 1_000  # a word beside a turn by at most this belongs to it
TURN_PAUSE_MS = 300  # after such a pause somebody else may go on
MOVED_MS = 250  # so far beside a turn its speaker may have said a word
MOST_MOVED_MS = 1_500
PAUSE_MS = 1_000
SHORT_SEGMENT_MS = 1_500  # a sentence shorter than this takes the next one along when that follows at once
SHORT_PAUSE_MS = 400
LONG_SEGMENT_MS = 12_000  # beyond this a comma is reason enough to break
LONGEST_SEGMENT_MS = 20_000
MOST_WORDS = 80
CONFIDENT = 0.7  # chosen on bench/results/2026-11-27-quality.md
OVERLAP_SHARE = 0.5
LANGUAGE_SHARE = 0.1  # a language under this share of the speech is taken for a slip of the detector
_COMMAS = ",;:、，；："


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What an assembly gives to its job."""

    segments: tuple[Segment, ...]
    speakers: tuple[Speaker, ...]
    language: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A word in its place with what its passage says of it."""

    word: Word
    start_ms: int
    end_ms: int
    language: str
    flags: tuple[str, ...]


def transcript(
    passages: Sequence[Passage], turns: Sequence[Turn], language: str | None, existing: Mapping[str, Speaker]
) -> Transcript:
    """Segments in order of start. Turns that name no speaker of `existing` get new ids in order of first speech."""
    main = language or consensus(passages)
    spoken = _assigned(_spoken(passages, main), TurnIndex(turns))
    named, speakers = _named(spoken, turns, existing)
    index = TurnIndex(turns)
    segments = tuple(_segment(run, index) for run in _runs(named))
    return Transcript(segments=segments, speakers=speakers, language=main)


def consensus(passages: Sequence[Passage]) -> str | None:
    """The language most of the speech is in, each passage weighed by length and certainty."""
    votes = _votes(passages)
    return max(votes, key=lambda language: votes[language]) if votes else None


def _votes(passages: Sequence[Passage]) -> dict[str, float]:
    votes: dict[str, float] = defaultdict(float)
    for passage in passages:
        if passage.text.strip():
            votes[passage.language] += max(1, passage.end_ms - passage.start_ms) * passage.language_probability
    return votes


def _spoken(passages: Sequence[Passage], main: str | None) -> list[Spoken]:
    votes = _votes(passages)
    total = sum(votes.values()) or 1.0
    found = []
    for passage in sorted(passages, key=lambda item: item.start_ms):
        share = votes.get(passage.language, 0.0) / total
        language = passage.language if share >= LANGUAGE_SHARE or main is None else main
        for word in _timed(passage):
            found.append(
                Spoken(
                    word=word,
                    start_ms=word.start_ms if word.start_ms is not None else passage.start_ms,
                    end_ms=word.end_ms if word.end_ms is not None else passage.end_ms,
                    language=language,
                    flags=passage.flags,
                )
            )
    return found


def _timed(passage: Passage) -> tuple[Word, ...]:
    """A passage's words; where no aligner ran, its text spread over its span."""
    words = passage.words or tuple(Word(text=token) for token in split(passage.text, passage.language))
    clean = [word if "\0" not in word.text else replace(word, text=storable(word.text)) for word in words]
    return fill_times([word for word in clean if word.text.strip()], passage.start_ms, passage.end_ms)


def _assigned(spoken: list[Spoken], turns: TurnIndex) -> list[Spoken]:
    """Each word with the turn it overlaps most; in overlapped talk the speaker before goes on."""
    assigned: list[Spoken] = []
    before: str | None = None
    for item in spoken:
        speaker = turns.speaker(item.start_ms, item.end_ms, before, NEAREST_TURN_MS)
        before = speaker or before
        assigned.append(replace(item, word=replace(item.word, speaker_id=speaker)))
    return _turned_at_sentences(_without_flickers(assigned, turns), turns)


def _without_flickers(spoken: list[Spoken], turns: TurnIndex) -> list[Spoken]:
    """A single word inside another's sentence changes speaker only on the evidence of most of its length."""
    calm = list(spoken)
    for i in range(1, len(spoken) - 1):
        here, left, right = calm[i], calm[i - 1], spoken[i + 1]
        other = left.word.speaker_id
        if other is None or other != right.word.speaker_id or other == here.word.speaker_id:
            continue
        certain = turns.overlap(here.word.speaker_id, here.start_ms, here.end_ms)
        if ends_sentence(left.word.text) or 2 * certain > here.end_ms - here.start_ms:
            continue
        calm[i] = replace(here, word=replace(here.word, speaker_id=other))
    return calm


def _turned_at_sentences(spoken: list[Spoken], turns: TurnIndex) -> list[Spoken]:
    """A change of speaker beside the end of a sentence is moved there: words' times and turns are both a little off."""
    moved = list(spoken)
    for i in range(1, len(spoken)):
        before, after = moved[i - 1].word.speaker_id, moved[i].word.speaker_id
        if before == after or before is None or after is None or _may_turn(moved, i):
            continue
        for k in (i - 1, i + 1, i - 2, i + 2):
            if 0 < k < len(moved) and _may_turn(moved, k) and _may_move(moved, (i, k), turns):
                speaker = after if k < i else before
                for n in range(min(i, k), max(i, k)):
                    moved[n] = replace(moved[n], word=replace(moved[n].word, speaker_id=speaker))
                break
    return moved


def _may_turn(spoken: Sequence[Spoken], i: int) -> bool:
    """Whether somebody else may well begin with this word."""
    return ends_sentence(spoken[i - 1].word.text) or spoken[i].start_ms - spoken[i - 1].end_ms > TURN_PAUSE_MS


def _may_move(spoken: Sequence[Spoken], change: tuple[int, int], turns: TurnIndex) -> bool:
    """Whether the words between are one speaker's who is heard, or just not yet or no more, where they are."""
    i, k = change
    words = spoken[min(i, k) : max(i, k)]
    speaker = spoken[i].word.speaker_id if k < i else spoken[i - 1].word.speaker_id
    if len({item.word.speaker_id for item in words}) > 1:
        return False
    near = turns.overlap(speaker, words[0].start_ms - MOVED_MS, words[-1].end_ms + MOVED_MS)
    return near > 0 and words[-1].end_ms - words[0].start_ms <= MOST_MOVED_MS


def _named(
    spoken: list[Spoken], turns: Sequence[Turn], existing: Mapping[str, Speaker]
) -> tuple[list[Spoken], tuple[Speaker, ...]]:
    """Final ids: known ones stay, new ones count on in order of first speech. Who never says a word gets none."""
    names: dict[str, str] = {}
    taken = max((int(name.removeprefix("spk")) for name in existing), default=0)
    for item in spoken:
        turn = item.word.speaker_id
        if turn is not None and turn not in names:
            if turn not in existing:
                taken += 1
            names[turn] = turn if turn in existing else f"spk{taken}"
    speech: dict[str, int] = defaultdict(int)
    for found in turns:
        if found.speaker in names:
            speech[names[found.speaker]] += found.end_ms - found.start_ms
    old = {name: replace(who, speech_ms=who.speech_ms + speech.pop(name, 0)) for name, who in existing.items()}
    new = {name: Speaker(speaker_id=name, label=f"Speaker {name[3:]}", speech_ms=ms) for name, ms in speech.items()}
    named = [
        replace(item, word=replace(item.word, speaker_id=names.get(item.word.speaker_id or ""))) for item in spoken
    ]
    return named, tuple(sorted((old | new).values(), key=lambda who: int(who.speaker_id[3:])))


def _runs(spoken: Sequence[Spoken]) -> Iterator[list[Spoken]]:
    """Words that make one segment each."""
    run: list[Spoken] = []
    for item in spoken:
        if run and _breaks(run, item):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _breaks(run: Sequence[Spoken], following: Spoken) -> bool:
    last = run[-1]
    length = last.end_ms - run[0].start_ms
    pause = following.start_ms - last.end_ms
    if (following.word.speaker_id, following.language) != (last.word.speaker_id, last.language) or pause > PAUSE_MS:
        return True
    if following.end_ms - run[0].start_ms > LONGEST_SEGMENT_MS or len(run) >= MOST_WORDS:
        return True
    if length > LONG_SEGMENT_MS and last.word.text.rstrip()[-1:] in _COMMAS:
        return True
    if not ends_sentence(last.word.text) or following.word.text.strip()[:1].islower():
        return False
    return length >= SHORT_SEGMENT_MS or pause > SHORT_PAUSE_MS


def _segment(run: Sequence[Spoken], turns: TurnIndex) -> Segment:
    words = tuple(item.word for item in run)
    start_ms, end_ms = run[0].start_ms, max(item.end_ms for item in run)
    confidence = mean_confidence(words)
    flags = [flag for flag in dict.fromkeys(flag for item in run for flag in item.flags) if _most(flag, run)]
    if confidence is not None and confidence < CONFIDENT and LOW_CONFIDENCE not in flags:
        flags.append(LOW_CONFIDENCE)
    if turns.overlapped(start_ms, end_ms) > OVERLAP_SHARE * (end_ms - start_ms):
        flags.append("overlap")
    return Segment(
        segment_id="",
        start_ms=start_ms,
        end_ms=end_ms,
        speaker_id=words[0].speaker_id,
        language=run[0].language,
        text=join([word.text for word in words], run[0].language),
        confidence=confidence,
        flags=tuple(flags),
        words=words,
    )


def _most(flag: str, run: Sequence[Spoken]) -> bool:
    return 2 * sum(flag in item.flags for item in run) >= len(run)
