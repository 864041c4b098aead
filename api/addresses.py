"""Addresses that cannot name anything.

In: the parameters of a path. Out: a refusal. No database can hold a character of zero, so nothing is called like that.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from runtime.errors import Refused


def nameable(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard of every `/v1` route."""
    if any("\0" in str(value) for value in connection.path_params.values()):
        raise Refused("not_found", "There is nothing at this address.")
