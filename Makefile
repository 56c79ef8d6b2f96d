# Everything that a bare machine with python3 (>= 3.11), python3-venv and make needs happens behind these targets.

PYTHON ?= python3
BIN := .venv/bin

# What is compiled is kept, even where the environment says otherwise: else each worker of the tests, and each service
# that a test starts, compiles everything anew, which takes twice as long as to collect the tests.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check kernels interop soak bench clean

demo: .venv/installed
	$(BIN)/faxgw demo --out demo

# What is to be compiled is compiled once, while types are looked at, and not by all workers of the tests at once.
test: .venv/installed-test
	$(MAKE) -j 2 check kernels
	$(BIN)/pytest -n 4 -m "not interop and not slow"

check: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

kernels: .venv/installed
	$(BIN)/python -m faxgw.documents.kernels

# A file's tests share what they have started. What keeps real time is never beside what wants all that a core can give.
interop: .venv/installed-test
	$(BIN)/pytest -n 3 --dist loadfile -m "(interop or slow) and not (alone or real_time)" -rs
	$(BIN)/pytest -n 2 --dist loadfile -m real_time -rs
	$(BIN)/pytest -m alone -rs

soak: .venv/installed-test
	FAXGW_SOAK=1 $(BIN)/pytest -m soak -s -rs --durations=0

bench: .venv/installed
	$(BIN)/faxgw bench api
	$(BIN)/faxgw bench mail
	$(BIN)/faxgw bench codec
	$(BIN)/faxgw bench render
	$(BIN)/faxgw bench seal
	$(BIN)/faxgw bench t38
	$(BIN)/faxgw bench modem

clean:
	rm -rf .venv demo

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: .venv/installed
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@
