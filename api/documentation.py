"""The API described: OpenAPI at `/schema`, a page that draws it at `/docs`, and what each problem type means.

In: nothing. Out: static files of this package only; nothing is fetched from elsewhere: the content policy
forbids it.
"""

from html import escape
from importlib.resources import files
from typing import Any

from litestar import MediaType, Response, Router, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from api.refusals import ProblemType, by_slug
from runtime.errors import Refused

VERSION = "1"
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_FILES = {"page.js": "text/javascript", "page.css": "text/css"}
_ABOUT = (
    "Recordings in, speaker-labelled searchable transcripts out. Every route under `/v1` wants an API key in"
    " `Authorization: Bearer pal_…`; the key decides the tenant. Times inside recordings are seconds. Every error is"
    " `application/problem+json`."
)

OPENAPI = OpenAPIConfig(
    title="Palimpsest API",
    version=VERSION,
    description=_ABOUT,
    path="/schema",
    use_handler_docstrings=True,
    render_plugins=[JsonRenderPlugin(path=("/openapi.json", "/"), media_type=MediaType.JSON)],
    components=Components(
        security_schemes={
            "key": SecurityScheme(type="http", scheme="bearer", description="An API key, `pal_…`."),
            "header": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
        }
    ),
)
SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"header": []}]


def _file(name: str, media_type: str) -> Response[bytes]:
    content = (files("api") / "docs_page" / name).read_bytes()
    return Response(content, media_type=media_type, headers={"Content-Security-Policy": _CONTENT_POLICY})


@get("/docs", include_in_schema=False, sync_to_thread=False)
def page() -> Response[bytes]:
    """The page."""
    return _file("index.html", "text/html; charset=utf-8")


@get("/docs/{name:str}", include_in_schema=False, sync_to_thread=False)
def asset(name: FromPath[str]) -> Response[bytes]:
    """What the page needs."""
    if name not in _FILES:
        raise Refused("not_found", "There is nothing at this address.")
    return _file(name, _FILES[name])


@get("/problems/{slug:str}", include_in_schema=False, sync_to_thread=False)
def problem_page(slug: FromPath[str]) -> Response[Any]:
    """What a problem's `type` leads to."""
    kind = by_slug(slug)
    if kind is None:
        raise Refused("not_found", "There is no such problem type.")
    return Response(_explained(kind), media_type="text/html; charset=utf-8")


def _explained(kind: ProblemType) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(kind.title)}</title>"
        f"<h1>{escape(kind.title)}</h1><p>Status {kind.status}.</p><p>{escape(kind.explanation)}</p></html>"
    )


router = Router("/", route_handlers=[page, asset, problem_page])
