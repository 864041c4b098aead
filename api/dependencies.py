"""What handlers are given: the services of the process, and the caller of the request."""

from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import Provide

from api.accounts.callers import Caller
from api.services import Services


async def _services(state: State) -> Services:
    services: Services = state.services
    return services


async def _caller(request: Request[Any, Caller, Any]) -> Caller:
    caller: Caller = request.auth
    return caller


SERVICES = {"services": Provide(_services)}
CALLER = {"caller": Provide(_caller)}
