# Thin on purpose: every target is a task of .ci/tasks.py, which also runs without make:
#   python3 .ci/tasks.py test           python3 .ci/tasks.py reproduce PROFILE=quick

PYTHON ?= python3
PROFILE ?= smoke
ONLY ?=
METHODS ?=
JOBS ?= 2
EXTRAS ?=
VENV ?= .venv
FORCE ?=
SUBMITTED ?=

TASKS = setup test reproduce figures lab notebooks promote bench lint course grade site clean distclean

.DEFAULT_GOAL := help
.PHONY: help $(TASKS)

help $(TASKS):
	@"$(PYTHON)" .ci/tasks.py $@ "PROFILE=$(PROFILE)" "ONLY=$(ONLY)" \
		"METHODS=$(METHODS)" "JOBS=$(JOBS)" "EXTRAS=$(EXTRAS)" "VENV=$(VENV)" \
		"FORCE=$(FORCE)" "SUBMITTED=$(SUBMITTED)"
