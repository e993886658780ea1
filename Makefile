# Two commands on a fresh machine: `make demo` does the main job, `make test` runs the tests.
# Each does all the set-up it needs; Python 3.11 and pip are enough.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Test processes. Each has its own Ray, Prefect and S3 servers: about 3 GiB.
JOBS ?= 2
ENGINE ?= podman
VARIANT ?= cpu
CONSTRAINTS := infra/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help venv demo screenshots test pages trial docs quick lint format faults build release image sbom readme clean

help:  ## show this help
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## make the virtual environment and install everything into it

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	@# torch first and by its exact version: a range would pull gigabytes of CUDA packages.
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) "$$(grep '^torch==' $(CONSTRAINTS))"
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[demo,dev,docs,heic,jxl,train,openvino,serve]'
	@touch $@

demo: $(STAMP)  ## archive and restore a folder of real photographs, and leave a page to look at
	$(BIN)/python -m flows.demo

test: $(STAMP)  ## run all tests (S3 servers and the embedded Prefect are started and stopped by the run)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --durations 15

quick: $(STAMP)  ## run the tests that start neither Ray nor a server
	$(BIN)/python -m pytest -m "not slow and not radosgw and not faults"

faults: $(STAMP)  ## run every fault test, the long ones too
	REFOLD_ALL_FAULTS=1 $(BIN)/python -m pytest tests/faults tests/unit/rescaling_core/photo/test_photo_fuzz.py --numprocesses $(JOBS)

pages: $(STAMP)  ## run the pages and examples as a reader would, each command a process of its own
	REFOLD_ALL_PAGES=1 $(BIN)/python -m pytest tests/e2e/test_pages.py tests/e2e/test_examples.py

docs: $(STAMP)  ## build the documentation site into build/site, strictly: every link leads somewhere
	$(BIN)/python -m infra.docs

lint: $(STAMP)  ## ruff, spelling, mypy, import contracts
	$(BIN)/ruff check .
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## let ruff put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(STAMP)  ## make the wheel and the sdist in dist/, the same bytes every time
	PYTHON=$(BIN)/python infra/build.sh dist

trial: build  ## follow the first pages as a newcomer would, with the wheel alone; writes docs/start/transcript.md
	$(BIN)/python -m infra.trial

release: $(STAMP)  ## build what is released, check it, and try it in a clean environment; publishes nothing
	infra/release.sh

image:  ## build the container image; VARIANT=cuda for GPUs, ENGINE=docker for Docker, BASE for another base
	$(ENGINE) build --file infra/Containerfile --build-arg VARIANT=$(VARIANT) \
		$(if $(BASE),--build-arg BASE=$(BASE)) $(IMAGE_ARGS) \
		--tag refold:$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' rescaling_core/__init__.py)-$(VARIANT) .

sbom: $(STAMP)  ## list all that is installed (CycloneDX) in dist/, and the licences in docs/
	@mkdir -p dist
	@# A program of its own: what it needs makes each import of Prefect take twice as long.
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --constraint $(CONSTRAINTS) cyclonedx-bom
	build/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file dist/refold.cdx.json $(VENV)
	$(BIN)/python infra/licences.py > docs/licences.md

screenshots: $(STAMP)  ## take the pictures of the service's pages again, into docs/images
	$(BIN)/python -m infra.screenshots

readme: $(STAMP)  ## run the demo, and write README's picture and table again from it
	$(BIN)/python -m infra.readme

clean:  ## remove the virtual environment and what the demo left
	rm -rf $(VENV) demo-output dist .cache
