# Xinguan. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools/bin
OPA_VERSION := 1.22.2
GRPCURL_VERSION := 1.9.3
TESSERA_VERSION := 1.0.2
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/$(TOOLS):$(PATH)
READY := $(VENV)/.ready

.PHONY: demo test fault bench proto policies opa regal grpcurl tessera-fsck js-verifier check lock clean setup

setup: $(READY)

# The lock names hashes and no index, so that any mirror serves and none can substitute.
$(READY): requirements.lock pyproject.toml
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -c 'import sys; sys.exit("Xinguan needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@$(BIN)/xinguan demo $(if $(DATA),--data $(DATA)) $(if $(HOME_DIR),--home $(HOME_DIR)) $(if $(JSON),--json)

test: $(READY) opa grpcurl tessera-fsck js-verifier check
	@$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

# Faults at every system call, kills and pauses under load: minutes, not seconds. Their short
# forms are part of `make test`.
fault: $(READY)
	@FAULT_ARGS="$(FAULT_ARGS)" bash tools/fault.sh

bench: $(READY) opa
	@$(BIN)/python -m bench $(BENCH_ARGS)

# Formatting, lint, types, layers, the contract's and the policy's own checks.
check: $(READY) opa regal
	@bash tools/check.sh

proto: $(READY)
	@bash tools/proto.sh

policies: $(READY) opa
	@$(BIN)/python -m gateway.decision.bundle build

opa: $(READY)
	@bash tools/opa.sh $(OPA_VERSION) $(TOOLS)

regal: $(READY)
	@bash tools/regal.sh $(TOOLS)

grpcurl: $(READY)
	@bash tools/grpcurl.sh $(GRPCURL_VERSION) $(TOOLS)

tessera-fsck: $(READY)
	@bash tools/tessera_fsck.sh $(TESSERA_VERSION) $(TOOLS)

js-verifier:
	@bash tools/js_verifier.sh $(TOOLS)

lock: $(READY)
	@bash tools/lock.sh

clean:
	rm -rf $(VENV) .tools build dist .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
