# Each target makes its own virtual environment when missing, and installs again when a source has changed.
PYTHON ?= python3
VENV ?= .venv
SOURCES := setup.py pyproject.toml README.md \
	$(shell find src ir frontends backends passes tools -type f -not -path '*/__pycache__/*')

.PHONY: demo test test-docs test-hls test-lowest docs compare lint clean

demo: $(VENV)/.installed
	$(VENV)/bin/optimise-onnx demo

test: $(VENV)/.installed-test
	$(VENV)/bin/pytest -n auto

# Runs every command that README.md and docs print: minutes.
test-docs: $(VENV)-hls/.installed
	$(VENV)-hls/bin/pytest -n auto -m printed tests/test_printed.py

# Compiles C simulations and, where verilator and yosys are installed, measures hardware: half an hour on two cores.
# Says in the end which of these tools were missing, and so what was skipped.
test-hls: $(VENV)-hls/.installed
	$(VENV)-hls/bin/pytest -n auto tests/backends/hls tests/tools/test_hls*.py
	@command -v g++ > /dev/null || echo 'skipped: every C simulation, as g++ is not installed'
	@command -v verilator > /dev/null || echo 'skipped: tier 3, hardware of our own, as verilator is not installed'
	@command -v yosys > /dev/null || echo 'skipped: cells of tier 3, as yosys is not installed'

# The lowest versions that pyproject.toml allows, on a few tests that go through all of it.
LOWEST := tests/test_demo.py tests/ir/test_shapes.py tests/tools/test_report_page.py tests/tools/test_recipe_file.py \
	tests/tools/test_front.py tests/tools/test_help.py tests/tools/test_data.py
test-lowest: $(VENV)-lowest/.installed
	$(VENV)-lowest/bin/pytest -n auto $(LOWEST)

# Builds the pages into build/site; a warning, such as a link to nowhere, is an error.
docs: $(VENV)-docs/.installed
	$(VENV)-docs/bin/mkdocs build --strict

# Other tools beside ours, as docs/results.md shows them: hours. SHARED holds networks and images, OUT what is measured.
SHARED ?= ../shared
OUT ?= build/compare
compare: $(VENV)-compare/.installed
	cd benchmarks && ../$(VENV)-compare/bin/python -m compare $(abspath $(SHARED)) $(abspath $(OUT))
	cd benchmarks && ../$(VENV)-compare/bin/python -m compare.page $(abspath $(OUT))/results.json

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	.ci/mypy.sh $(VENV)/bin/python

clean:
	rm -rf $(VENV) $(VENV)-hls $(VENV)-docs $(VENV)-compare $(VENV)-lowest build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)-%/bin/python:
	$(PYTHON) -m venv $(VENV)-$*

# A build folder left from before could carry a module that has since been deleted.
$(VENV)/.installed: $(SOURCES) | $(VENV)/bin/python
	rm -rf build
	$(VENV)/bin/python -m pip install --quiet .
	touch $@

$(VENV)/.installed-test: $(SOURCES) | $(VENV)/bin/python
	rm -rf build
	$(VENV)/bin/python -m pip install --quiet '.[test]'
	touch $@ $(VENV)/.installed

$(VENV)-hls/.installed: $(SOURCES) | $(VENV)-hls/bin/python
	rm -rf build
	$(VENV)-hls/bin/python -m pip install --quiet '.[test,hls,rtl,test-hls]'
	touch $@

$(VENV)-docs/.installed: $(SOURCES) | $(VENV)-docs/bin/python
	rm -rf build
	$(VENV)-docs/bin/python -m pip install --quiet '.[docs]'
	touch $@

$(VENV)-compare/.installed: $(SOURCES) benchmarks/compare/requirements.txt | $(VENV)-compare/bin/python
	rm -rf build/lib build/bdist.*
	$(VENV)-compare/bin/python -m pip install --quiet '.[images]' -r benchmarks/compare/requirements.txt
	touch $@

$(VENV)-lowest/.installed: $(SOURCES) constraints-lowest.txt | $(VENV)-lowest/bin/python
	rm -rf build/lib build/bdist.*
	$(VENV)-lowest/bin/python -m pip install --quiet -c constraints-lowest.txt . pytest pytest-xdist hypothesis pillow
	touch $@
