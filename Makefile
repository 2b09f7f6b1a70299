# make evaluate   the sample sequences through the official VOT toolkit, ending in the results table
# make test       linters, types, tests
# make machines   the tests as on other machines: other rounding, an empty HOME, one core, a busy one ...
# Both make .venv first where it is missing. PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(or $(shell command -v uv),$(BIN)/uv)
WORKSPACE := workspace
# A process for each core, with one thread: most of a test is not parallel in itself.
SEVERAL := --numprocesses logical --maxprocesses 8 --dist worksteal

.PHONY: evaluate test machines clean
.DELETE_ON_ERROR:

evaluate: $(VENV)/ready
	$(BIN)/d3s-vot sample --output $(WORKSPACE)/sequences
	$(BIN)/vot evaluate --workspace $(WORKSPACE) D3S
	rm -rf $(WORKSPACE)/cache
	$(BIN)/vot analysis --workspace $(WORKSPACE) --name latest --format json D3S
	$(BIN)/d3s-vot results $(WORKSPACE)

test: $(VENV)/ready
	$(BIN)/ruff check d3s_vot train tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest $(SEVERAL)

machines: $(VENV)/ready
	tests/machines.sh

# uv takes torch and torchvision from one place, so that they fit each other.
$(VENV)/ready: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("d3s_vot needs Python 3.10 or newer; add PYTHON=python3.11, say" if sys.version_info < (3, 10) else 0)'
	command -v $(UV) >/dev/null || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraints constraints.txt --editable '.[vot,got10k,ray,fast,video,web,train,docs,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(WORKSPACE)/sequences $(WORKSPACE)/results $(WORKSPACE)/analysis $(WORKSPACE)/cache
