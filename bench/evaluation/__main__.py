"""`palimpsest eval DIR`: how good and how fast the transcripts are, beside plain WhisperX on the same weights.

In: arguments. Out: tables on standard output, JSON and Markdown in a folder. Needs no network and no running stack.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench.evaluation.engine_process import Contender, EngineFailed, EngineProcess
from bench.evaluation.manifest import BadManifest, chosen, read_manifest
from bench.evaluation.measuring import Measured, document, machine, measure, write
from bench.evaluation.rendering import markdown
from bench.evaluation.server import ServerEngine, ServerFailed
from bench.evaluation.summary import rows
from local.layout import CHECKOUT, Layout
from local.models import ensure_models
from runtime.settings import Speech
from schemas.values import Quality, TranscriptionOptions
from streams.speech.engines import ASR_ENGINES

OUT = CHECKOUT / "out" / "eval"
PARTS = ("asr", "diarization")
OURS, PLAIN = "ours", "whisperx"
COMPUTE_TYPES = {"cpu": "int8", "cuda": "float16"}
DESCRIPTION = "Measures words, speakers, times, speed and memory on recordings with a reference, beside plain WhisperX."


class BadArguments(Exception):
    """What was asked for cannot be measured; the text says why."""


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    found = argparse.ArgumentParser(prog="palimpsest eval", description=DESCRIPTION)
    found.add_argument("folder", type=Path, metavar="DIR", help="folder with manifest.json and the recordings")
    found.add_argument(
        "--engines",
        default=f"{OURS},{PLAIN}",
        metavar="LIST",
        help=f"comma-separated: {OURS}, {OURS}:ENGINE for another of our recognisers, {PLAIN} (default: both)",
    )
    found.add_argument("--only", action="append", default=[], metavar="NAME", help="clips or groups beginning so")
    found.add_argument("--limit", type=int, metavar="N", help="at most so many clips")
    found.add_argument("--parts", default=",".join(PARTS), metavar="LIST", help="asr, diarization (default: both)")
    found.add_argument(
        "--quality",
        choices=[quality.value for quality in Quality],
        default=Quality.BALANCED.value,
        help="work that ours puts into the words (default: balanced)",
    )
    found.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help="where the two files go (default: out/eval)"
    )
    found.add_argument("--name", metavar="NAME", help="their name (default: the time)")
    group = found.add_argument_group("models")
    group.add_argument("--model", default="bundled", help="Whisper model: bundled, a folder or a hub name")
    group.add_argument("--align-model-dir", default="", metavar="DIR", help="wav2vec2 weights for word times")
    group.add_argument("--device", choices=sorted(COMPUTE_TYPES), default="cpu", help="default: cpu")
    group.add_argument("--compute-type", help="arithmetic of Whisper (default: int8 on cpu, float16 on cuda)")
    group.add_argument("--batch-size", type=int, default=8, metavar="N", help="chunks in a batch of ours (default: 8)")
    group.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="default: one a core"
    )
    server = found.add_argument_group("a running server in place of ours")
    server.add_argument("--server", metavar="URL", help="its address")
    server.add_argument("--key", default=os.environ.get("PALIMPSEST_KEY", ""), help="its API key (else PALIMPSEST_KEY)")
    return found


def contenders(arguments: argparse.Namespace) -> list[Contender]:
    """The engines asked for; raises BadArguments."""
    parts = tuple(arguments.parts.split(","))
    if not set(parts) <= set(PARTS):
        raise BadArguments(f"There are the parts {' and '.join(PARTS)}.")
    found = []
    for name in filter(None, arguments.engines.split(",")):
        kind, _, engine = name.partition(":")
        if (kind, engine) != (PLAIN, "") and not (kind == OURS and (engine or "whisperx") in ASR_ENGINES):
            raise BadArguments(
                f"There is no engine {name!r}; recognisers of ours are {', '.join(sorted(ASR_ENGINES))}."
            )
        options = TranscriptionOptions(diarize="diarization" in parts, quality=Quality(arguments.quality))
        speech = _speech(arguments, engine or "whisperx")
        found.append(Contender(name=name, plain=kind == PLAIN, speech=speech, options=options, parts=parts))
    return found


def _speech(arguments: argparse.Namespace, asr_engine: str) -> Speech:
    return Speech(
        asr_engine=asr_engine,
        diarization_engine="pyannote",
        model=arguments.model,
        model_dir=str(Layout(home=CHECKOUT / ".palimpsest").models),
        align_model_dir=arguments.align_model_dir,
        device=arguments.device,
        compute_type=arguments.compute_type or COMPUTE_TYPES[arguments.device],
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        max_tries=1,
        batch_timeout_s=600,
        batch_floor_s=3,
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _run(arguments: argparse.Namespace) -> None:
    clips = chosen(read_manifest(arguments.folder), arguments.only, arguments.limit)
    wanted = contenders(arguments)
    with ExitStack() as stack:
        engines: list[Measured] = []
        if arguments.server:
            diarize = "true" if "diarization" in arguments.parts else "false"
            options = {"diarize": diarize, "quality": arguments.quality}
            engines.append(ServerEngine(arguments.server, arguments.key, options))
            wanted = [contender for contender in wanted if contender.plain]
        if wanted:
            ensure_models(Layout(home=CHECKOUT / ".palimpsest").models)
        for contender in wanted:
            _say(f"loading {contender.name}")
            engines.append(stack.enter_context(EngineProcess(contender)))
        scores = measure(clips, engines, _say)
    if not scores:
        raise BadArguments("Stopped before anything was measured.")
    summary, now = rows(scores), datetime.now(UTC)
    table = markdown("Evaluation", _notes(arguments, engines, now), summary)
    target = write(
        document(scores, summary, engines, now), table, arguments.out, arguments.name or f"{now:%Y%m%dT%H%M%SZ}"
    )
    print(table)
    _say(f"written to {target} and {target.with_suffix('.json').name}")


def _notes(arguments: argparse.Namespace, engines: Sequence[Measured], now: datetime) -> list[str]:
    here = machine()
    told = [f"{engine.name}: {'; '.join(f'{k} {v}' for k, v in engine.models.items())}" for engine in engines]
    return [
        f"{now:%Y-%m-%d}, {here['cores']} cores, {arguments.threads} threads, quality {arguments.quality}, "
        f"load {here['load_before']}. "
        "A difference marked * leaves out nought.",
        "\n".join(f"- {line}" for line in told),
    ]


def main() -> int:
    """Exit status: 2 for what cannot be measured as asked."""
    try:
        _run(parser().parse_args())
    except (BadManifest, BadArguments) as error:
        _say(f"palimpsest: {error}")
        return 2
    except (EngineFailed, ServerFailed) as error:
        _say(f"palimpsest: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
