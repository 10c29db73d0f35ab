# make train    install what training needs into .venv, then train   make train ARGS="model.num_layers=6"
# make test     install the developer tools as well, then run tests  make test ARGS="-k tokens"
# make faults   kills, damaged files, full disks and hostile input, a few of each; docs/RELIABILITY.md
# make soak     half an hour of sweeps with faults at random
# make check    ruff, mypy, import-linter
# make gpu-kit  collect the wheels that a GPU machine without a network lacks; see benchmarks/gpu.py
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

# Uses uv if it is installed, else pip. --no-compile: Python compiles what is imported, not 27,000 files.
define install
	@if command -v uv >/dev/null 2>&1; then \
		{ test -x $(BIN)/python || uv venv --python $(PYTHON) $(VENV); } && \
		uv pip install --python $(BIN)/python --constraint constraints.txt --editable "$(1)"; \
	else \
		{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); } && \
		$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable "$(1)"; \
	fi
endef

.PHONY: train test faults soak check format gpu-kit clean
.DEFAULT_GOAL := train

# Both run again when the requirements change. Sizes and times: docs/PERFORMANCE.md.
$(VENV)/.train: pyproject.toml constraints.txt
	@echo "Installing what training needs into $(VENV)."
	$(call install,.)
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	@echo "Installing what training and the tests need into $(VENV)."
	$(call install,.[dev])
	@touch $(VENV)/.train $@

train: $(VENV)/.train
	$(BIN)/python train.py $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(ARGS)

faults: $(VENV)/.test
	$(BIN)/python -m pytest tests/faults -m faults --numprocesses=auto --dist=worksteal $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m pytest tests/faults -m soak --capture=no $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Needs pip and a network, but no .venv; two minutes.
gpu-kit:
	$(PYTHON) benchmarks/gpu_kit.py $@

clean:
	rm -rf $(VENV)
