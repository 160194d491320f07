# Every target installs what it needs on a Debian 12 with Python 3.11, and says what is missing
# elsewhere. `make verify` is what CI runs.

VENV ?= .venv
RUN = $(VENV)/bin
OUT ?= out
IMAGE_TAG ?= 0.2.0

# Tests on a cluster have the machine to themselves; the others share it, with one thread of torch each: two
# processes of two threads are ten times as slow on two cores.
WITH_CLUSTER = tests/benchmarks tests/cluster
WITHOUT_CLUSTER = $(WITH_CLUSTER:%=--ignore=%)

.PHONY: setup demo test verify lint gateway-fuzz checkpoints ranks estimates flux flux-soak argo-cd grants chaos bench bench-start bench-operator bench-failover model-cache-full-size constraints generate docs images release cluster cluster-down

setup: $(VENV)/.installed

$(VENV)/.installed: constraints.txt pyproject.toml scripts/setup
	@echo "setting up $(VENV): about 3 GB to download, once"
	@sh scripts/setup $(VENV)

demo: setup
	$(RUN)/t2v run -f examples/red-circle.yaml -o $(OUT)

test: setup
	@sh scripts/need ffprobe ffmpeg
	@sh scripts/need chromium chromium
	@sh scripts/need php php-cli php-curl
	@sh scripts/need npm nodejs npm
	@sh scripts/need javac default-jdk-headless
	@sh scripts/need mvn maven
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n 2 --dist loadfile --durations=10 $(WITHOUT_CLUSTER); ended=$$?; \
	  $(RUN)/python -m pytest --durations=10 $(WITH_CLUSTER) && exit $$ended

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

verify: lint test

# 10,000 requests made of each of the OpenAPI documents, 100,000 bodies through the parser: some 20 minutes
# of one core.
gateway-fuzz: setup
	GATEWAY_FUZZ_BODIES=50000 GATEWAY_FUZZ_REQUESTS=10000 $(RUN)/python -m pytest -q \
	  tests/unit/gateway/test_fuzz_bodies.py tests/unit/gateway/test_openapi.py \
	  tests/unit/gateway/test_openai_openapi.py

# Every scheduler and every model's every start, stopped and gone on with; a runner that is deaf at each
# stage: some ten minutes.
checkpoints: setup
	T2V_WHOLE=1 $(RUN)/python -m pytest tests/runner/test_checkpoints.py tests/runner/test_stop.py

# Every start of the models that several GPUs draw together, by two processes: five minutes.
ranks: setup
	T2V_WHOLE=1 $(RUN)/python -m pytest tests/runner/test_ranks.py

# How true the ends are that forty videos on two simulated GPUs are told, by the scheduler and in a queue of
# Kueue: seventeen minutes of an idle machine.
estimates: setup
	T2V_WHOLE=1 $(RUN)/python -m pytest -s tests/cluster/test_estimates.py

bench: setup
	$(RUN)/python benchmarks/runner.py

bench-start: setup
	$(RUN)/python -m benchmarks.runner_start

# The operator's cost for thousands of videos, and its failover: on the tests' cluster
# (python tests/cluster/harness up), a quarter of an hour each.
bench-operator: setup
	$(RUN)/python benchmarks/operator_scale.py --count 3000 --finished 10000 --running 500

bench-failover: setup
	$(RUN)/python benchmarks/operator_failover.py

# A model cache of 1 GB and models of 300 MB, against the tests' hub: five minutes, 4 GB of disk.
model-cache-full-size: setup
	$(RUN)/python -m benchmarks.full_size_cache

# The CRD, the chart's copy of it, the schema of the chart's values; config/default; what Argo CD's health
# is tested with.
generate: setup
	$(RUN)/python scripts/generate.py
	PYTHONPATH=tests/cluster $(RUN)/python scripts/chart_files.py
	$(RUN)/python -m tests.gitops.saved

# The documentation's site; a warning ends it.
docs: setup
	@$(RUN)/python scripts/docs_site.py
	@echo "build/site/index.html; with its search: $(RUN)/python -m http.server --directory build/site"

# Real Flux, reconciling a finished video every ten seconds for half an hour: it is made once.
flux: setup
	T2V_FLUX_MINUTES=2 $(RUN)/python -m pytest tests/cluster/test_flux.py

flux-soak: setup
	T2V_FLUX_MINUTES=30 $(RUN)/python -m pytest tests/cluster/test_flux.py -k again_and_again

# Ten minutes in which parts of everything are killed and come back by chance, while 30 videos are made.
# T2V_CHAOS_MINUTES=3 is shorter, with fewer; T2V_CHAOS_SEED=N is one that was printed, once more.
chaos: setup
	T2V_CHAOS_MINUTES=$${T2V_CHAOS_MINUTES:-10} T2V_CHAOS_SEED=$${T2V_CHAOS_SEED:-$$$$} \
	  $(RUN)/python -m pytest -s tests/cluster/test_chaos.py

# A dry run: the chart, SBOMs and checksums in dist/, and what a push would run. PUSH=REGISTRY pushes and signs.
release: setup
	PYTHONPATH=tests/cluster $(RUN)/python scripts/release.py $(if $(PUSH),--push $(PUSH),--dry-run)

# The whole cluster suite, and then: which rights nobody used, and which queries of the dashboard do not answer.
grants: setup
	T2V_GRANTS=1 $(RUN)/python -m pytest tests/cluster

argo-cd: setup
	T2V_ARGO_CD=1 $(RUN)/python -m pytest tests/cluster/test_argo_cd.py

images:
	@sh scripts/images $(IMAGE_TAG)

# A real Kubernetes on this machine, to try things out; `eval "$$(make -s cluster)"` points kubectl at it.
cluster: setup
	@$(RUN)/python tests/cluster/with_operator.py

cluster-down: setup
	@$(RUN)/python tests/cluster/harness down

COMPILE = uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 \
  --no-emit-index-url --no-annotate --no-header --quiet

constraints:
	$(COMPILE) --all-extras -o constraints.txt
	$(COMPILE) --extra operator --extra gateway --extra tracing --constraints constraints.txt -o operator/requirements.txt
	$(COMPILE) --extra runner --constraints constraints.txt -o runner/requirements.txt
