PORT ?= 3000
PYTHON ?= python3
BIN := .venv/bin
UV := uv==0.13.9
INSTALL := $(BIN)/uv pip install -q --python $(BIN)/python
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-header pyproject.toml

# What serving needs: with CUDA and cuDNN where there is an NVIDIA GPU, and with CPU=1 no part for GPUs at all.
SERVING := $(if $(CPU),cpu,$(if $(shell command -v nvidia-smi 2>/dev/null),cuda,serve))
SIZE := $(if $(filter cpu,$(SERVING)),0.4 GB,$(if $(filter cuda,$(SERVING)),3 GB,0.7 GB; CPU=1 needs 0.4 GB))

.PHONY: serve dev test lint data models pin clean

serve: .venv/serve.done  ## set up what serving needs and serve on PORT (default 3000); CPU=1 leaves out what GPUs need
	$(BIN)/python -m service serve --port $(PORT)

dev: .venv/dev.done  ## set up everything, without running the tests

test: lint  ## set up everything, check style and types, and run the tests
	$(BIN)/python -m pytest $(PYTEST)

lint: .venv/dev.done  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Other writers' data lies in WRITERS_ROOT: beside the checkout if it is there, else it is fetched into data/.
export WRITERS_ROOT ?= $(or $(wildcard ../shared/writers),data/writers)
export IMAGENET_ROOT ?= $(or $(wildcard ../shared/weights),data/imagenet)

data: .venv/dev.done  ## fetch MNIST and the other writers' data from their public sources
	$(BIN)/python -m training.data

# All networks but the one for a lesson, or those that NETWORKS names; TRAIN adds options to each training. A finished
# run has a file `done`; the progress of each is in `log.txt` beside it. Trainings side by side have one thread each.
NETWORKS ?= $(filter-out __init__ quick,$(basename $(notdir $(wildcard training/networks/*.py))))
RUNS ?= runs
MODELS ?= models
RESULTS ?= results
JOBS ?= 2

models: data  ## train, export and evaluate all networks; goes on where it was stopped
	$(MAKE) --no-print-directory -k -j $(JOBS) $(NETWORKS:%=$(MODELS)/%.onnx)
	$(BIN)/python -m training.evaluate --models $(MODELS) --results $(RESULTS)
	$(BIN)/python -m training.report --models $(MODELS) --results $(RESULTS) --runs $(RUNS)

$(NETWORKS:%=$(RUNS)/%/done): $(RUNS)/%/done:
	@mkdir -p $(@D)
	$(BIN)/python -m training.train $* --resume $(if $(filter-out 1,$(JOBS)),--threads 1) --out $(RUNS) $(TRAIN) 2>> $(@D)/log.txt \
		|| { tail -n 5 $(@D)/log.txt; exit 1; }
	@touch $@

$(NETWORKS:%=$(MODELS)/%.onnx): $(MODELS)/%.onnx: $(RUNS)/%/done
	$(BIN)/python -m training.export $* --runs $(RUNS) --models $(MODELS) 2>> $(<D)/log.txt \
		|| { tail -n 5 $(<D)/log.txt; exit 1; }

# dev.txt is resolved first, from all extras; the other two are parts of it, so that they can be installed together.
pin: .venv/uv.done  ## pin pyproject.toml into requirements/; UPGRADE=-U takes the newest releases
	$(COMPILE) $(UPGRADE) --extra cuda --extra train --extra dev -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt --extra tracing -o requirements/serve.txt
	echo onnxruntime-gpu | $(COMPILE) requirements/cpu.in --excludes /dev/stdin -c requirements/dev.txt --extra tracing -o requirements/cpu.txt
	$(COMPILE) -c requirements/dev.txt --extra tracing --extra cuda -o requirements/cuda.txt

clean:  ## remove the environment
	rm -rf .venv

.venv/uv.done:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Quintet needs Python 3.11 or newer, and $(PYTHON) is not: set PYTHON."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q $(UV)
	touch $@

.venv/serve.done: .venv/uv.done requirements/$(SERVING).txt
	@echo "Installing what serving needs into .venv: $(SIZE), from Python's package index."
	$(INSTALL) --require-hashes -r requirements/$(SERVING).txt
	$(INSTALL) --no-deps -e .
	touch $@

.venv/dev.done: .venv/serve.done requirements/dev.txt
	$(INSTALL) --require-hashes -r requirements/dev.txt
	touch $@
