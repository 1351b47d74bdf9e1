# container_engine: `make help` lists what there is.
#
# gcc container_engine.c -o container_engine builds it as well; here are the warnings, too.

CC = gcc
CFLAGS = -O2 -g
WARNINGS = -std=gnu11 -Wall -Wextra -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wundef -Wno-missing-field-initializers
# A new compiler's new warning stops us, and nobody else.
ifeq ($(CI),true)
WARNINGS += -Werror
endif
PREFIX = /usr/local
# Linked statically it starts a little faster, where the libraries for that are installed.
STATIC := $(shell echo 'int main(void) { return 0; }' | $(CC) -static -x c - -o /dev/null 2>/dev/null && \
	echo -static)

SHELL_FILES = $(wildcard *.sh test/*.sh test/attacks/*.sh test/*.bash) .ci/run

.DELETE_ON_ERROR:
.PHONY: all demo test test-clients fuzz check bench figures attacks lesson grade debug asan sanitize analyze \
	lint format install uninstall clean help

all: container_engine ## build the engine (the default)

container_engine: container_engine.c
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) $(STATIC) $(LDFLAGS) $< -o $@

demo: ## as root: install what is missing, build, set up, and start a shell in a container
	@test/demo.sh

test: ## as root: all tests, here or, where cgroup v2 has no controllers, in a throw-away VM
	@./env.sh deps test
	@$(MAKE) --no-print-directory container_engine
	@test/run.sh

test-clients: container_engine ## as root: podman, containerd and docker drive it as they drive crun, in a VM
	@test/clients.sh

# The reader alone is fast; all of config.json uses up its memory for strings, so it runs in rounds.
FUZZ = clang -std=gnu11 -O1 -g -w -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
fuzz: ## RUNS=1000000: the reader of config.json under libFuzzer, with the sanitizers (wants clang)
	$(FUZZ) test/fuzz/fuzz.c -o fuzz_json
	$(FUZZ) -DCONFIG test/fuzz/fuzz.c -o fuzz_config
	./fuzz_json -runs=$(or $(RUNS),1000000) -max_len=4096 -close_fd_mask=3 test/fuzz/corpus
	./fuzz_config -runs=$$(($(or $(RUNS),1000000) / 100)) -max_len=65536 -close_fd_mask=3 test/fuzz/corpus

check: lint analyze test sanitize ## everything that must hold: lint, analyze, test, sanitize

bench: ## as root: how fast and how light, next to crun, runc and bwrap (some minutes)
	@./env.sh deps test
	@$(MAKE) --no-print-directory container_engine
	@test/bench.sh

figures: container_engine ## how long the source is; as root also the figures of a short bench
	@test/figures.sh

attacks: ## as root: each attack with its wall and without, in a VM; A='forkbomb cpu' for some
	@./env.sh deps test
	@$(MAKE) --no-print-directory container_engine
	@test/attacks.sh $(A)

lesson: ## N=3: a copy of the engine with the third step to be written, lesson3.c
	@test/lesson.sh $(N)

grade: ## as root: FILE=lesson3.c: what a student's engine can do, tried in a VM
	@./env.sh deps test
	@test/grade.sh $(FILE)

asan: container_engine-asan ## build container_engine-asan, with address and UB sanitizers

container_engine-asan: container_engine.c
	$(CC) $(WARNINGS) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
		-fno-sanitize-recover=all $(CPPFLAGS) $(LDFLAGS) $< -o $@

sanitize: asan ## as root: all tests with container_engine-asan
	@ENGINE="$(CURDIR)/container_engine-asan" test/run.sh

analyze: ## gcc -fanalyzer, clang-tidy, cppcheck
	$(CC) $(WARNINGS) -O2 -fanalyzer -Werror $(CPPFLAGS) -c container_engine.c -o /dev/null
	clang-tidy --quiet container_engine.c -- -std=gnu11 $(CPPFLAGS)
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 container_engine.c

# In bats files $status and the like come from bats, `$x` is mostly meant for the shell inside,
# and each test is a process of its own.
lint: ## shellcheck and clang-format
	shellcheck -x -P SCRIPTDIR $(SHELL_FILES)
	shellcheck -x -P SCRIPTDIR -e SC2016,SC2030,SC2031,SC2034,SC2119,SC2120,SC2153,SC2154 test/*.bats
	clang-format --dry-run -Werror container_engine.c test/bench.c

format: ## clang-format container_engine.c
	clang-format -i container_engine.c test/bench.c

debug: container_engine-debug ## build container_engine-debug, to be followed with gdb

container_engine-debug: container_engine.c
	$(CC) $(WARNINGS) -O0 -g3 $(CPPFLAGS) $(LDFLAGS) $< -o $@

# The completion asks the engine for its commands, options and containers.
define COMPLETION
_container_engine() {
    local word=$${COMP_WORDS[COMP_CWORD]} command=$${COMP_WORDS[1]} words
    case $$word in
    -*) words=$$($$1 $$command --help 2>/dev/null | grep -oE '^  --?[a-z-]+') ;;
    *) words=$$($$1 list -q 2>/dev/null)
       ((COMP_CWORD > 1)) || words+=$$'\n'$$($$1 --help | sed -nE 's/^  ([a-z]+) .*/\1/p') ;;
    esac
    COMPREPLY=($$(compgen -W "$$words" -- "$$word") $$(compgen -d -- "$$word"))
}
complete -o filenames -F _container_engine container_engine
endef
export COMPLETION
BIN = $(DESTDIR)$(PREFIX)/bin
MAN = $(DESTDIR)$(PREFIX)/share/man/man8/container_engine.8
BASH = $(DESTDIR)$(PREFIX)/share/bash-completion/completions/container_engine

install: container_engine ## copy the engine, its two scripts, a man page and completion to $(PREFIX)
	mkdir -p $(BIN)
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -DENV_SH='"container_engine-env"' \
		-DROOTFS_SH='"container_engine-rootfs"' $(STATIC) $(LDFLAGS) container_engine.c \
		-o $(BIN)/container_engine
	install -D -m 755 env.sh $(BIN)/container_engine-env
	install -D -m 755 rootfs-fetch.sh $(BIN)/container_engine-rootfs
	mkdir -p $(dir $(MAN)) $(dir $(BASH))
	printenv COMPLETION >$(BASH)
	! command -v help2man >/dev/null || help2man --no-info --section 8 -o $(MAN) \
		--name 'a container engine in one file' $(BIN)/container_engine

uninstall: ## take away what install put there
	rm -f $(BIN)/container_engine $(BIN)/container_engine-env $(BIN)/container_engine-rootfs \
		$(MAN) $(BASH)

clean: ## remove what was built (env.sh clean removes the bridge)
	rm -f container_engine container_engine-asan container_engine-debug fuzz_json fuzz_config

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 21
