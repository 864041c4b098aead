"""The evaluation as Markdown, for people.

In: rows and what was measured. Out: text. Pure.
"""

from collections.abc import Mapping, Sequence

from bench.evaluation.calibration import TENTHS
from bench.evaluation.summary import ALL, Rates, Row

MB = 1_000_000
ASR_STAGES = ("prepare", "asr")
Cells = Sequence[str]


def markdown(title: str, notes: Sequence[str], rows: Sequence[Row]) -> str:
    """All tables."""
    engines = list(rows[-1].rates)
    parts = [f"# {title}", *notes, "## Words", _words(rows, engines)]
    if any(rates.der is not None for row in rows for rates in row.rates.values()):
        parts += ["## Speakers", _speakers(rows, engines)]
    if any(rates.timed_words for row in rows for rates in row.rates.values()):
        parts += ["## Times of words", _times(rows, engines)]
    if any(rates.calibration for rates in rows[-1].rates.values()):
        parts += ["## Confidence of words", _confidence(rows[-1].rates), _doubts(rows[-1].rates)]
    parts += ["## Speed", _speed(rows, engines)]
    return "\n\n".join(parts) + "\n"


def _words(rows: Sequence[Row], engines: Cells) -> str:
    head = ["group", "language", "clips", "minutes"]
    head += [f"WER {name}" for name in engines]
    head += [f"{engines[0]} − {name} (95 %)" for name in engines[1:]]
    head += [f"{figure} {name}" for figure in ("deleted", "inserted", "loops", "wrong language") for name in engines]
    lines = []
    for row in rows:
        if all(row.rates[name].wer is None for name in engines):
            continue
        line = [row.group, row.language, str(row.clips), f"{row.audio_s / 60:.1f}"]
        line += [_percent(row.rates[name].wer) for name in engines]
        line += [_difference(row.wer_difference.get(name)) for name in engines[1:]]
        for figure in ("deletions", "insertions", "loops", "wrong_languages"):
            line += [str(getattr(row.rates[name], figure)) for name in engines]
        lines.append(line)
    return _table(head, lines)


def _speakers(rows: Sequence[Row], engines: Cells) -> str:
    figures = {"DER": "der", "DER ±250 ms": "der_with_collar", "cpWER": "cpwer"}
    head = ["group", "language", *(f"{title} {name}" for title in figures for name in engines)]
    head += [f"DER {engines[0]} − {name} (95 %)" for name in engines[1:]]
    head += [f"speakers off by {name}" for name in engines]
    lines = []
    for row in _ungrouped(rows):
        if all(row.rates[name].der is None for name in engines):
            continue
        line = [row.group, row.language]
        line += [_percent(getattr(row.rates[name], field)) for field in figures.values() for name in engines]
        line += [_difference(row.der_difference.get(name)) for name in engines[1:]]
        line += [_number(row.rates[name].speaker_count_error) for name in engines]
        lines.append(line)
    return _table(head, lines)


def _times(rows: Sequence[Row], engines: Cells) -> str:
    head = ["group", "engine", "words", "start off by (median)", "within 200 ms"]
    lines = [
        [row.group, name, str(r.timed_words), f"{r.start_median_ms:.0f} ms", _percent(r.start_near)]
        for row in _ungrouped(rows)
        for name in engines
        if (r := row.rates[name]).timed_words
    ]
    return _table(head, lines)


def _confidence(rates: Mapping[str, Rates]) -> str:
    """By tenths of confidence: how many words, and how many of them are right."""
    known = {name: found for name, mine in rates.items() if (found := mine.calibration)}
    head = ["confidence", *(f"{figure} {name}" for name in known for figure in ("words", "right"))]
    lines = []
    for place in range(TENTHS):
        line = [f"{place / TENTHS:.1f} … {(place + 1) / TENTHS:.1f}"]
        for found in known.values():
            tenth = found.tenths[place]
            line += [str(tenth.words), _percent(tenth.right / tenth.words if tenth.words else None)]
        lines.append(line)
    told = [
        f"{name}: {found.words} words, {_percent(found.right / found.words)} right, "
        f"expected calibration error {found.error:.3f}."
        for name, found in known.items()
    ]
    return "\n\n".join([_table(head, lines), *told])


def _doubts(rates: Mapping[str, Rates]) -> str:
    """What a doubt would find: of the words below a confidence, and of those in segments flagged low_confidence."""
    lines = []
    for name, mine in rates.items():
        if mine.calibration is None:
            continue
        doubts = {f"word below {limit}": alarm for limit, alarm in mine.calibration.below.items()}
        doubts |= {f"segment below {limit}": alarm for limit, alarm in mine.calibration.segments_below.items()}
        for doubted, alarm in (*doubts.items(), ("segment flagged", mine.calibration.flag)):
            lines.append([name, doubted, str(alarm.words), _percent(alarm.precision), _percent(alarm.recall)])
    return _table(["engine", "doubted", "words", "of them wrong", "of all wrong words"], lines)


def _speed(rows: Sequence[Row], engines: Cells) -> str:
    """Seconds of everything, and how many times faster than the other engines the first one is."""
    rates, audio_s = rows[-1].rates, rows[-1].audio_s
    stages = list(dict.fromkeys(stage for name in engines for stage in rates[name].wall_s))
    head = ["engine", *(f"{stage} s" for stage in stages), "ASR × real time", "whole × real time", "processor s"]
    head += ["peak memory"]
    lines = []
    for name in engines:
        line = [name, *(f"{rates[name].wall_s.get(stage, 0):.1f}" for stage in stages)]
        line += [_times_real_time(audio_s, asr_s(rates[name].wall_s))]
        line += [_times_real_time(audio_s, sum(rates[name].wall_s.values()))]
        # A running server shows neither: what was measured is its client.
        seen = rates[name].peak_bytes > 0
        line += [f"{sum(rates[name].processor_s.values()):.1f}" if seen else "–"]
        line += [f"{rates[name].peak_bytes / MB:,.0f} MB" if seen else "–"]
        lines.append(line)
    told = [_ratios(engines[0], name, rates) for name in engines[1:]]
    return "\n\n".join([_table(head, lines), *told])


def _times_real_time(audio_s: float, seconds: float) -> str:
    return f"{audio_s / seconds:.1f}" if seconds else "–"


def asr_s(seconds: Mapping[str, float]) -> float:
    """What words cost: decoding the file and recognising it."""
    return sum(seconds.get(stage, 0.0) for stage in ASR_STAGES)


def _ratios(first: str, other: str, rates: Mapping[str, Rates]) -> str:
    mine, theirs = rates[first], rates[other]
    parts = [
        (what, f(theirs.wall_s) / max(f(mine.wall_s), 1e-9), f(theirs.processor_s) / max(f(mine.processor_s), 1e-9))
        for what, f in (("ASR alone", asr_s), ("the whole way", lambda stages: sum(stages.values())))
        if f(mine.wall_s) and f(theirs.wall_s)
    ]
    seen = mine.peak_bytes > 0 and theirs.peak_bytes > 0
    said = "; ".join(
        f"{what} {wall:.2f} ×" + (f" ({processor:.2f} × by processor time)" if seen else "")
        for what, wall, processor in parts
    )
    return f"{first} is faster than {other}: {said}."


def _ungrouped(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.group != ALL or row.language == ALL]


def _table(head: Cells, lines: Sequence[Cells]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _difference(interval: tuple[float, float] | None) -> str:
    """The interval in points; one that leaves out nought is marked."""
    if interval is None:
        return "–"
    low, high = interval
    return f"{100 * low:+.1f} … {100 * high:+.1f}" + (" *" if low > 0 or high < 0 else "")
