# The commands of this repository. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Many tests wait for a peer or a timer, so that more of them than there are cores keep these busy.
WORKERS := $(shell echo $$(($$(nproc) * 2)))

.PHONY: help venv demo test faults fuzz check lint lock clean
help:
	@echo "make demo [URL=...]  mount, download, tag, query; from a local server, or from URL"
	@echo "make test            all tests; PYTEST='-k name' narrows them"
	@echo "make faults          the tests that docs/faults.md names, the long ones as well"
	@echo "make fuzz [SECONDS=60] [TARGET=...]  coverage-guided fuzzing of all that reads foreign input"
	@echo "make check           the tests, and ruff, mypy --strict, import-linter"
	@echo "make lint            the latter three alone"
	@echo "make venv            the virtual environment in $(VENV), from requirements.lock"
	@echo "make lock            resolve requirements.lock anew from pyproject.toml"
	@echo "make clean           remove $(VENV) and all caches"

venv: $(READY)
$(READY): requirements.lock pyproject.toml scripts/venv.sh
	scripts/venv.sh $(VENV)
	@touch $@

demo: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo.sh $(URL)

# Debian keeps nginx where only root's PATH leads.
test: $(READY)
	PATH="$$PATH:/usr/sbin" $(BIN)/pytest -n $(WORKERS) $(PYTEST)

faults: $(READY)
	$(BIN)/python -m tests.support.promises docs/faults.md \
	    | PATH="$$PATH:/usr/sbin" xargs $(BIN)/pytest -n $(WORKERS) -m "" --timeout 3600 $(PYTEST)

SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(TARGET)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# pytest comes last, so that its own last line is the last one printed.
check: lint test

lock: $(READY)
	$(BIN)/python -m pip --disable-pip-version-check install --quiet uv
	$(BIN)/uv pip compile --quiet --no-config --upgrade --universal --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" --group dev --output-file requirements.lock \
	    pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
