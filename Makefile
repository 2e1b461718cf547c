# `make play` tries the bot with no account; `make test` runs every test. Both set up what they need.

PYTHON ?= python3
# A number, not `auto`: in a container that counts the cores of its host. Each worker wants a core of its own.
WORKERS := 2
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: play test soak bench clean

play: $(INSTALLED)
	$(BIN)/tgbot play

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

soak: $(INSTALLED)
	$(BIN)/python -m pytest -m soak -s -o faulthandler_timeout=0

bench: $(INSTALLED)
	$(BIN)/python -m bench

$(INSTALLED): pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=.ci/constraints.txt $(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv
