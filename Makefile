# make listen   the robot's face listens to you (webcam and microphone, else a demo speaker)
# make test     all tests that this machine can run
SHELL := /bin/bash
.PHONY: listen test test-long setup setup-test lint docs weights demo clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile

setup:
	@scripts/setup.sh

setup-test:
	@scripts/setup.sh --test

listen: setup
	@. ./env.sh && exec reactdiff listen $(ARGS)

test: setup-test
	@. ./env.sh && scripts/test.sh

lint: setup-test
	@. ./env.sh && ruff check . && ruff format --check . && mypy

clean:
	@rm -f env.sh; find . -name __pycache__ -type d -prune -exec rm -rf {} +
