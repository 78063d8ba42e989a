# `make help` lists what there is. Only `demo`, `build` and `run` are meant for a machine with nothing but Rust on it;
# `test` sets up what else it needs.

# One family of features for everything that is built for development: another one compiles the same crates again.
FEATURES := --features sim
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
SCRIPTS := .ci/run $(wildcard tests/e2e/*.sh tests/browser/*.sh tests/image/*.sh deploy/*/*.sh)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo run build test unit explore simulate kill fuzz mutants e2e browser terraform policy deploy scripts bench packed release reproduce image measure soak watched fmt lint fmt-check clippy clippy-production pure deny

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The dev profile: from a fresh clone it is built in a third of the time of the release, and the story has time enough.
demo: ## the whole system with no AWS account; ARGS=--once ends after the story
	cargo run --locked $(FEATURES) -- demo $(ARGS)

run: ## the daemon, with your AWS credentials; ARGS="--config my.toml"
	cargo run -- run $(ARGS)

build: ## the production binary, target/release/lockkeeper
	cargo build --release --locked

test: unit e2e browser packed terraform policy deploy scripts ## everything that can be tested on this machine

unit: ## unit, simulation, integration and doc tests
	@if cargo nextest --version >/dev/null 2>&1; then \
	  set -x; cargo nextest run $(FEATURES) && cargo test --doc $(FEATURES); \
	else \
	  set -x; cargo test $(FEATURES); \
	fi

explore: ## every state of larger worlds: minutes for each, and up to 4 GB
	CARGO_PROFILE_DEV_OPT_LEVEL=3 LOCKKEEPER_EXPLORE=1 \
	  cargo test --no-default-features $(FEATURES) --test explorer -- --nocapture --test-threads 1

# `unit` tells 20,000 of six messages, and 300 of two hundred.
simulate: ## random stories by the same rules, hours of the world in each second; RUNS=1000000 SEED=7
	CARGO_PROFILE_DEV_OPT_LEVEL=3 LOCKKEEPER_RUNS=$(or $(RUNS),50000) LOCKKEEPER_SEED=$(or $(SEED),1) \
	  cargo test --no-default-features $(FEATURES) --test simulation -- --nocapture

# What is written into target/mutants.out/missed.txt is looked at one by one: a test is missing, or the code is needless.
mutants: ## changes to the pure modules that no test notices: hours for all, MODULE=src/plan for one
	@if cargo mutants --version >/dev/null 2>&1; then \
	  set -x; cargo mutants $(if $(MODULE),--file '$(MODULE)$(if $(filter %.rs,$(MODULE)),,/**)') $(ARGS); \
	else \
	  echo "there is no cargo-mutants on this machine: cargo install --locked cargo-mutants" >&2; exit 1; \
	fi

# `unit` does 200 of them. One lap is 50, with a seed of its own: what fails names it.
kill: ## the binary killed again and again over a storm of events; KILLS=5000 SEED=7
	LOCKKEEPER_KILLS=$(or $(KILLS),1000) LOCKKEEPER_SEED=$(or $(SEED),1) \
	  cargo test $(FEATURES) --test kill -- --nocapture however_often

# The targets build with a stable toolchain, which takes their flags only with RUSTC_BOOTSTRAP. Nothing here is `unsafe`, so
# an address sanitizer would find little, at half the speed. What is found along the way stays in fuzz/corpus, unversioned.
fuzz: ## random inputs for all that reads what others wrote, each target for SECONDS=60; TARGETS="decode tags"
	@cargo fuzz --version >/dev/null 2>&1 || \
	  { echo "cargo-fuzz is missing: \`cargo install --locked cargo-fuzz\`; it needs a C++ compiler, too" >&2; exit 1; }
	@set -e; for target in $(or $(TARGETS),$(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))); do \
	  mkdir -p fuzz/corpus/$$target; \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target tests/corpus/$$target -- \
	    -max_total_time=$(or $(SECONDS),60) -max_len=4096 -timeout=5 -rss_limit_mb=2000 -print_final_stats=1; \
	done

# `--tests` builds nothing that `unit` has not built: it keeps the dependencies' features as the tests have them.
e2e: .venv/ready .venv-ministack/ready ## the binary against emulators, driven from outside
	cargo build $(FEATURES) --bins --examples --tests
	LOCKKEEPER_BIN=$(TARGET_DIR)/debug/lockkeeper .venv/bin/python tests/e2e/run.py

browser: ## the pages in a real browser; PICTURES=/folder keeps a picture of each
	cargo build $(FEATURES) --bins --examples --tests
	tests/browser/run.sh $(TARGET_DIR)/debug/lockkeeper $(TARGET_DIR)/debug/examples/world

.venv/ready: tests/e2e/requirements.txt tests/e2e/venv.sh
	tests/e2e/venv.sh .venv $<

# Without it the stories that need it are skipped, and said to be.
.venv-ministack/ready: tests/e2e/requirements-ministack.txt tests/e2e/venv.sh
	tests/e2e/venv.sh .venv-ministack $< || echo "ministack cannot be installed here" >&2

terraform: ## format, validity and tests of the Terraform module
	deploy/terraform/check.sh

# checkov reads folders, or one file.
policy: .venv-policy/ready ## Terraform, templates, pipelines and Dockerfile against checkov's policies
	@set -e; for what in '-d deploy/terraform' '-d deploy/cloudformation' '-d deploy/gitlab' '-f Dockerfile'; do \
	  .venv-policy/bin/checkov --config-file deploy/checkov.yaml $$what; \
	done

.venv-policy/ready: deploy/requirements-policy.txt tests/e2e/venv.sh
	tests/e2e/venv.sh .venv-policy $<

deploy: .venv-lint/ready ## CloudFormation templates, Prometheus rules, pipelines, the Dockerfile's form, what a release is made of, links of the pages
	deploy/cloudformation/check.sh .venv-lint/bin/python
	.venv-lint/bin/python tests/deploy/templates.py
	.venv-lint/bin/python tests/deploy/policies.py
	.venv-lint/bin/python tests/deploy/permits.py
	deploy/prometheus/check.sh
	deploy/github-actions/check.sh .venv-lint/bin/python
	.venv-lint/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows deploy/github-actions/*.yml
	.venv-lint/bin/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci deploy/gitlab/.gitlab-ci.yml
	.venv-lint/bin/python tests/deploy/scripts.py
	.venv-lint/bin/python tests/deploy/pipelines.py
	.venv-lint/bin/python tests/deploy/states.py
	.venv-lint/bin/python tests/deploy/asks.py
	.venv-lint/bin/python tests/deploy/waits.py
	.venv-lint/bin/hadolint Dockerfile
	.venv-lint/bin/python tests/deploy/release.py
	.venv-lint/bin/python tests/deploy/links.py
	.venv-lint/bin/python tests/deploy/blocks.py

.venv-lint/ready: deploy/requirements.txt tests/e2e/venv.sh
	tests/e2e/venv.sh .venv-lint $<

scripts: ## shellcheck
	@if command -v shellcheck >/dev/null; then \
	  set -x; shellcheck $(SCRIPTS); \
	else \
	  echo "SKIPPED: the scripts were not checked: there is no shellcheck on this machine" >&2; \
	fi

# The image, around the binary that `e2e` has built, on a stand-in for its base: everything but the build, in seconds.
packed: ## the container image, without the release build
	@missing=$$(for tool in buildah podman runc apt-get jq; do command -v $$tool >/dev/null || printf ' %s' $$tool; done); \
	if [ -n "$$missing" ] || [ "$$(id -u)" != 0 ]; then \
	  echo "SKIPPED: the image was not run: it needs root, and here there is no:$$missing" >&2; \
	else \
	  set -ex; cargo build $(FEATURES) --bins --examples --tests; \
	  BINARY=$(TARGET_DIR)/debug/lockkeeper WORLD=$(TARGET_DIR)/debug/examples/world tests/image/check.sh; \
	fi

# From a commit, so there must be nothing that is not committed. The same commit and the same tools give the same bytes.
release: ## what a release consists of, in dist/: the binary, what it is made of, checksums
	deploy/release/build.sh

reproduce: ## builds the commit twice, at two places, and compares: two release builds
	deploy/release/reproduce.sh $(ARGS)

# Needs buildah, podman and runc, and no engine that runs as a daemon. A release build: minutes, at first.
image: ## builds the container image, runs it as ECS would, and looks at it; STAND_IN_BASES=1 where no registry is reached
	cargo build $(FEATURES) --example world
	WORLD=$(TARGET_DIR)/debug/examples/world tests/image/check.sh

# The pure modules alone: the AWS SDK would be optimized for minutes, and is not measured.
bench: ## decode, route and plan, per event; the index of what discovery found
	cargo bench --no-default-features $(FEATURES) $(ARGS)

# The world is another family of features: only its example is built so, and the daemon stays what is shipped.
measure: .venv-measure/ready ## the release binary: latency, memory, CPU, beside ecs-deploy
	cargo build --release --locked
	cargo build --release --locked $(FEATURES) --example world
	.venv-measure/bin/python tests/measure/measure.py --daemon $(TARGET_DIR)/release/lockkeeper \
	  --world $(TARGET_DIR)/release/examples/world --peer .venv-measure/bin/ecs $(ARGS)

watched: ## storms of events, alone and while hundreds watch; ARGS="--pairs 3"
	cargo build --release --locked
	cargo build --release --locked $(FEATURES) --example world
	python3 tests/measure/watched.py --daemon $(TARGET_DIR)/release/lockkeeper \
	  --world $(TARGET_DIR)/release/examples/world $(ARGS)

soak: ## an hour at 20 events in a second, and whether anything grows; ARGS="--minutes 5"
	cargo build --release --locked
	cargo build --release --locked $(FEATURES) --example world
	python3 tests/measure/soak.py --daemon $(TARGET_DIR)/release/lockkeeper \
	  --world $(TARGET_DIR)/release/examples/world $(ARGS)

.venv-measure/ready: tests/measure/requirements.txt tests/e2e/venv.sh
	tests/e2e/venv.sh .venv-measure $<

fmt: ## formats code and Terraform
	cargo fmt
	@if command -v terraform >/dev/null; then terraform fmt -recursive deploy/terraform; fi

lint: fmt-check clippy clippy-production pure deny scripts ## everything that is looked for without running it

fmt-check:
	cargo fmt --check

clippy:
	cargo clippy --all-targets $(FEATURES) -- -D warnings

# What is shipped has no `sim`: what only `sim` uses would be dead code there.
clippy-production:
	cargo clippy -- -D warnings

# The pure modules know no tokio and no AWS SDK: the compiler keeps it so.
pure:
	cargo check --no-default-features

deny:
	@if cargo deny --version >/dev/null 2>&1; then \
	  set -x; cargo deny check licenses bans sources; \
	else \
	  echo "SKIPPED: licences and sources were not checked: there is no cargo-deny on this machine" >&2; \
	fi
