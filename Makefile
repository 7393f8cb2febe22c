# Posthouse. `make` builds build/release/posthouse; `make help` lists the goals.
# BUILD=release|debug|asan|tsan|fuzz picks the flavour; everything of a flavour lives in build/FLAVOUR.
# V=1 shows whole commands.

VERSION := 0.1.0
BUILD   ?= release
B       := build/$(BUILD)

ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(BUILD)),clang,gcc)
endif
WARN  := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
         -Wformat=2 -Wno-format-nonliteral -Wundef -Wvla -Wpointer-arith -Wwrite-strings -Wcast-qual -Wswitch-enum -Wno-missing-field-initializers -Wconversion -Wno-string-conversion -Wno-gnu-zero-variadic-macro-arguments
FLAGS_release := -O2 -g
FLAGS_debug   := -O0 -g3
FLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ifeq ($(FLAGS_$(BUILD)),)
$(error BUILD=$(BUILD) is none of release, debug, asan, tsan, fuzz)
endif
$(shell mkdir -p $(B))
CFLAGS   += -std=gnu17 -D_GNU_SOURCE -fno-strict-aliasing -fstack-protector-strong $(FLAGS_$(BUILD)) $(WARN) $(EXTRA_CFLAGS)
CPPFLAGS += -Isrc -I/usr/share/include/llhttp -I/usr/include/postgresql -DPOSTHOUSE_BUILD='"$(BUILD)"' -DPOSTHOUSE_VERSION='"$(VERSION)"' -MMD -MP
LDFLAGS  += $(filter -fsanitize=% -O%,$(CFLAGS)) -pthread
LDLIBS   := -luv -lcurl -lidn2 -lsqlite3 -lpq -lcrypto -lz -lm

# ---- What there is: found by place and name, so that a new file needs no line here.

LAYERS := base net store engine relay serve
# In link order: a layer before the ones below it.
LIBS   := $(foreach l,serve relay engine store net base,$(B)/lib$(l).a) $(B)/libllhttp.a
LINK    = $(SAY) LINK $@; $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS)
SAY     = $(if $(V),,@)echo '  '

objs     = $(patsubst %.c,$(B)/%.o,$(sort $(shell find $(1) -name '*.c' 2>/dev/null)))
programs = $(patsubst %.c,$(B)/%,$(sort $(wildcard $(1))))

MAIN_OBJS := $(call objs,src/main)
# Run on PostgreSQL: what needs a store, and what only PostgreSQL has.
ON_POSTGRES   := $(shell grep -lE '"(store_test|ledger_test|source_world|source_lab|job_lab|lab_events|door_lab)\.h"' tests/unit/test_*.c)
POSTGRES_ONLY := tests/unit/test_fence.c tests/unit/test_job_nodes.c tests/unit/test_postgres.c tests/unit/test_schedule_nodes.c tests/unit/test_job_trips.c tests/unit/test_store_trips.c tests/unit/test_store_turns.c \
	tests/unit/test_suppose.c
UNIT_POSTGRES := $(call programs,$(filter-out tests/unit/test_store_file.c tests/unit/test_sqlite_wal.c tests/unit/test_copier.c,$(ON_POSTGRES)))
UNIT          := $(filter-out $(call programs,$(POSTGRES_ONLY)),$(call programs,tests/unit/test_*.c))
SIM       := $(call programs,tests/sim/sim_*.c)
KILL      := $(call programs,tests/kill/kill_*.c) $(sort $(wildcard tests/kill/*.test.mjs))
# Those that wait longest begin first, so that none of them is left alone at the end.
LONG      := $(patsubst %,tests/flow/%.test.mjs,nodes polling_faults bench links_stall many postgres)
FLOW      := $(LONG) $(filter-out $(LONG),$(sort $(wildcard tests/flow/*.test.mjs)))
# Those that say nothing about a data directory run on both engines; kill and node tests have PostgreSQL of their own.
# Why the others do not run there:
#     disk_full links_full links_stall         are about a data directory: its disk, its lock, its files
#     links_crowd                              is about connections, whatever the store
#     docs engines job_nodes nodes postgres postgres_lib transactions   ask for PostgreSQL themselves, where it matters
#     package simulate tools                   have no store
FLOW_POSTGRES := $(patsubst %,tests/flow/%.test.mjs,polling_faults bench many access batches bulk cli errors faktory_worker handlers events hooks idempotency jobs ledger links mailgun_js ops \
	polling polling_life queues recorded schedules serve sources top track unsubscribe worker_door workers)
# kill, jobs and migrate have a twin or both engines in them.
KILL_POSTGRES := tests/kill/clicks.test.mjs
FUZZ      := $(call programs,tests/fuzz/fuzz_*.c)
SIM_OBJS  := $(filter-out $(SIM:=.o),$(call objs,tests/sim))
KILL_OBJS := $(filter-out $(KILL:=.o),$(call objs,tests/kill))
CHECKS    := $(sort $(wildcard tools/check-*))
DOCS      := $(filter %-layers %-rules %-docs,$(CHECKS))

# ---- Building

.DEFAULT_GOAL := all
.PHONY: all unit sim fuzz demo test check bench deb install deps clean help FORCE
all: $(B)/posthouse

$(B)/posthouse: $(MAIN_OBJS) $(LIBS)
	$(LINK)

define layer_lib
$(B)/lib$(1).a: $(call objs,src/$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_lib,$(l))))

# Debian ships llhttp as C sources; they are compiled as they are, without our warnings. Strict: what could be read in
# two ways (blanks before a colon, loose chunk ends) is refused.
$(B)/libllhttp.a: $(B)/flags
	@mkdir -p $(B)/llhttp
	$(SAY) CC llhttp; for f in api http llhttp; do $(CC) -O2 -w -DLLHTTP_STRICT_MODE=1 $(filter -fsanitize=%,$(CFLAGS)) -I/usr/share/include/llhttp -c -o $(B)/llhttp/$$f.o /usr/share/llhttp/$$f.c || exit 1; done
	@ar rcs $@ $(B)/llhttp/*.o

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(SAY) CC $<; $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The list of scanners and the contract are compiled in.
$(B)/src/engine/agent.o: data/scanners.txt
$(B)/src/store/store_inbox.o: $(wildcard src/store/inbox*.sql)
$(B)/src/serve/api_ops.o: openapi.yaml

# Changes when the compiler or its flags change, so that objects of two minds are never linked together.
$(B)/flags: FORCE
	@command -v $(firstword $(CC)) >/dev/null || { echo "there is no $(CC): tools/deps build installs what building needs" >&2; exit 1; }
	$(file >$@.new,$(CC) $(CPPFLAGS) $(CFLAGS))
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# ---- Test programs: tests/unit/test_X.c is the cmocka program build/FLAVOUR/tests/unit/test_X.
# In sim and kill the files without the prefix are the harness, linked into each program.

$(B)/tests/%.o: CPPFLAGS += -Itests/unit -Itests/sim -Itests/kill
$(B)/tests/unit/test_json_cjson: LDLIBS += -lcjson
$(B)/tests/unit/test_notify: $(B)/src/main/notify.o
$(B)/tests/unit/test_load_protocol: $(B)/src/main/load_protocol.o
$(sort $(UNIT) $(UNIT_POSTGRES)): %: %.o $(LIBS)
	$(LINK) -lcmocka
$(SIM): %: %.o $(SIM_OBJS) $(LIBS)
	$(LINK) -lcmocka
$(filter $(B)/%,$(KILL)): %: %.o $(KILL_OBJS) $(LIBS)
	$(LINK) -lcmocka
# A fuzz target searches under libFuzzer (BUILD=fuzz); in the other flavours it replays its corpus.
ifeq ($(BUILD),fuzz)
$(FUZZ): LDFLAGS += -fsanitize=fuzzer
$(FUZZ): %: %.o $(LIBS)
	$(LINK)
else
$(FUZZ): %: %.o $(B)/tests/fuzz/replay_main.o $(LIBS)
	$(LINK)
endif
# Measures one part alone: make build/release/tests/bench/bench_X.
$(call programs,tests/bench/bench_*.c): %: %.o $(LIBS)
	$(LINK)
.SECONDARY:

.PHONY: unit-programs sim-programs fuzz-programs test-programs objects
unit-programs: $(UNIT) $(UNIT_POSTGRES)
sim-programs: $(SIM)
fuzz-programs: $(FUZZ)
test-programs: all $(UNIT) $(UNIT_POSTGRES) $(SIM) $(filter $(B)/%,$(KILL))
# Everything compiled, nothing linked: for compiler warnings.
objects: $(call objs,src tests/unit tests/sim tests/kill tests/fuzz tests/bench)

unit: $(UNIT)
	@tools/run-tests $(UNIT:%=unit:%)

# The same on a PostgreSQL of its own: what needs a store.
.PHONY: unit-postgres sim-postgres
unit-postgres: $(UNIT_POSTGRES)
	@tools/with-postgres tools/run-tests $(UNIT_POSTGRES:%=unit-postgres:%)
sim-postgres: sim-programs
	@SIM_SEEDS=$(or $(SEEDS),20) tools/with-postgres tools/run-tests $(SIM:%=sim-postgres:%)

# ---- Goals that install what they need first. Compiling starts in a second make, after tools/deps.

AGAIN = $(MAKE) --no-print-directory -j$(shell nproc)
# So that the time reported at the end includes building.
ifndef TEST_BEGAN
export TEST_BEGAN := $(shell date +%s)
endif

demo:
	@tools/deps build
	@$(AGAIN) all
	@$(B)/posthouse demo

test:
	@tools/deps build test npm
	@$(AGAIN) test-programs
	@$(AGAIN) BUILD=asan unit-programs fuzz-programs
	@$(AGAIN) run-tests

.PHONY: run-tests
run-tests: export POSTHOUSE := $(CURDIR)/$(B)/posthouse
run-tests:
	@tools/with-postgres -o tools/run-tests $(UNIT:%=unit:%) $(SIM:%=sim:%) \
		$(UNIT_POSTGRES:%=unit-postgres:%) $(SIM:%=sim-postgres:%) $(patsubst $(B)/%,asan:build/asan/%,$(UNIT) $(FUZZ)) \
		$(FLOW:%=flow:%) $(FLOW_POSTGRES:%=flow-postgres:%) $(KILL:%=kill:%) \
		$(KILL_POSTGRES:%=kill-postgres:%) $(DOCS:%=docs:%)

check:
	@tools/deps build test npm check
	@$(AGAIN) BUILD=asan unit-programs sim-programs fuzz-programs
	@$(AGAIN) BUILD=tsan unit-programs sim-programs
	@SIM_SEEDS=$(or $(SEEDS),50) tools/with-postgres -o tools/run-tests $(CHECKS:%=static:%) \
		$(patsubst $(B)/%,asan:build/asan/%,$(UNIT) $(SIM) $(FUZZ)) $(patsubst $(B)/%,tsan:build/tsan/%,$(UNIT) $(SIM)) \
		$(patsubst $(B)/%,tsan-postgres:build/tsan/%,$(UNIT_POSTGRES))

sim:
	@$(AGAIN) sim-programs
	@tools/run-sim $(or $(SEEDS),300) $(SIM)

fuzz:
	@tools/deps build check
	@tools/fuzz $(or $(FUZZ_SECONDS),60)

# One table; BENCH="jobs clicks" chooses its parts, as tools/bench says.
bench: all
	@tools/deps bench || echo 'bench: goes on without what could not be installed' >&2
	@tools/bench $(B)/posthouse

deps:
	@tools/deps build test npm check

# ---- Installing

PREFIX ?= /usr/local
SHARE   = $(DESTDIR)$(PREFIX)/share

install: all install-files
	install -D -m 0755 $(B)/posthouse $(DESTDIR)$(PREFIX)/bin/posthouse

.PHONY: install-files version
install-files:
	for page in man/*.[1-8]; do install -D -m 0644 $$page $(SHARE)/man/man$$(echo $$page | tail -c 2)/$$(basename $$page) || exit 1; done
	install -D -m 0644 packaging/posthouse.service $(DESTDIR)$(PREFIX)/lib/systemd/system/posthouse.service
	sed -i 's|@PREFIX@|$(PREFIX)|' $(DESTDIR)$(PREFIX)/lib/systemd/system/posthouse.service
	install -D -m 0644 packaging/completions/posthouse.bash $(SHARE)/bash-completion/completions/posthouse
	install -D -m 0644 packaging/completions/_posthouse $(SHARE)/zsh/site-functions/_posthouse
	[ -e $(DESTDIR)/etc/posthouse/posthouse.conf ] || install -D -m 0640 packaging/posthouse.conf $(DESTDIR)/etc/posthouse/posthouse.conf
	install -D -m 0644 openapi.yaml $(SHARE)/doc/posthouse/openapi.yaml

deb: all
	@tools/deb $(VERSION) $(B)/posthouse

version:
	@echo $(VERSION)

clean:
	rm -rf build

help:
	@echo 'make            build build/release/posthouse (BUILD=debug|asan|tsan: other flavours)'
	@echo 'make demo       install what is missing, build, run the main job end to end'
	@echo 'make test       install what is missing, build, run all tests; last line is the count'
	@echo 'make check      format, layers, rules, analysers, unit and sim under sanitizers'
	@echo 'make unit       the unit tests alone; make unit-postgres, sim-postgres SEEDS=20: on a PostgreSQL of its own'
	@echo 'make sim        the simulation, SEEDS=300'
	@echo 'make fuzz       every fuzz target for FUZZ_SECONDS=60'
	@echo 'make bench      what Posthouse does a second, beside other programs, as one table; BENCH="jobs clicks": parts of it'
	@echo 'make deb        build/posthouse_VERSION_ARCH.deb'
	@echo 'make install    PREFIX=/usr/local DESTDIR='
	@echo 'make deps       everything the goals above install'
	@echo 'make clean      remove build/'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
