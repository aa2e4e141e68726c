# Two commands: `make demo` protects a photo from a fresh clone, `make test` runs the tests. Both make what they need.
# `make web` builds the page, `make test-web` tests it; `make test-phone` runs the runtime on emulated phone processors.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-phone lint lock artifacts wheel web test-web lint-web apk test-android clean

demo: artifacts
	$(BIN)/python demo.py

artifacts: artifacts/manifest.json

# A folder made by another version of the export or from another checkpoint is made again.
EXPORT_OF := models/recognizer.safetensors models/ranges.json models/surrogates.toml \
	$(wildcard models/*.onnx export/*.py export/*/*.py training/model.py training/checkpoint.py)

artifacts/manifest.json: $(EXPORT_OF) | .venv/demo.stamp
	$(BIN)/face-encryption export --out artifacts

# A wheel with the artifacts inside: installed anywhere it protects at once. It lacks the checkpoint that they come from.
WHEEL_OF := artifacts
DIST := dist
wheel: artifacts
	rm -rf $(DIST)/source
	mkdir -p $(DIST)/source
	cp -R pyproject.toml README.md LICENSE NOTICE export models runtime training $(DIST)/source
	rm $(DIST)/source/models/recognizer.safetensors
	cp -RL $(WHEEL_OF) $(DIST)/source/runtime/packed_artifacts
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(DIST) $(DIST)/source
	rm -r $(DIST)/source

test: .venv/test.stamp
	$(BIN)/python -m pytest

# The runtime on emulated phone processors: the golden vectors, and a whole photo; PHOTO= leaves that out.
PHONES ?= cortex-a53 cortex-a76
PHOTO ?= build/astronaut.png

test-phone: artifacts $(PHOTO)
	@for phone in $(PHONES); do \
	    scripts/phone.sh $$phone -c '' || { code=$$?; [ $$code = 75 ] && exit 0; exit $$code; }; \
	    echo "$$phone, emulated" && rm -f build/phone/$$phone-* && \
	    FACE_ENCRYPTION_TEST_ARTIFACTS=artifacts scripts/phone.sh $$phone -m pytest tests/test_golden.py && \
	    { [ -z "$(PHOTO)" ] || scripts/phone.sh $$phone -m face_encryption.runtime protect $(PHOTO) \
	        -o build/phone/$$phone-$(notdir $(PHOTO)); } || exit; \
	done

build/astronaut.png: | .venv/demo.stamp
	mkdir -p build
	$(BIN)/python -c 'from skimage import data, io; io.imsave("$@", data.astronaut())'

# The Android app and its core. Maven goes to its repository only for what is not there yet.
ANDROID_REPOSITORY := $(HOME)/.m2/repository
ANDROID_JARS := org/robolectric/robolectric org/robolectric/android-all-instrumented/14-robolectric-10818077-i7
MVN = mvn --batch-mode --quiet $(if $(filter-out $(wildcard $(ANDROID_JARS:%=$(ANDROID_REPOSITORY)/%)), \
	$(ANDROID_JARS:%=$(ANDROID_REPOSITORY)/%)),,--offline) --file android-demo/pom.xml

test-android: build/android-cases/files.json artifacts
	$(MVN) test
	cat android-demo/*/target/surefire-reports/*.txt | grep 'Tests run'

# What the Python runtime makes of photos, for the Kotlin tests to compare with.
build/android-cases/files.json: android-demo/cases.py $(wildcard runtime/*.py runtime/photo/*.py) artifacts/manifest.json .venv/test.stamp
	$(BIN)/python android-demo/cases.py build/android-cases

apk: artifacts
	$(MVN) test-compile
	android-demo/apk.sh

lint: .venv/test.stamp lint-web
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	mkdir -p build/types/face_encryption
	for stage in training export runtime models; do ln -sfn ../../../$$stage build/types/face_encryption/$$stage; done
	MYPYPATH=build/types:scripts $(BIN)/mypy build/types/face_encryption demo.py benchmarks scripts tests

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv

# Everything in the versions that were tested. TORCH_INDEX=URL takes torch from there instead, as from PyTorch's index of
# CPU builds, which leaves out 5 GB of GPU libraries; its files are others, so the hashes do not hold for torch then.
FROM_INDEX := ^(torch|torchvision|triton)==|^(cuda|nvidia)-
INSTALL := $(BIN)/pip install --quiet --no-deps

.venv/%.stamp: requirements-%.txt pyproject.toml | .venv/bin/python
ifdef TORCH_INDEX
	awk '/^[^ #]/ {skip = /$(FROM_INDEX)/} !skip' $< > .venv/$<
	$(INSTALL) --index-url $(TORCH_INDEX) $$(grep -oE '^torch(vision)?==[^ ;]+' $<)
	$(INSTALL) --no-compile --require-hashes --requirement .venv/$<
else
	$(INSTALL) --no-compile --require-hashes --requirement $<
endif
	$(INSTALL) --no-build-isolation --editable .
	touch $@

# After a change of pyproject.toml: adds what is new and keeps the other versions; UPGRADE=--upgrade renews them all.
LOCK = build/lock/bin/uv pip compile --quiet --no-cache --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --custom-compile-command 'make lock' $(UPGRADE) pyproject.toml

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	$(LOCK) --extra test --output-file requirements-test.txt
	$(LOCK) --extra demo --constraint requirements-test.txt --output-file requirements-demo.txt

# The page.
WEB := web-demo/node_modules/.package-lock.json
# Its tools need Node 20.19 or newer; without it there is nothing to do, and that is said.
NODE := $(shell node -p 'const [a, b] = process.versions.node.split("."); +a > 20 || (+a === 20 && +b >= 19) ? "yes" : ""' 2>/dev/null)

ifdef NODE
$(WEB): web-demo/package-lock.json
	cd web-demo && npm ci --no-audit --no-fund --loglevel=error

web: $(WEB) artifacts
	node web-demo/scripts/assets.mjs artifacts
	cd web-demo && npx vite build --logLevel warn
	@echo "built web-demo/dist: serve it from any host, or run: cd web-demo && npx vite preview, and open http://localhost:8080"

test-web: web
	cd web-demo && npx vitest run
	cd web-demo && npx vitest run --config vitest.page.config.ts

lint-web: $(WEB)
	cd web-demo && npm run --silent lint
else
web test-web lint-web:
	@echo "$@: skipped, Node 20.19 or newer is needed"
endif

clean:
	rm -rf .venv artifacts demo dist
	cd web-demo && rm -rf node_modules dist public/artifacts public/ort
