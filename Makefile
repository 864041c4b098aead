# The few commands of the project. All install what is missing, uv included, into this folder and nowhere else.
#
#   make demo          everything, once, for real: start, transcribe a recording, search in it; Ctrl-C stops it
#   make demo EXIT=1   the same, and stop at the end
#   make up | down     the local stack
#   make test [ARGS="tests/api -k upload" SIDE_BY_SIDE=3] | check | bench
#   make chaos [SEED= MINUTES= JOBS= PORT_BASE=]   kill, pause and fill everything under load, then check every promise
#   make chaos-guards  take the product's guards out, or spoil what it wrote, one by one, and see that it is found
#   make hostile       hostile files through the decoder, with the bombs that take minutes; prints a table
#   make hostile-text  ten thousand hostile strings for each place where one can be put
#   make fuzz [SEED=1 MINUTES=5]   mutated files through the decoder
#   make soak          thousands of jobs, and what every process takes meanwhile
#   make outages       every engine away for a minute under load, stopped and paused, and every disk full
#   make crash-points  every fault at every place at which a process touches the outside: half an hour
#   make lock          resolve packages and engine artifacts anew

PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN := .venv/bin/python
# How many processes share the tests; each is at one file at a time. One more than cores, because many tests wait.
SIDE_BY_SIDE ?= 3

# Without compiled modules every process compiles its libraries anew at each start: seconds each time, on every core.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo up down test check bench bench-rebuild chaos chaos-guards hostile hostile-text fuzz outages soak crash-points lock

setup:
	@test -n "$(PYTHON)" || { echo "error: python3 is not installed; Python 3.11 with venv is needed (Debian: apt install python3-venv)." >&2; exit 1; }
	@"$(PYTHON)" -I local/bootstrap.py

demo:
	@begun=$$(date +%s); $(MAKE) --no-print-directory setup && exec $(RUN) -m local.demo --begun $$begun $(if $(EXIT),--exit)

up: setup
	@exec $(RUN) -m cli up

down: setup
	@exec $(RUN) -m cli down

test: setup
	@exec $(RUN) -m pytest -n $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	$(RUN) -m schemas.drift
	$(RUN) -m pytest -q tests/test_style.py

bench: setup
	@exec $(RUN) -m cli bench $(ARGS)

bench-rebuild: setup
	@exec $(RUN) -m cli bench --only rebuild $(ARGS)

chaos: setup
	@exec $(RUN) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(JOBS),--jobs $(JOBS)) $(if $(PORT_BASE),--port-base $(PORT_BASE))

chaos-guards: setup
	@exec $(RUN) -m pytest -v -s tests/chaos/guards.py tests/chaos/spoiled.py tests/e2e/lost_documents.py \
		tests/e2e/lost_log_end.py

hostile: setup
	@exec $(RUN) -m tests.hostile corpus

hostile-text: setup
	@PALIMPSEST_TEST_STRINGS=10000 exec $(RUN) -m pytest -q --timeout 3600 tests/hostile/test_exports.py tests/hostile/test_names.py tests/projections/test_search.py

fuzz: setup
	@exec $(RUN) -m tests.hostile fuzz --seed $(or $(SEED),1) --minutes $(or $(MINUTES),5)

outages: setup
	@exec $(RUN) -m bench.outages $(ARGS)

soak: setup
	@exec $(RUN) -m bench.soak $(ARGS)

crash-points: setup
	@CRASH_POINTS=$(or $(ONLY),all) $(RUN) -m pytest -q -s tests/chaos/crash_points

lock:
	@"$(PYTHON)" -I local/bootstrap.py lock
	@$(MAKE) --no-print-directory setup
	$(RUN) -m local lock
