"""The speech worker's process: `python -m streams.speech.worker --role asr|diarization`.

In: settings from the environment. Out: exit status 0 after SIGTERM, 1 when the process must be started afresh.
The one place that puts the worker's real parts together.
"""

import argparse
import os
import sys
import threading
from collections.abc import Sequence

from runtime import faults, telemetry
from runtime.errors import Unavailable
from runtime.health import STUCK_AFTER_S, Health, serve
from runtime.objects import SmallObjects
from runtime.registry import Registry
from runtime.settings import Settings, SettingsError
from runtime.stopping import stop_signal
from runtime.telemetry import logger
from schemas.codec import Codec, UnknownSchemaId
from schemas.topics import CHUNKS_BATCH, CHUNKS_INTERACTIVE
from schemas.values import Task
from streams.speech.audio import AudioFetcher
from streams.speech.backlog import Backlog
from streams.speech.engines import engine_name
from streams.speech.engines.protocol import EngineUnavailable
from streams.speech.intake import Intake, Reader
from streams.speech.loop import Parts, Worker
from streams.speech.model import ChildDied, Model
from streams.speech.pace import Pace
from streams.speech.publish import Publisher
from streams.speech.runner import Runner

HELD_BATCHES = 2
LEAST_HELD = 16
# A member that holds its partitions until a batch is over must not look stuck before the batch's own time limit.
POLL_MARGIN_S = 60

log = logger(__name__)


def worker(task: Task, settings: Settings, health: Health, stop: threading.Event) -> Worker:
    """A worker of real parts; raises UnknownSchemaId when a schema is not registered."""
    wake = threading.Event()
    registry = Registry(settings.registry_url)
    registry.resolve_all()
    codec = Codec(registry)
    audio = AudioFetcher(SmallObjects(settings.objects), wake.set)
    speech = settings.speech
    reader = Reader(
        group=f"speech-{task}",
        topics=(CHUNKS_INTERACTIVE, CHUNKS_BATCH),
        instance_id=settings.instance_id,
        hold=max(LEAST_HELD, HELD_BATCHES * speech.batch_size),
        max_poll_s=speech.batch_timeout_s + POLL_MARGIN_S,
    )
    parts = Parts(
        task=task,
        max_tries=speech.max_tries,
        model_idle_s=speech.model_idle_s,
        codec=codec,
        intake=Intake(settings.kafka, reader),
        runner=Runner(
            task,
            Model(task, speech, settings.log_level, wake.set),
            Pace(floor_s=speech.batch_floor_s, ceiling_s=speech.batch_timeout_s),
        ),
        audio=audio,
        backlog=Backlog(audio, speech.batch_size),
        publisher=Publisher(task, settings.kafka, codec, audio),
        health=health,
        wake=wake,
    )
    return Worker(parts, stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM, or until the process must be started afresh."""
    parser = argparse.ArgumentParser(prog="python -m streams.speech.worker", description="Transcribes or diarizes.")
    parser.add_argument("--role", required=True, choices=[task.value for task in Task])
    task = Task(parser.parse_args(arguments).role)
    try:
        settings = Settings.read(os.environ)
        engine_name(task, settings.speech)
    except (SettingsError, EngineUnavailable) as error:
        parser.error(str(error))
    telemetry.configure(f"speech-{task}", settings.log_level)
    faults.arm(f"speech-{task}", settings.faults)
    stop = stop_signal()
    # A batch may take as long as its limit, twice where it is tried again: not to be finished yet is not to be stuck.
    health = Health(stuck_after_s=STUCK_AFTER_S + 2 * settings.speech.batch_timeout_s)
    server = serve(health, settings.health_port, settings.health_host)
    log.info("started", action="start", health_port=server.server_port)
    try:
        worker(task, settings, health, stop).run()
    except (EngineUnavailable, ChildDied, Unavailable, UnknownSchemaId) as error:
        log.error("the worker cannot go on", action="stop", error=str(error), kind=type(error).__name__)
        return 1
    log.info("stopped", action="stop")
    return 0


if __name__ == "__main__":
    sys.exit(main())
