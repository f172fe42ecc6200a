# For a machine with Python 3.11 or later, pip, make and git:
#   make demo   set up .venv and measure one simulated night, draw it
#   make test   set up .venv and run the tests; those of the window need what .ci/run installs for Qt
#   make window set up .venv and open the window on simulated instruments
#   make lint   the checks of style, types and architecture
# Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test window lint clean

demo: $(VENV)/program.installed
	$(BIN)/cryoscan run examples/overnight.toml
	$(BIN)/python docs/figures/overnight.py \
		"$$(ls -t examples/runs/*/*/*/*.nxs | head -n 1)" examples/runs/overnight.png
	@echo picture: examples/runs/overnight.png

test: $(VENV)/tests.installed
	$(BIN)/python -m pytest -n 2

window: $(VENV)/window.installed
	$(BIN)/cryoscan gui examples/station_simulated.toml

lint: $(VENV)/tests.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV)

$(VENV)/program.installed: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/window.installed: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[gui]'
	touch $@

$(VENV)/tests.installed: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# Debian splits ensurepip off its Python; the pip beside it then fills the environment.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"cryoscan needs Python 3.11 or later: make PYTHON=/path/to/python3.11")'
	if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv $(VENV); else \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; fi
