# The one door: `make demo` and `make test` set up all they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check venv lab readme notebooks screenshots bench clean

demo: venv
	$(BIN)/nbtool demo

test: venv # side by side; a single one is `.venv/bin/pytest path::test`, with -x or --pdb
	$(BIN)/pytest --numprocesses logical --maxprocesses 4

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: venv
	$(BIN)/nbtool lab

readme: venv # what it and docs/schedulers.md say from tables
	$(BIN)/python tests/readme.py

notebooks: venv # and the pictures in the README that need no browser
	$(BIN)/python tests/notebooks/execute.py
	$(BIN)/python tests/notebooks/from_a_picture.py
	NBTOOL_STORE=$$(mktemp -d) $(BIN)/nbtool grid "a large yellow star on a blue background" \
		seed=0-3 "guidance_scale=1,2,3,5" -o docs/demo.png

screenshots: venv # the pictures of the README, from a real browser
	$(BIN)/python tests/ui/screenshots.py

bench: venv # the tables of benchmarks/README.md; keep the machine free for them
	$(BIN)/python benchmarks/grids.py
	$(BIN)/python benchmarks/pictures.py
	$(BIN)/python benchmarks/loras.py
	$(BIN)/python benchmarks/same_again.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/library.py
	$(BIN)/python benchmarks/gallery.py
	$(BIN)/python benchmarks/panel.py

venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps \
		--target .venv/ipykernel6 ipykernel==6.31.0 # for a kernel of the last generation
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
