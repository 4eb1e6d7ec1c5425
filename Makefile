# Two commands are enough: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OTHERS := .venv-others
SITE := .venv-site
SERVERS := .venv-servers
DJ_PROCESS := $(BIN)/dj-process

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow test-servers bench bench-gpu ablations lint docs docs-site dist lock clean

help:  ## Show what can be made.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# Newer than what it is made from: nothing is installed twice.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV): two minutes or so, and 2.7 GB"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[offline,multilingual,train,dev]"
	@touch $@

quickstart: $(VENV)/.installed  ## Install, then run the whole method on the sample that ships: no key, no network.
	@mkdir -p outputs/quickstart
	@echo "Running recipes/mergeit_quickstart.yaml: half a minute or so. Data-Juicer's log: outputs/quickstart/log.txt"
	@$(DJ_PROCESS) --config recipes/mergeit_quickstart.yaml > outputs/quickstart/log.txt 2>&1 || \
		{ tail -n 5 outputs/quickstart/log.txt; exit 1; }
	@$(BIN)/python -m mergeit_ops show outputs/quickstart/merged.jsonl
	@$(BIN)/python -m mergeit_ops report outputs/quickstart/merged.jsonl \
		--input recipes/data/sample_instructions.jsonl --output outputs/quickstart/report.html
	@echo
	@echo "Export: outputs/quickstart/merged.jsonl"
	@echo "Report: outputs/quickstart/report.html, to be opened in a browser"
	@echo "Next:   $(BIN)/python -m mergeit_ops check my.jsonl says what your own rows need"

# Two processes, on every machine: each takes 2 GB, and a Ray of its own at the end. The tests start many processes more:
# without compiled files, each of them compiles the package.
test: $(VENV)/.installed lint  ## Lint, check types, run the tests.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "not slow and not servers" --numprocesses 2

test-slow: $(VENV)/.installed  ## Run the tests that take long.
	$(BIN)/python -m pytest -m "slow and not servers"

# Beside the project's environment, whose torch and transformers it borrows. llama-cpp-python compiles llama.cpp, for which
# it needs a compiler and cmake: where that fails, its tests are left out.
$(SERVERS)/.installed: $(VENV)/.installed
	$(BIN)/python -m venv $(SERVERS)/local
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
		"$$($(SERVERS)/local/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth"
	$(SERVERS)/local/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		"xllamacpp==2026.10.11549" "gguf==0.19.0" "transformers[serving]"
	$(BIN)/python -m venv $(SERVERS)/gateway
	$(SERVERS)/gateway/bin/python -m pip install --quiet --disable-pip-version-check "litellm[proxy]==1.106.2"
	@echo "Compiling llama-cpp-python: five minutes or so on two cores"
	-$(SERVERS)/local/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		"llama-cpp-python[server]==0.3.36" && touch $(SERVERS)/local/.llama-cpp-python
	@touch $@

# A real model of 0.5B parameters; without it, its test is left out.
$(SERVERS)/models/small.gguf: $(SERVERS)/.installed
	@echo "Downloading a model of 0.5 GB"
	-$(BIN)/python -m tests.servers.small_model $(SERVERS)/models

test-servers: $(SERVERS)/.installed $(SERVERS)/models/small.gguf  ## Run real servers with tiny models, and the tests against them.
	$(BIN)/python -m pytest -m servers tests/servers

# What is measured beside ours and cannot live with Data-Juicer's libraries.
$(OTHERS)/.installed: Makefile
	$(PYTHON) -m venv $(OTHERS)
	$(OTHERS)/bin/python -m pip install --quiet --disable-pip-version-check \
		"distilabel[openai]==1.5.3" requests "apricot-select==0.6.1" matplotlib scikit-learn tqdm
	@touch $@

bench: $(VENV)/.installed $(OTHERS)/.installed  ## Measure what the documentation claims.
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/embedding.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/embedding_models.py --rows 1000
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/embedded_turns.py
	$(BIN)/python benchmarks/static_vectors.py
	$(BIN)/python benchmarks/stage_one.py
	$(BIN)/python benchmarks/whole_job.py
	$(BIN)/python benchmarks/facility_location.py --apricot $(OTHERS)/bin/python
	$(BIN)/python benchmarks/facility_location.py --shapes 12000
	$(BIN)/python benchmarks/pairing.py
	$(BIN)/python benchmarks/llm_throughput.py --pairs 1000 --distilabel $(OTHERS)/bin/python
	$(BIN)/python benchmarks/scorers.py
	$(BIN)/python benchmarks/selection_methods.py --apricot $(OTHERS)/bin/python
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/response_loss.py --threads 1
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/response_loss.py --threads 1 --turns 4
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/deita_scorer.py --rows 32
	$(BIN)/python benchmarks/distilled_scorer.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/local_llm.py --shape tiny
	$(BIN)/python benchmarks/parents_kept.py
	$(BIN)/python benchmarks/stability.py
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/scaling.py --rows 10000 30000 100000 300000

bench-gpu: $(VENV)/.installed  ## Measure embedding, losses, merging and the Deita scorer on one GPU, in 8 minutes.
	$(BIN)/python benchmarks/gpu.py --output outputs/gpu.json

ablations: $(VENV)/.installed  ## Run all ablations and baselines: make ablations DATA=my.jsonl BUDGET=1500 [ARGS="--hf-model gpt2"].
	$(BIN)/python -m scripts.run_ablations "$(DATA)" --budget "$(BUDGET)" $(ARGS)

lint: $(VENV)/.installed  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed  ## Write the operators' pages and the table of all operators anew.
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m scripts.operator_pages

# Beside the project's environment: what builds a site has nothing to do with what runs a recipe.
$(SITE)/.installed: Makefile
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check "mkdocs==1.6.1" "mkdocs-material==9.8.2"
	@touch $@

docs-site: $(SITE)/.installed  ## Build the documentation site into outputs/site; a dead link fails.
	$(SITE)/bin/mkdocs build --strict --quiet

dist: $(VENV)/.installed  ## Build wheel and source archive into dist/, and check what is in them.
	rm -rf dist
	$(BIN)/uv build --quiet --out-dir dist
	$(BIN)/python -m scripts.check_distribution dist

lock: $(VENV)/.installed  ## Resolve constraints.txt anew, for every supported Python and platform.
	$(BIN)/uv pip compile --universal --python-version 3.10 --all-extras --no-annotate --quiet \
		--constraint constraints.in --custom-compile-command "make lock" --output-file constraints.txt pyproject.toml

clean:  ## Remove the environment and what runs left.
	rm -rf $(VENV) $(OTHERS) $(SITE) $(SERVERS) outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis
