# Every target sets up what it needs on a fresh Debian with Python 3.11 and pip.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
STAMP := $(VENV)/.installed

# Real programs that tests talk to and read the output of; without them those tests skip and say so.
PEERS := golang-go gotestsum junit4 libmaven-compiler-plugin-java libmaven-resources-plugin-java libsurefire-java \
	maven maven-debian-helper prometheus-alertmanager

.PHONY: setup peers demo test test-duckdb2 check dev lock docs clean

setup: $(STAMP)

# Byte-compiled on install: without it every import pays two to three times the price.
# `install`, not `sync`: uv lives in the same environment and would remove itself.
$(STAMP): constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --requirement constraints.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q src models assets
	touch $(STAMP)

# Debian and npm packages; as root.
peers:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEERS) > /dev/null
	npm install --prefix tests/peers --no-audit --no-fund --no-package-lock --silent

# Made anew each time; `weaver-forge demo DIR` itself refuses a folder that is not empty.
demo: setup
	rm -rf demo
	$(BIN)/weaver-forge demo demo

# Two files at a time: tests of one file share what they set up. In their order, in which the long ones come first.
# Threads of numpy's products spin while they wait for each other, as pipeline processes know (weaver_forge.settings).
# fugue, a dependency of a dependency, has pandas and itself imported by every pytest.
TEST := OPENBLAS_NUM_THREADS=1 env -u PYTHONDONTWRITEBYTECODE
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder -p no:fugue_test -p no:fugue_test_fixtures

test: setup
	$(TEST) $(BIN)/python $(PYTEST)

# The next major DuckDB, before everything else that is installed: tables and stores, whatever computes in SQL, and
# commands that read what was published. Of tests/contract that is each file that opens a warehouse or DuckDB itself;
# the others hold ledger, policy, models and command line to their contracts, which DuckDB has no part in.
DUCKDB2 := $(VENV)-duckdb2
test-duckdb2: setup
	test -x $(DUCKDB2)/bin/python || $(PYTHON) -m venv --without-pip $(DUCKDB2)
	$(UV) pip install --quiet --python $(DUCKDB2)/bin/python --no-deps 'duckdb>=2,<3'
	$(BIN)/python -c "import sysconfig; print(f'import site; site.addsitedir({sysconfig.get_path(\"purelib\")!r})')" \
		> $$($(DUCKDB2)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/beside.pth
	$(TEST) $(DUCKDB2)/bin/python -c "import duckdb; assert duckdb.__version__.startswith('2.'), duckdb.__version__"
	$(TEST) $(DUCKDB2)/bin/python $(PYTEST) $$(grep -lE 'Warehouse\(|duckdb' tests/contract/test_*.py) \
		tests/unit/test_warehouse_*.py tests/unit/test_snapshot_*.py tests/unit/test_*marts*.py \
		tests/pipeline/test_touched_marts.py tests/pipeline/test_signal_marts.py

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: setup
	$(BIN)/weaver-forge dev

# The lock names versions only, no registry addresses.
lock: setup
	$(UV) pip compile --quiet --universal --no-header --no-annotate --python-version 3.11 \
		--all-extras --group dev pyproject.toml --output-file constraints.txt

# The generated pages; tests hold them to the code.
docs: setup
	$(BIN)/python -m weaver_forge.cli.reference > docs/cli.md
	$(BIN)/python -c "from weaver_forge.contracts.docs import tables_markdown; from weaver_forge.contracts.tables import ALL; print(tables_markdown(ALL), end='')" > docs/tables.md
	$(BIN)/python -c "import json; from weaver_forge.policy import json_schema; print(json.dumps(json_schema(), indent=2))" > docs/policy.schema.json

clean:
	rm -rf demo dist .pytest_cache .mypy_cache .ruff_cache
	find src models assets tests -name __pycache__ -type d -prune -exec rm -rf {} +
