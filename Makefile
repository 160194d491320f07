# Every target installs what it needs on a Debian 12 with Python 3.11, and says what is missing
# elsewhere. `make verify` is what CI runs.

VENV ?= .venv
RUN = $(VENV)/bin
OUT ?= out

.PHONY: setup demo test verify lint bench constraints

setup: $(VENV)/.installed

$(VENV)/.installed: constraints.txt pyproject.toml scripts/setup
	@echo "setting up $(VENV): about 3 GB to download, once"
	@sh scripts/setup $(VENV)

demo: setup
	$(RUN)/t2v run -f examples/red-circle.yaml -o $(OUT)

test: setup
	@sh scripts/need ffprobe ffmpeg
	@sh scripts/need chromium chromium
	$(RUN)/python -m pytest --durations=10

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

verify: lint test

bench: setup
	$(RUN)/python benchmarks/runner.py

constraints:
	uv pip compile pyproject.toml --all-extras --generate-hashes --universal \
	  --python-version 3.11 --no-emit-index-url --no-annotate --no-header -o constraints.txt
