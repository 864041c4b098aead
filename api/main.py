"""The process `api`: HTTP on one port until SIGTERM, which lets running requests end.

In: settings from the environment. Out: a server.
"""

import os
import signal

import uvicorn

from api.app import create_app
from api.protocol import BoundedHeads
from runtime import faults, telemetry
from runtime.settings import Settings

GRACE_S = 10


def main() -> None:
    """Serves until told to stop."""
    # The server raises the signal that ended it once more; by then everything is done, and that is an exit of 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    settings = Settings.read(os.environ)
    telemetry.configure("api", settings.log_level)
    faults.arm("api", settings.faults)
    uvicorn.run(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=GRACE_S,
        http=BoundedHeads,
    )


if __name__ == "__main__":
    main()
