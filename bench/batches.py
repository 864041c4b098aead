"""`python -m bench.batches DIR`: how many times faster than real time the engines are, by batch size.

In: a folder of recordings with a manifest (`tests/data` is one), a model and a device. Out: a table and JSON.
Chunks of all recordings share batches, as they do in a worker; nothing but the engines is measured.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.evaluation.manifest import read_manifest
from bench.evaluation.sound import PCM_SCALE, cut_chunks
from bench.report import Figure, table, write
from local.layout import CHECKOUT, Layout
from local.models import ensure_models
from runtime.settings import Settings, Speech
from schemas.values import Quality, TranscriptionOptions
from streams.speech.engines import asr_engine, diarization_engine
from streams.speech.engines.protocol import ChunkAudio

OUT = CHECKOUT / "out" / "bench"
SIZES = (1, 4, 8, 16, 32, 64)
MS_PER_S = 1_000
# What Settings wants of the rest of the system, which is not here.
_ELSEWHERE = ("KAFKA_BOOTSTRAP", "REGISTRY_URL", "POSTGRES_DSN", "OPENSEARCH_URL", "S3_ENDPOINT")
_KEYS = ("S3_ACCESS_KEY", "S3_SECRET_KEY")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.batches", description="Measures the engines by batch size.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="recordings with a manifest.json")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    parser.add_argument("--model", default="bundled", help="a folder or a name on the hub (default: bundled)")
    parser.add_argument("--model-dir", default="", help="where mounted models lie (default: the bundled ones)")
    parser.add_argument("--compute-type", default="default", help="CTranslate2's arithmetic (default: by device)")
    parser.add_argument("--quality", choices=[quality.value for quality in Quality], default="balanced")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--parts", nargs="+", choices=("asr", "diarization"), default=("asr", "diarization"))
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    return parser.parse_args()


def _speech(arguments: argparse.Namespace, batch_size: int) -> Speech:
    values = dict.fromkeys((f"PALIMPSEST_{name}" for name in (*_ELSEWHERE, *_KEYS)), "unused")
    chosen = {
        "MODEL": arguments.model,
        "MODEL_DIR": arguments.model_dir or str(Layout(home=CHECKOUT / ".palimpsest").models),
        "DEVICE": arguments.device,
        "COMPUTE_TYPE": arguments.compute_type,
        "BATCH_SIZE": str(batch_size),
    }
    return Settings.read({**values, **{f"PALIMPSEST_{name}": value for name, value in chosen.items()}}).speech


def _chunks(folder: Path, options: TranscriptionOptions) -> list[ChunkAudio]:
    return [
        ChunkAudio(
            samples=chunk.samples * PCM_SCALE,
            object_start_ms=chunk.object_start_ms,
            start_ms=chunk.start_ms,
            end_ms=chunk.end_ms,
            options=options,
        )
        for clip in read_manifest(folder)
        for chunk in cut_chunks(clip.audio)
    ]


def _measured(
    part: str, chunks: Sequence[ChunkAudio], speech: Speech, make: Callable[[Speech], Any]
) -> Iterator[Figure]:
    """Load time and speed of one engine at one batch size, after a batch that warms it up."""
    engine = make(speech)
    started = time.monotonic()
    info = engine.load()
    loaded_s = time.monotonic() - started
    engine.run(chunks[: speech.batch_size])
    started = time.monotonic()
    for first in range(0, len(chunks), speech.batch_size):
        engine.run(chunks[first : first + speech.batch_size])
    elapsed_s = time.monotonic() - started
    audio_s = sum(chunk.end_ms - chunk.start_ms for chunk in chunks) / MS_PER_S
    group = f"{part}: {info.model}, {info.device}, {info.compute_type}, {audio_s:.0f} s of sound"
    yield Figure(group=group, name=f"batches of {speech.batch_size}", value=audio_s / elapsed_s, unit="× real time")
    yield Figure(group=group, name=f"loading, batches of {speech.batch_size}", value=loaded_s, unit="s")


def main() -> int:
    """0 when every size was measured."""
    arguments = _arguments()
    if arguments.model == "bundled" and not arguments.model_dir:
        ensure_models(Layout(home=CHECKOUT / ".palimpsest").models)
    chunks = _chunks(arguments.folder, TranscriptionOptions(quality=Quality(arguments.quality)))
    engines = {"asr": asr_engine, "diarization": diarization_engine}
    figures = [
        figure
        for part in arguments.parts
        for size in arguments.batch_sizes
        for figure in _measured(part, chunks, _speech(arguments, size), engines[part])
    ]
    target = write(figures, arguments.out, datetime.now(UTC))
    print(table(figures))
    sys.stderr.write(f"written to {target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
