"""The engines really run with the settings they are meant to have: a file that nobody reads sets nothing."""

import httpx

from local.engines import opensearch
from local.stack import Stack


def test_opensearch_has_its_settings(stack: Stack) -> None:
    address = f"http://{stack.site.address('opensearch')}/_nodes/settings"
    answer = httpx.get(address, params={"flat_settings": "true"}, timeout=30).raise_for_status()
    [node] = answer.json()["nodes"].values()
    assert {name: node["settings"].get(name) for name in opensearch.SETTINGS} == opensearch.SETTINGS
