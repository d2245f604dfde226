# The two commands for a newcomer are `make demo` and `make test`; everything else is CMake's.
.DEFAULT_GOAL := help
.PHONY: help setup build demo test format clean

JOBS ?= $(shell nproc)
export JOBS

help:
	@echo 'make demo    sets up, builds, and answers the demo prompts with the demo model'
	@echo 'make test    sets up, builds, and runs every test (make test TEST_ARGS="-R Json" for some)'
	@echo 'make build   sets up and builds the release tree in build/release'
	@echo 'make format  formats the C++ files that differ from the last commit'
	@echo 'make clean   removes build/'

setup:
	@tools/setup

build: setup
	@. build/toolchain.env && cmake --preset release >build/release.configure.log 2>&1 \
	  || { cat build/release.configure.log; exit 1; }
	@. build/toolchain.env && ninja -C build/release -j $(JOBS)

demo: setup
	@tools/demo

test: setup
	@tools/test_all $(TEST_ARGS)

format:
	@git diff --name-only --diff-filter=d HEAD -- '*.cc' '*.h' | xargs -r clang-format-19 -i
	@git ls-files --others --exclude-standard -- '*.cc' '*.h' | xargs -r clang-format-19 -i

clean:
	rm -rf build
