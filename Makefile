# Each target makes the virtual environment if it is missing; everything it leaves lies in .venv and runs/.
PYTHON ?= python3
BIN := .venv/bin
SPACE ?= search_spaces/vit_mobile.yaml
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: search test test-fast stress chaos lint docs audit sbom clean

search: .venv/installed
	$(BIN)/python -m tdmr_ray.search --space $(SPACE) $(ARGS)

test-fast: .venv/installed
	$(BIN)/python -m pytest -n 2 -m 'not slow and not stress and not chaos' $(ARGS)

test: test-fast
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'slow and not stress' $(ARGS)

stress: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m stress $(ARGS)

chaos: export SEEDS ?= 2
chaos: export MINUTES ?= 2
chaos: .venv/installed
	$(BIN)/python -m pytest -m chaos tests/chaos $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(CURDIR)/.venv/site

audit: .venv/audit/installed
	.venv/audit/bin/pip-audit --requirement constraints.txt --disable-pip --no-deps

sbom: .venv/installed .venv/audit/installed
	.venv/audit/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-file .venv/sbom.json

.venv/audit/installed: .venv/installed
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0
	touch $@

.venv/installed: pyproject.toml constraints.txt tests/litert.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test,export,executorch,coreml,openvino,docs]' --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --requirement tests/litert.txt
	touch $@

clean:
	rm -rf .venv
