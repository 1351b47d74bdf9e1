# container_engine: `make help` lists what there is.
#
# gcc container_engine.c -o container_engine builds it as well; here are the warnings, too.

CC = gcc
CFLAGS = -O2 -g
WARNINGS = -std=gnu11 -Wall -Wextra -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wundef
# A new compiler's new warning stops us, and nobody else.
ifeq ($(CI),true)
WARNINGS += -Werror
endif
PREFIX = /usr/local

SHELL_FILES = $(wildcard *.sh test/*.sh test/attacks/*.sh test/*.bash) .ci/run

.DELETE_ON_ERROR:
.PHONY: all demo test check bench figures asan sanitize analyze lint format install clean help
.PHONY: all demo test check bench attacks lesson grade asan sanitize analyze lint format install clean help
.PHONY: all demo test test-clients check bench asan sanitize analyze lint format install clean help

all: container_engine ## build the engine (the default)

container_engine: container_engine.c
	$(CC) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $< -o $@

demo: ## as root: install what is missing, build, set up, and start a shell in a container
	@test/demo.sh

test: ## as root: all tests, here or, where cgroup v2 has no controllers, in a throw-away VM
	@./env.sh deps test
	@$(MAKE) --no-print-directory container_engine
	@test/run.sh

test-clients: container_engine ## as root: podman, containerd and docker drive it as they drive crun, in a VM
	@test/clients.sh

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

install: container_engine ## copy the engine to $(PREFIX)/bin
	install -D -m 755 container_engine $(DESTDIR)$(PREFIX)/bin/container_engine

clean: ## remove what was built (env.sh clean removes the bridge)
	rm -f container_engine container_engine-asan

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 21
