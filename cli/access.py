"""`palimpsest access-export`: everything held about a job or a tenant, into a file.

In: settings, a job or a tenant, a path. Out: a zip. Must not know what is held.
"""

import argparse
import os
from pathlib import Path

from api.holdings import Wanted, archive, of_tenant, tenant_of
from cli.connection import operator_settings
from cli.errors import CommandError, Exit
from runtime.settings import Settings

PRIVATE = 0o600


def run_export(arguments: argparse.Namespace) -> int:
    """Writes beside the file first, so that a half is never taken for the whole; raises CommandError."""
    settings, path = operator_settings(os.environ), Path(arguments.output)
    if path.exists():
        raise CommandError(f"{path} is there already.", Exit.USAGE)
    wanted = _wanted(settings, arguments)
    half = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as out:
            for piece in archive(settings, wanted):
                out.write(piece)
        half.rename(path)
    finally:
        half.unlink(missing_ok=True)
    print(f"{path}: {len(wanted.job_ids)} jobs of {wanted.tenant_id}, {path.stat().st_size:,} bytes")
    return Exit.DONE


def _wanted(settings: Settings, arguments: argparse.Namespace) -> Wanted:
    if arguments.tenant:
        return of_tenant(settings, arguments.tenant)
    tenant_id = tenant_of(settings, arguments.job)
    if tenant_id is None:
        raise CommandError(f"There is no job {arguments.job}.", Exit.NOT_FOUND)
    return Wanted(tenant_id=tenant_id, job_ids=(arguments.job,), whole_tenant=False)
