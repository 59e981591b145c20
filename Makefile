# Each target makes its own virtual environment when missing, and installs again when a source has changed.
PYTHON ?= python3
VENV ?= .venv
SOURCES := setup.py pyproject.toml README.md \
	$(shell find src ir frontends backends passes tools -type f -not -path '*/__pycache__/*')

.PHONY: demo test lint clean

demo: $(VENV)/.installed
	$(VENV)/bin/optimise-onnx demo

test: $(VENV)/.installed-test
	$(VENV)/bin/pytest -n auto

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	.ci/mypy.sh $(VENV)/bin/python

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A build folder left from before could carry a module that has since been deleted.
$(VENV)/.installed: $(SOURCES) | $(VENV)/bin/python
	rm -rf build
	$(VENV)/bin/python -m pip install --quiet .
	touch $@

$(VENV)/.installed-test: $(SOURCES) | $(VENV)/bin/python
	rm -rf build
	$(VENV)/bin/python -m pip install --quiet '.[test]'
	touch $@ $(VENV)/.installed
