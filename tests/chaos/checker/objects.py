"""The object store against the fold of the log (I21, I26): what live jobs name is there, what nobody names is not.

In: a bucket, folded jobs. Out: violations.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config

from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.fold import Job
from tests.chaos.checker.violation import Violation


def violations(evidence: Evidence) -> Iterator[Violation]:
    """Missing, damaged and left-over objects."""
    store, bucket = _store(evidence.world), evidence.world["bucket"]
    there = set(_keys(store, bucket))
    wanted = {key: sha256 for job in evidence.jobs.values() for key, sha256 in _named(job)}
    evidences = {evidence_key for job in evidence.jobs.values() if job.retryable for evidence_key in _folder(job)}
    for key in sorted(wanted.keys() - there):
        yield Violation(invariant="I21", subject=key, text="is named by a live job and is not there")
    for key in sorted(wanted.keys() & there):
        body = store.get_object(Bucket=bucket, Key=key)["Body"].read()
        if hashlib.sha256(body).hexdigest() != wanted[key]:
            yield Violation(invariant="I21", subject=key, text="is not what was recorded")
    for key in sorted(there - wanted.keys()):
        if not key.startswith(tuple(evidences) or ("-",)):
            yield Violation(invariant="I21", subject=key, text=_left_over(key, evidence.jobs))


def _named(job: Job) -> Iterator[tuple[str, str]]:
    """What the job may still need: its recording, and its chunks while a retry could want them."""
    if job.accepted is not None:
        yield job.accepted["audio"]["key"], job.accepted["audio"]["sha256"]
    if job.audio is not None and (job.is_open or job.retryable):
        for chunk in job.audio["chunks"]:
            yield chunk["object"]["key"], chunk["object"]["sha256"]


def _folder(job: Job) -> Iterator[str]:
    """Where the evidence and earlier cuts of a job that may be retried may lie."""
    yield f"{job.tenant_id}/{job.job_id}/evidence/"
    yield f"{job.tenant_id}/{job.job_id}/chunks/"


def _left_over(key: str, jobs: dict[str, Job]) -> str:
    job = jobs.get(key.partition("/")[2].partition("/")[0])
    return f"is left over from a job that is {job.status}" if job else "belongs to no job"


def _store(world: dict[str, Any]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=world["s3"],
        aws_access_key_id=world["access_key"],
        aws_secret_access_key=world["secret_key"],
        region_name="us-east-1",
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _keys(store: Any, bucket: str) -> Iterator[str]:
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from (item["Key"] for item in page.get("Contents", ()))
