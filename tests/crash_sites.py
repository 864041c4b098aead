"""The list of crash points, read from the source, and the outside effects that have none.

In: source text by path. Out: every site `process:effect`, and a sentence for each effect outside a crash point.
What counts as an effect follows from the drivers in `runtime`: each of their public methods is one unless it is listed
here as reading only. So a new effect, a new driver method and a new driver are all found without being named here.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
WALLED = ("streams", "projections", "effects", "api")
# The driver modules: what they offer are the effects. The consumer loop is no driver, it uses them.
WALL = ("runtime/kafka.py", "runtime/objects.py", "runtime/opensearch.py")
# Methods of drivers that change nothing outside.
HARMLESS_METHODS = frozenset(
    {
        "of", "start", "stop", "close", "reachable", "size", "keys", "name", "count", "search", "refresh", "get",
        "stream", "entries", "open_uploads", "total", "bytes_of", "alias_target", "exists", "redrives", "acknowledged",
        "indices", "kept_versions",
    }
)  # fmt: skip
# What the libraries behind the drivers call their effects, should somebody reach past a driver.
LIBRARY_METHODS = frozenset(
    {
        "produce",
        "send_and_wait",
        "transaction",
        "commit",
        "_commit",
        "bulk",
        "create",
        "put_alias",
        "put_object",
        "post",
    }
)
# Reads that are crash points all the same: without their answer there is nothing to go on with.
READS = frozenset({("objects", "get"), ("objects", "stream"), ("store", "get")})
MODEL_CALLS = frozenset({("engine", "run"), ("engine", "load"), ("line", "hand_over")})
_BLOCK = re.compile(r"^-- name: (\w+)[^\n]*\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
_WRITES = re.compile(r"\b(INSERT INTO|UPDATE \w+|DELETE FROM|TRUNCATE)\b")
FUNCTIONS = frozenset({"assemble", "send"})
# Receiver and method of what only sounds like an effect.
HARMLESS = frozenset(
    {
        ("pipe", "send"), ("mono", "finish"), ("cutter", "finish"), ("leveler", "finish"), ("self", "finish"),
        ("tries", "begin"), ("attempts", "begin"),
        ("file", "write"), ("fifo", "write"), ("file", "flush"), ("cursors", "write"),
        ("sink", "write"), ("sink", "finish"), ("sink", "abort"), ("super", "write"), ("soundfile", "write"),
        ("out", "write"),
        ("publisher", "flush"), ("intake", "commit"), ("self", "commit"),
        # Part of a rewrite of the index, which has one crash point.
        ("indices", "flush"),
        # Several effects, each with a crash point of its own inside.
        ("engine", "create_index"),
    }
)  # fmt: skip
# They pass an effect on: their callers have the crash point.
PASSED_ON = frozenset(
    {
        ("api/appender.py", "send"),
        ("streams/chunker/app.py", "_send"),
        ("streams/chunker/crash_only.py", "send"),
        ("api/tracing.py", "answered"),
        ("api/tracing.py", "_ending"),
        ("runtime/opensearch.py", "write"),
        ("runtime/opensearch.py", "put_alias"),
        ("runtime/opensearch.py", "delete_index"),
        # Wakes a nursery that dies with us; what it is asked to do is told to the decoder, in a crash point.
        ("streams/chunker/sandbox.py", "_born"),
    }
)

# Which processes run the code of a module: the first prefix that fits counts.
PROCESSES: Mapping[str, tuple[str, ...]] = {
    "runtime/opensearch.py": ("projector",),
    "runtime/consumer.py": ("assembler", "projector"),
    "streams/assembler/child.py": ("assembler-child",),
    "streams/assembler/": ("assembler",),
    "streams/chunker/": ("chunker", "chunker-long"),
    "streams/speech/child.py": ("speech-asr-model", "speech-diarization-model"),
    "streams/speech/": ("speech-asr", "speech-diarization"),
    "projections/": ("projector",),
    "effects/": ("effects",),
    "api/": ("api",),
}
# No process runs it: an operator's command does. A rebuild is killed, once it has begun and at the switch, by a test of
# its own in tests/projections/rebuilding.
OUTSIDE = frozenset(
    {"api/accounts/keys.py"}
    | {f"projections/rebuilding/{name}.py" for name in ("index_build", "log_sets", "rebuild", "switching", "versions")}
)
# Only one of the roles stores anything.
NEVER_REACHED = frozenset({"speech-asr:evidence.put"})


def sources() -> dict[str, str]:
    """Path under the root → text of every module that may touch the outside."""
    paths = [path for package in WALLED for path in sorted((ROOT / package).rglob("*.py"))]
    paths += [ROOT / "runtime" / "consumer.py", ROOT / "runtime" / "opensearch.py"]
    named = {str(path.relative_to(ROOT)): path for path in paths}
    return {name: path.read_text(encoding="utf-8") for name, path in named.items() if name not in OUTSIDE}


def sites(modules: Mapping[str, str]) -> list[str]:
    """Every `process:effect` there is, in order."""
    found = set()
    for path, text in modules.items():
        effects = set(_named_effects(ast.parse(text)))
        processes = next((names for prefix, names in PROCESSES.items() if path.startswith(prefix)), ())
        found |= {f"{process}:{effect}" for process in processes for effect in effects}
    return sorted(found - NEVER_REACHED)


def unguarded(path: str, text: str) -> list[str]:
    """Effects of a module that stand in no crash point."""
    finder = _Finder(path, _effect_methods())
    finder.visit(ast.parse(text))
    return finder.found


def _named_effects(tree: ast.AST) -> Iterator[str]:
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = _tail(call.func)
        named = [keyword.value for keyword in call.keywords if keyword.arg == "commit"]
        if name == "crash_point":
            named += call.args[:1]
        elif name == "transaction":
            named += call.args[1:2]
        yield from (n.value for n in named if isinstance(n, ast.Constant) and isinstance(n.value, str))


def _effect_methods() -> frozenset[str]:
    """Public methods of the drivers' classes, without those that change nothing."""
    found = set(LIBRARY_METHODS)
    for module in WALL:
        for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = (m.name for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef))
                found |= {name for name in methods if not name.startswith("_")}
    return frozenset(found - HARMLESS_METHODS)


class _Finder(ast.NodeVisitor):
    """Walks a module and remembers whether a crash point is around it."""

    def __init__(self, path: str, methods: frozenset[str]) -> None:
        self._path = path
        self._methods = methods
        self._guarded = False
        self._reading = False
        self.found: list[str] = []

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        before = self._guarded, self._reading
        for item in node.items:
            self.visit(item)
            self._guarded = self._guarded or _tail(item.context_expr) == "crash_point"
            self._reading = self._reading or _reads(item.context_expr)
        for statement in node.body:
            self.visit(statement)
        self._guarded, self._reading = before

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.visit_With(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        before = self._guarded
        # What is only defined inside a crash point may be called outside of it.
        self._guarded = (self._path, node.name) in PASSED_ON
        self.generic_visit(node)
        self._guarded = before

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        pair = (_tail(node.value), node.attr)
        effect = node.attr in self._methods or pair in READS or pair in MODEL_CALLS
        if effect and pair not in HARMLESS:
            self._report(node, ast.unparse(node))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _tail(node.func)
        if isinstance(node.func, ast.Name) and name in FUNCTIONS:
            self._report(node, name)
        if name == "connection" and not any(k.arg == "autocommit" for k in node.keywords):
            self._report(node, "connection(…) that commits at its end")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if self._reading and node.value in _writing_statements():
            self._report(node, f"the statement {node.value!r} writes and")

    def _report(self, node: ast.expr, what: str) -> None:
        if not self._guarded:
            self.found.append(f"{self._path}:{node.lineno}: {what} stands in no crash point")


def _reads(opened: ast.expr) -> bool:
    """Whether it is `borrowed` without the name of a crash point: a connection that can only read."""
    return isinstance(opened, ast.Call) and _tail(opened) == "borrowed" and not opened.keywords


@cache
def _writing_statements() -> frozenset[str]:
    """Names of the SQL statements that change something."""
    files = (path for package in WALLED for path in (ROOT / package).rglob("*.sql"))
    blocks = (block for path in files for block in _BLOCK.finditer(path.read_text(encoding="utf-8")))
    return frozenset(block[1] for block in blocks if _WRITES.search(block[2]))


def _tail(node: ast.AST | None) -> str:
    """The last name of an expression, without leading underscores."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lstrip("_")
        case ast.Call(func=function):
            return _tail(function)
    return ""


if __name__ == "__main__":
    print("\n".join(sites(sources())))
