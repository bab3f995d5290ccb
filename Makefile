# make listen   the robot's face listens to you (webcam and microphone, else a demo speaker)
# make talk     a conversation: the demo speaker and the robot, or you
# make test     the tests, without the long ones: make test-long
# make setup    the environment alone; then '. ./env.sh' in any shell. Add what other tasks need with
#               make setup-robots, make setup-evaluate, make setup-train, make setup-test
# make test-long, make lint, make bench, make faults, make soak, make audit, make sbom, make docs, make site, make weights, make evidence, make ablations, make demo, make picture, make avatar-bundle, make clean
SHELL := /bin/bash
.PHONY: help listen talk test test-long setup setup-robots setup-evaluate setup-train setup-docs setup-test lint docs bench faults soak audit sbom weights evidence ablations demo picture site avatar-bundle clean
# Recordings for tests and figures, if there are any.
CLIPS ?= $(or $(REACTDIFF_CLIPS),../shared/clips)
.DEFAULT_GOAL := help

help:
	@sed -n '/^SHELL/q; s/^# //p' Makefile

setup:
	@scripts/setup.sh

setup-robots setup-evaluate setup-train setup-docs setup-test: setup-%:
	@scripts/setup.sh --$*

listen: setup
	@. ./env.sh && exec reactdiff listen $(ARGS)

# A conversation with a scripted partner: the demo speaker and the robot, or you where there are a webcam and a microphone.
talk: setup
	@. ./env.sh && exec python examples/conversation.py --listen $(ARGS)

test: setup-test
	@. ./env.sh && scripts/test.sh

test-long: setup-test
	@. ./env.sh && REACTDIFF_FUZZ=$${REACTDIFF_FUZZ:-30} REACTDIFF_TEST_MARKS="not gpu and not hardware" scripts/test.sh $(ARGS)

# Figures of this machine: a quarter of an hour in which nothing else should run. The published model is timed only with torch.
bench: setup-evaluate setup-robots
	@. ./env.sh && reactdiff bench record $(wildcard $(CLIPS)/mimictalk_german_20s.mp4) --output docs/benchmarks.json

# What the face does when something breaks: about half an hour in which nothing else should run. ARGS=--resume
# continues an interrupted run, ARGS="--only NAME" measures one row again.
SERVO_FAULTS = $(addprefix --only servo-,mute checksum overload hot held)
faults: setup-evaluate setup-robots
	@. ./env.sh && break_it() { reactdiff bench faults --output docs/reliability.json --json "$$@" \
	    $(addprefix --clip ,$(wildcard $(CLIPS)/mimictalk_german_20s.mp4)) >/dev/null || [ $$? = 1 ]; } \
	  && break_it --robot generic_12servo $(ARGS) \
	  && $(if $(findstring --only,$(ARGS)),:,break_it --robot bus_head $(SERVO_FAULTS) $(filter --resume,$(ARGS)))

# Eight hours of stream through the session, then an hour in real time. Run again, it continues where it stopped.
soak: setup-evaluate setup-robots
	@. ./env.sh && { reactdiff bench soak --robot generic_12servo --output docs/soak.json $(ARGS) \
	    $(wildcard $(CLIPS)/mimictalk_german_20s.mp4) \
	    $(filter-out %/mimictalk_german_20s.mp4,$(wildcard $(CLIPS)/*.mp4)) || [ $$? = 1 ]; }

# Your own weights in place of the shipped ones, which are trained on (torch, espeak-ng): a few minutes with a GPU, otherwise 15 to 40
# of one core. Measure them with 'make evidence'. Run again, it continues where it stopped.
DYADS ?= $(wildcard $(CLIPS)/dyads)
GPU := $(shell command -v nvidia-smi)
BF16 := $(shell grep -qsE 'avx512_bf16|amx_bf16' /proc/cpuinfo && echo --precision bf16)
ON_GPU := --batch 64 --pool-steps 100 --workers 12 --precision tf32
ALWAYS := --voices runs/voices.npz --keep-encoder $(if $(GPU),--minutes 2 $(ON_GPU) --worlds 256,--workers 1 $(BF16))
weights: setup-train setup-evaluate
	@. ./env.sh && train() { [ ! -f "$$1/checkpoint.pt" ] || set -- "$$1" --resume; reactdiff dev train --output "$$@"; } \
	  && train runs/data --from live --keep .5 --ambivalence .6 --seed 7 --steps 1200 --learning-rate 6e-4 $(ALWAYS) $(ARGS) \
	  && train runs/guided --from runs/data/checkpoint.pt --ambivalence .6 --speaker-guidance 1.1 --condition-guidance 1.4 --seed 1 --steps 400 \
	       --learning-rate 5e-4 $(ALWAYS) $(ARGS) \
	  && reactdiff dev export runs/guided/checkpoint.pt --output resource/models/live

# What each part of the training contributes: 18 trainings from scratch, 21 with DYADS, compared. Run again, it continues.
# FROM=live fine-tunes the shipped networks instead, with and without each part: cheaper, and less conclusive.
SMALLER := $(if $(GPU),--steps 900 $(ON_GPU) --worlds 768 --learning-rate 1e-3,--steps 400 --vae-steps 400 --batch 16 --pool-steps 100 --learning-rate 1e-3)
ONWARD := --from $(FROM) $(if $(GPU),--steps 400 $(ON_GPU) --worlds 768 --learning-rate 1e-3,--steps 150 --batch 16 --pool-steps 75)
ablations: setup-train setup-evaluate
	@. ./env.sh && scripts/ablations.sh runs/ablations$(if $(FROM),_from) runs/voices.npz $(if $(FROM),$(ONWARD),$(SMALLER)) $(if $(DYADS),--dyads "$(DYADS)") $(ARGS)

# Synthesised voices, if they exist or can be made.
VOICES = $(if $(or $(wildcard runs/voices.npz),$(shell command -v espeak-ng)),--voices runs/voices.npz)
# Everything about the shipped weights (hours): docs/evidence.json and the model card. If interrupted, start it again.
# Settings of the sampler were tuned with seed 0, so two parts are measured with seed 1 too.
# Four models of the folds make the figures of recorded calls a test: ARGS="--fold-models D0 D1 D2 D3".
evidence: setup-evaluate
	@. ./env.sh && { reactdiff evaluate evidence --model resource/models/live --output runs/evidence --workers 2 \
	    $(if $(DYADS),--dyads "$(DYADS)") $(VOICES) $(ARGS) || [ $$? = 1 ]; } \
	  && { reactdiff evaluate evidence --model resource/models/live --output runs/evidence_others --workers 2 --seed 1 \
	    --part simulator --part response $(VOICES) || [ $$? = 1 ]; } \
	  && cp runs/evidence/evidence.json docs/evidence.json \
	  && cp runs/evidence_others/evidence.json docs/evidence_others.json \
	  && for f in runs/evidence/images/*.png; do [ ! -f "$$f" ] || cp "$$f" "docs/images/evidence_$${f##*/}"; done \
	  && reactdiff dev docs evidence docs/evidence.json --card resource/models/live/README.md \
	       $(if $(TRAINED_ON),--trained-on "$(TRAINED_ON)")

# Known vulnerabilities of the installed packages; reports a missing network. CI: make audit REQUIRED=required
audit: setup
	@. ./env.sh && scripts/audit.sh holes $(REQUIRED)

# The parts of the environment with their versions and licences: CycloneDX.
SBOM ?= sbom.json
sbom: setup
	@. ./env.sh && scripts/audit.sh parts $(SBOM)

demo: setup
	@. ./env.sh && reactdiff dev demo render --output resource/demo/speaker.mp4

# The pictures of the docs that show pages, from the running graph, the robot preview and headless Chromium.
picture: setup-test
	@. ./env.sh && rm -rf build/gallery && mkdir -p build \
	  && reactdiff gallery resource/demo/speaker.mp4 --at 10.9 --at 15 --at 23 --at 31.4 --no-videos -o build/gallery \
	  && cp build/gallery/speaker.png docs/images/listening.png \
	  && python scripts/make_picture.py && python scripts/make_robot_pictures.py

# The diagrams and the SROS 2 policies. Pages of figures, nodes and commands are generated by 'make site'.
docs: setup-evaluate setup-robots
	@. ./env.sh && python scripts/make_diagrams.py
	@. ./env.sh && reactdiff dev docs policies --output config/sros2/reactdiff.policy.xml

# The docs with their generated pages, as a site that needs no network: build/site/index.html. Every broken link is an error.
SITE ?= build/site
site: setup-docs
	@. ./env.sh && python -m sphinx -b html -W --keep-going -n -q -c docs -d $(SITE)/.doctrees . $(SITE) && echo $(SITE)/index.html

lint: setup-test
	@. ./env.sh && ruff check . && ruff format --check . && mypy

clean:
	@rm -f env.sh; find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the page needs for 3D avatars, from npm; needs Node.js.
avatar-bundle:
	@scripts/bundle_avatar.sh
