# make train   set up .venv, then train on the embedded data    make train ARGS="model.num_layers=6"
# make test    set up .venv, then run the tests                 make test ARGS="-k tokens"
# make check   ruff, mypy, import-linter
# make gpu-kit collect the wheels that a GPU machine without a network lacks; see benchmarks/gpu.py
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=

.PHONY: train test check format gpu-kit clean
.DEFAULT_GOAL := train

# uv when it is there, else pip; again whenever the requirements change.
$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV): some gigabytes, a few minutes."
	@if command -v uv >/dev/null 2>&1; then \
		{ test -x $(BIN)/python || uv venv --python $(PYTHON) $(VENV); } && \
		uv pip install --python $(BIN)/python --constraint constraints.txt --editable ".[dev]"; \
	else \
		{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); } && \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"; \
	fi
	@touch $@

train: $(READY)
	$(BIN)/python train.py $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Needs pip and a network, but no .venv; two minutes.
gpu-kit:
	$(PYTHON) benchmarks/gpu_kit.py $@

clean:
	rm -rf $(VENV)
