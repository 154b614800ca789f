# Everything does its own set-up on a fresh Debian or Ubuntu machine that has Go
# and git, as root or with sudo. A second run does none.

SHELL = /bin/sh
.PHONY: demo test test-deep lint bench image build setup

# The paths of browser and driver, as tools/setup.sh left them.
env = set -a; . build/env; set +a;

demo: build
	@$(env) build/autonomous-loop demo

test: setup
	@sh tools/runners.sh
	@go vet ./...
	@$(env) sh tools/test.sh -timeout 20m ./...

# A third of the simulation's and the enumerations' time is collecting garbage that
# there is room for.
test-deep: setup
	@sh tools/runners.sh all
	@$(env) GOGC=400 sh tools/inmemory.sh sh tools/test.sh -tags deep -timeout 60m ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@go vet ./... && go vet -tags deep ./...
	@go tool -modfile=tools/lint/go.mod golangci-lint run ./...

bench: setup
	@$(env) go test -run '^$$' -bench . -timeout 30m . ./runner/agent ./runner/model ./runner/sandbox ./runner/browser ./runner/tool
	@go test -run '^$$' -bench . -benchtime 5x -timeout 180m ./runner/repo

image:
	@sh tools/image.sh

build: setup
	@go build -trimpath -o build/autonomous-loop .

setup:
	@sh tools/setup.sh
