# make demo       scan a recorded log and see what failed, why, and what to change
# make test       everything: style, types, tests, with a real Elasticsearch and real Asterisks
# make test-live  what runs beside real servers, at full length (make test has it shorter)
# make soak       twenty minutes of 2,000 events a second: memory of siplogs tail over time
# make deb        the Debian package, into dist/
# make benchmark  speed and memory beside public tools (make benchmark-tools), into docs/benchmarks.md
# make benchmark-shipping  siplogs ship beside the bare client, latency, memory; into docs/benchmarks-shipping.md
# make golden     rewrite the reviewed documents and differences of the corpus; read the diff
# make docs       rewrite what is generated from the model and from the knowledge base
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ES_VERSION ?= $(or $(SIPLOGS_TEST_ELASTICSEARCH_VERSION),9.4.3)

.PHONY: demo test install lint types unit test-live soak elasticsearch asterisk debian deb packages benchmark benchmark-shipping benchmark-tools golden docs clean

demo: $(VENV)/.installed
	@$(BIN)/siplogs scan --format table --failures --timezone UTC --jobs 1 examples/demo-asterisk-full.xz | tail -n 60
	@echo
	@$(BIN)/siplogs explain 488

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

install: $(VENV)/.installed

test: $(VENV)/.installed-test packages elasticsearch asterisk debian lint types unit

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

unit:
	$(BIN)/pytest -n 2 --dist loadfile

packages:
	tools/install-test-packages

test-live: $(VENV)/.installed-test packages elasticsearch asterisk
	SIPLOGS_TEST_FULL=1 $(BIN)/pytest tests/live

soak: $(VENV)/.installed elasticsearch
	$(BIN)/python -m benchmarks.shipping --only soak

elasticsearch: packages
	ES_VERSION=$(ES_VERSION) tools/elasticsearch/start-elasticsearch install

asterisk: packages
	tools/asterisk/make-asterisk 16 22

debian: packages
	tools/debian/make-debian

deb: $(VENV)/.installed
	PYTHON=$(BIN)/python packaging/build-deb

benchmark-tools: $(VENV)/.installed
	apt-get install -y ripgrep lnav
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[benchmark]'
	cargo install --root benchmarks/.tools --locked --version 0.17.1 --features cli freeswitch-log-parser

benchmark: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[benchmark]'
	$(BIN)/python -m benchmarks --write

benchmark-shipping: $(VENV)/.installed elasticsearch
	$(BIN)/python -m benchmarks.shipping --write

docs: $(VENV)/.installed
	$(BIN)/python -m siplogs.outputs.schema docs
	$(BIN)/python -m siplogs.knowledge.reference docs

golden: $(VENV)/.installed-test
	$(BIN)/python -m tests.corpus.test_golden
	$(BIN)/python -m tests.corpus.test_truth

clean:
	rm -rf $(VENV) build dist .asterisk .debian .elasticsearch .cache .pytest_cache .mypy_cache .ruff_cache
