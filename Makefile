# The commands of this repository. Each is a script in scripts/, so that none needs make.
.PHONY: help demo test proof build image image-size lint clean-docker

IMAGE ?= beanline:dev
PROFILE ?= debug

help:
	@echo "make demo          the whole main job on this machine, with the local cloud (KEEP=1 leaves it running)"
	@echo "make test          format, lints and every test"
	@echo "make proof         every call of a run refused, its answer lost, the run killed at it; 10,000 schedules (an hour)"
	@echo "make build         the binary"
	@echo "make image         its docker image: IMAGE=$(IMAGE) PROFILE=$(PROFILE)"
	@echo "make image-size    what of it a CI downloads, which has a bound"
	@echo "make lint          action.yml, workflows, scripts, Dockerfiles and licences alone"
	@echo "make clean-docker  remove what carries beanline's labels"

demo:
	@scripts/demo.sh

test:
	@scripts/test.sh

proof:
	PROOF_WAYS=refuse,lose,kill cargo test --test proof
	BEANLINE_MODEL_SCHEDULES=10000 cargo test --test model

build:
	cargo build $(if $(filter-out debug,$(PROFILE)),--profile $(PROFILE))

image: build
	@scripts/image.sh $(IMAGE) $(PROFILE)

image-size:
	@scripts/image-size.sh

lint:
	cargo test --test lint --test documents

clean-docker:
	@scripts/clean-docker.sh
