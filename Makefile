# Everything a person needs, in one word each. `make demo` and `make test` work on a fresh Debian 12.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := demo-out

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One stamp for each set of extras, so that a demo does not wait for a test suite's packages.
EXTRAS-demo :=
EXTRAS-test := [test,dev]
EXTRAS-bench := [test,bench]
EXTRAS-docs := [docs]
EXTRAS-all := [test,bench,dev,docs]

$(INSTALLED)-%: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3-venv is missing; install it with: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(EXTRAS-$*)'
	@touch $@

.PHONY: demo
demo: $(INSTALLED)-demo ## adjust the photographs of examples/photos on this machine
	$(BIN)/imgbatch-client examples/photos $(DEMO) --preset punchy --overwrite
	@echo
	@echo "before:  examples/photos/"
	@echo "after:   $(DEMO)/"
	@echo "report:  xdg-open $(DEMO)/imgbatch-report.html"

.PHONY: install
install: $(INSTALLED)-all ## make .venv with everything

.PHONY: test
test: $(INSTALLED)-test system-test ## the whole test suite, through tox
	$(BIN)/tox run-parallel --parallel all --parallel-live

.PHONY: lint
lint: $(INSTALLED)-test ## ruff and mypy
	$(BIN)/tox run -e lint

.PHONY: weight
weight: ## lines of code by folder
	@$(PYTHON) scripts/weigh.py

.PHONY: chaos
chaos: $(INSTALLED)-test system-test ## every fault of the chaos suite
	$(BIN)/tox run -e chaos

.PHONY: test-rabbitmq4
test-rabbitmq4: $(INSTALLED)-test system-test ## the broker tests against RabbitMQ 4, in a Debian 13 root
	scripts/with-rabbitmq4 $(BIN)/tox run -e rabbitmq4

.PHONY: test-slow
test-slow: $(INSTALLED)-test system-test system-slow ## what takes minutes: a million frames, the container image, a release, alert rules
	$(BIN)/tox run -e slow

.PHONY: release-check
release-check: $(INSTALLED)-test system-test ## build sdist, wheel and bill of materials in dist/, and try them far from the sources
	$(BIN)/tox run -e release

.PHONY: audit
audit: $(INSTALLED)-test ## whether a package that users install with imgbatch has a known hole, as PyPI knows
	$(BIN)/tox run -e audit

.PHONY: bench
bench: $(INSTALLED)-bench system-bench ## all benchmarks, and docs/benchmarks.md anew
	$(BIN)/python -m bench.run

.PHONY: bench-compare
bench-compare: $(INSTALLED)-bench system-bench ## benchmarks against the committed figures: ratios only
	$(BIN)/python -m bench.compare

.PHONY: docs
docs: $(INSTALLED)-docs ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf $(VENV) .tox $(DEMO) site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# What pip can't install. Debian's rabbitmq-server starts no service in a container; the tests
# start a private node of their own.
.PHONY: system-test
system-test:
	@scripts/install-debian rabbitmq-server chromium chromium-driver iproute2 gcc libc6-dev zsh fish groff-base swift-proxy swift-account swift-container swift-object

.PHONY: system-slow
system-slow:
	@scripts/install-debian debootstrap prometheus qemu-user-static systemd

.PHONY: system-bench
system-bench: system-test
	@scripts/install-debian libvips42 imagemagick graphicsmagick
