"""What every operation of the OpenAPI document says about errors.

In: the codes an operation may answer with. Out: its problem responses; the general ones are always among them.
"""

from collections.abc import Mapping

from litestar.openapi.datastructures import ResponseSpec

from api.problems import MEDIA_TYPE, Problem
from api.refusals import type_of

_ALWAYS = ("invalid_request", "not_authenticated", "internal", "unavailable")


def problems(*codes: str) -> Mapping[int, ResponseSpec]:
    """Problem responses by status."""
    kinds = [type_of(code) for code in (*_ALWAYS, *codes)]
    return {
        kind.status: ResponseSpec(
            data_container=Problem, description=kind.title, media_type=MEDIA_TYPE, generate_examples=False
        )
        for kind in kinds
    }
