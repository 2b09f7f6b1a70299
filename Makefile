# make evaluate   the sample sequences through the official VOT toolkit, ending in the results table
# make test       linters, types, tests
# Both make .venv first where it is missing. PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKSPACE := workspace
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: evaluate test clean
.DELETE_ON_ERROR:

evaluate: $(VENV)/ready
	d3s-vot sample --output $(WORKSPACE)/sequences
	vot evaluate --workspace $(WORKSPACE) D3S
	rm -rf $(WORKSPACE)/cache
	vot analysis --workspace $(WORKSPACE) --name latest --format json D3S
	d3s-vot results $(WORKSPACE)

test: $(VENV)/ready
	ruff check d3s_vot train tests
	mypy
	python -m pytest

# uv takes torch and torchvision from one place, so that they fit each other.
$(VENV)/ready: setup.cfg constraints.txt
	command -v uv >/dev/null || $(PYTHON) -m uv --version >/dev/null 2>&1 || $(PYTHON) -m pip install --quiet --user uv || $(PYTHON) -m pip install --quiet uv
	UV="$$(command -v uv || echo $(PYTHON) -m uv)"; \
	$$UV venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	$$UV pip install --quiet --compile-bytecode --python $(BIN)/python --constraints constraints.txt --editable '.[vot,got10k,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(WORKSPACE)/sequences $(WORKSPACE)/results $(WORKSPACE)/analysis $(WORKSPACE)/cache
