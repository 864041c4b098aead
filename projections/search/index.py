"""The search index: its names and its shape.

In: nothing. Out: names and the body that creates it. Readers and writers use the alias; a rebuild fills the next
version beside the live one and then moves the alias. `expunge_deletes_allowed` is 0, so that what an erasure replaced
leaves the index's files when the sweeper asks for it, however little it is. Knows no engine.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

ALIAS = "segments"
INDEX = "segments_v1"


@cache
def index_body() -> dict[str, Any]:
    """Settings and mappings."""
    body: dict[str, Any] = json.loads((files("projections.search") / "index.json").read_text(encoding="utf-8"))
    return body
