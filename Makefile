# Two commands: `make demo` protects a photo from a fresh clone, `make test` runs the tests. Both make what they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint artifacts clean

demo: artifacts
	$(BIN)/python demo.py

artifacts: artifacts/recognizer.onnx

# A folder made by another version of the export or from another checkpoint is made again.
artifacts/recognizer.onnx: models/recognizer.safetensors models/ranges.json $(wildcard export/*.py training/model.py) | .venv/demo.stamp
	$(BIN)/face-encryption export --out artifacts

test: .venv/test.stamp
	$(BIN)/python -m pytest

lint: .venv/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	mkdir -p build/types/face_encryption
	for stage in training export runtime models; do ln -sfn ../../../$$stage build/types/face_encryption/$$stage; done
	MYPYPATH=build/types:benchmarks $(BIN)/mypy build/types/face_encryption demo.py benchmarks tests

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet -e '.[demo]'
	touch $@

.venv/test.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet -e '.[test]'
	touch $@ .venv/demo.stamp

clean:
	rm -rf .venv artifacts demo
