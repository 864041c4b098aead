"""Commands, requests, files and links of README.md and docs/ exist."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.app import create_litestar
from api.refusals import TYPES
from cli.export import FORMATS as COMMAND_LINE_FORMATS
from cli.main import parser
from projections.exports import FORMATS
from runtime.settings import Settings
from tests.docs.shell import PAGES, ROOT, Example, examples

EXAMPLES = list(examples())
API_PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
MINIMAL = {
    "PALIMPSEST_KAFKA_BOOTSTRAP": "127.0.0.1:9",
    "PALIMPSEST_REGISTRY_URL": "http://127.0.0.1:9",
    "PALIMPSEST_POSTGRES_DSN": "postgresql://127.0.0.1:9/x",
    "PALIMPSEST_OPENSEARCH_URL": "http://127.0.0.1:9",
    "PALIMPSEST_S3_ENDPOINT": "http://127.0.0.1:9",
    "PALIMPSEST_S3_ACCESS_KEY": "access",
    "PALIMPSEST_S3_SECRET_KEY": "secret",
}
_MAKE_TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
_FLAGS_WITH_VALUE = {"-H", "-F", "-d", "-T", "-X", "-o", "--data-urlencode"}


def _called(program: str) -> list[Example]:
    return [example for example in EXAMPLES if example.words[0] == program]


def _paths() -> dict[str, Any]:
    schema = create_litestar(Settings.read(MINIMAL)).openapi_schema.to_schema()
    paths: dict[str, Any] = schema["paths"]
    return paths


@pytest.fixture(scope="module")
def routes() -> set[tuple[str, str]]:
    """Method and path of every operation of the OpenAPI document."""
    return {(method.upper(), path) for path, item in _paths().items() for method in item}


def test_there_are_examples_of_each_kind() -> None:
    assert len(_called("palimpsest")) > 10
    assert len(_called("curl")) > 5
    assert _called("make")


@pytest.mark.parametrize("example", _called("palimpsest"), ids=str)
def test_a_command_is_understood(example: Example) -> None:
    try:
        parser().parse_args(example.words[1:])
    except SystemExit as ended:
        assert ended.code == 0, str(example)  # --help


@pytest.mark.parametrize("example", _called("make"), ids=str)
def test_a_make_target_is_there(example: Example) -> None:
    targets = [word for word in example.words[1:] if "=" not in word]
    assert set(targets) <= set(_MAKE_TARGETS)


@pytest.mark.parametrize("example", _called("curl"), ids=str)
def test_a_request_has_a_route(example: Example, routes: set[tuple[str, str]]) -> None:
    method, url = _request(example)
    path = urlsplit(url.replace("$PALIMPSEST_URL", "http://server").replace("$JOB", "j")).path
    assert any(
        method == known and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) for known, template in routes
    ), f"{method} {path}"


def _request(example: Example) -> tuple[str, str]:
    words = list(example.words[1:])
    given = {flag: value for flag, value in pairwise(words) if flag in _FLAGS_WITH_VALUE}
    values = {i + 1 for i, word in enumerate(words) if word in _FLAGS_WITH_VALUE}
    (url,) = [word for i, word in enumerate(words) if i not in values and not word.startswith("-")]
    implied = "GET" if "-G" in words or not given.keys() & {"-F", "-d"} else "POST"
    return given.get("-X", implied), url


def test_every_route_is_documented_and_no_other(routes: set[tuple[str, str]]) -> None:
    documented = set(re.findall(r"^\| `([A-Z]+) (/\S+)` \|", API_PAGE, re.MULTILINE))
    assert documented == routes


def test_every_problem_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| (\d{3}) \| `([\w-]+)`", API_PAGE, re.MULTILINE))
    assert documented == {(str(kind.status), kind.slug) for kind in TYPES.values()}


def test_the_formats_are_the_same_everywhere() -> None:
    assert set(COMMAND_LINE_FORMATS) == set(FORMATS)
    sentence = next(line for line in API_PAGE.splitlines() if "`format` is" in line)
    assert set(re.findall(r"`(\w+)`", sentence.partition("`format` is")[2])) == set(FORMATS)


def test_the_options_of_an_upload_are_documented() -> None:
    asked = {parameter["name"] for parameter in _paths()["/v1/transcriptions"]["post"]["parameters"]}
    documented = {name for row in re.findall(r"^\| (`\w+`.*?) \|", API_PAGE, re.MULTILINE) for name in _names(row)}
    assert {name for name in asked if name != "Idempotency-Key"} <= documented


def _names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_pages_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*\w\.(?:py|md|sql|avsc|lock|yml|toml))`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [name for name in named if not _anywhere(name)]
    assert missing == []


def _anywhere(name: str) -> bool:
    return (ROOT / name).exists() or any(ROOT.glob(f"streams/*/{name}"))
