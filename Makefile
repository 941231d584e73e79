PORT ?= 3000
PYTHON ?= python3
BIN := .venv/bin

# Where there is an NVIDIA GPU, onnxruntime needs CUDA and cuDNN beside it.
GPU := $(if $(shell command -v nvidia-smi 2>/dev/null),-r requirements/cuda.txt)

.PHONY: serve test lint pin clean

serve: .venv/serve.done  ## set up what serving needs and serve on PORT (default 3000)
	$(BIN)/bentoml serve service.bento:Quintet --port $(PORT) --timeout-graceful-shutdown 25

test: lint  ## set up everything, check style and types, and run the tests
	$(BIN)/python -m pytest $(PYTEST)

lint: .venv/dev.done  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

pin: .venv/uv.done  ## resolve pyproject.toml's extras into requirements/
	$(BIN)/uv pip compile -q --universal --no-header --extra serve pyproject.toml -o requirements/serve.txt
	$(BIN)/uv pip compile -q --universal --no-header --extra serve --extra cuda -c requirements/serve.txt pyproject.toml -o requirements/cuda.txt
	$(BIN)/uv pip compile -q --universal --no-header --extra serve --extra train --extra dev -c requirements/serve.txt pyproject.toml -o requirements/dev.txt

clean:  ## remove the environment
	rm -rf .venv

.venv/uv.done:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q uv
	touch $@

.venv/serve.done: .venv/uv.done requirements/serve.txt requirements/cuda.txt
	$(BIN)/uv pip install -q --python $(BIN)/python -r requirements/serve.txt $(GPU)
	touch $@

.venv/dev.done: .venv/serve.done requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python -r requirements/dev.txt
	touch $@
