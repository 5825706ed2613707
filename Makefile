# Everything a developer types. `make run` and `make test` set up what they need themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUNDLE := graphiql/dist/manifest.json
BUNDLED := graphiql/package.json graphiql/package-lock.json graphiql/build.mjs graphiql/boot.js

.PHONY: run test lint fmt bench conformance setup lock clean

run: $(VENV)/.runtime $(BUNDLE)  ## the gateway on http://127.0.0.1:8000, GraphiQL at /graphql
	@exec $(BIN)/python server.py

test: setup  ## every test
	$(BIN)/pytest

lint: $(VENV)/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## ratios, measured against the sandbox
	$(BIN)/python -m bench

conformance: $(VENV)/.dev  ## the contract, the requests and the simulators against what they promise, for those who have that
	$(BIN)/pytest -m conformance tests/conformance

setup: $(VENV)/.dev $(BUNDLE)

$(VENV)/.runtime: requirements.lock
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# GraphiQL needs npm once, here. Without it the gateway runs all the same and its page says how to get the bundle.
$(BUNDLE): $(BUNDLED)
	@if command -v npm >/dev/null; then \
		cd graphiql && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && node build.mjs; \
	else \
		echo "npm is absent: GraphiQL is not bundled (install npm, then: make setup)"; \
	fi

lock:  ## pin the newest versions that pyproject.toml allows; needs uv
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q \
		-o requirements.lock
	uv pip compile pyproject.toml --group dev -c requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header -q -o requirements-dev.lock

clean:
	rm -rf $(VENV) .data graphiql/dist graphiql/node_modules
