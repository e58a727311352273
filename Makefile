# Each target makes the virtual environment if it is missing; everything it leaves lies in .venv and runs/.
PYTHON ?= python3
BIN := .venv/bin
SPACE ?= search_spaces/vit_mobile.yaml
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: search test stress lint clean

search: .venv/installed
	$(BIN)/python -m tdmr_ray.search --space $(SPACE) $(ARGS)

test: .venv/installed
	$(BIN)/python -m pytest -n 2 -m 'not slow and not stress' $(ARGS)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'slow and not stress' $(ARGS)

stress: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m stress $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test,export]' --constraint constraints.txt
	touch $@

clean:
	rm -rf .venv
