# Posthouse. `make` builds build/release/posthouse; see README.md for the rest.
# BUILD=release|debug|asan|tsan picks the flavour; objects of each live in build/FLAVOUR.

BUILD ?= release
B     := build/$(BUILD)

CC    ?= gcc
WARN  := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
         -Wformat=2 -Wundef -Wvla -Wpointer-arith -Wwrite-strings -Wcast-qual -Wswitch-enum -Wno-gnu-zero-variadic-macro-arguments
FLAGS_release := -O2 -g -DPOSTHOUSE_BUILD='"release"'
FLAGS_debug   := -O0 -g3 -DPOSTHOUSE_BUILD='"debug"'
FLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DPOSTHOUSE_BUILD='"asan"'
FLAGS_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer -DPOSTHOUSE_BUILD='"tsan"'
CFLAGS   += -std=gnu17 -D_GNU_SOURCE -fno-strict-aliasing -fstack-protector-strong $(FLAGS_$(BUILD)) $(WARN) $(EXTRA_CFLAGS)
CPPFLAGS += -Isrc -I/usr/share/include/llhttp -MMD -MP
LDFLAGS  += $(filter -fsanitize=% -O%,$(FLAGS_$(BUILD))) -pthread
LDLIBS   := -luv -lcurl -lsqlite3 -lcrypto -lz -lm

LAYERS := base net store engine relay serve
# Libraries in link order: a layer before the ones below it.
LIBS   := $(foreach l,serve relay engine store net base,$(B)/lib$(l).a) $(B)/libllhttp.a

objs = $(patsubst %.c,$(B)/%.o,$(sort $(shell find $(1) -name '*.c' 2>/dev/null)))

MAIN_OBJS := $(call objs,src/main)
UNIT_SRC  := $(sort $(wildcard tests/unit/test_*.c))
UNIT      := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(UNIT_SRC))

.PHONY: all unit clean
all: $(B)/posthouse

$(B)/posthouse: $(MAIN_OBJS) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $(MAIN_OBJS) -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS)

define layer_lib
$(B)/lib$(1).a: $(call objs,src/$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_lib,$(l))))

# Debian ships llhttp as C sources; they are compiled as they are, without our warnings.
$(B)/libllhttp.a:
	@mkdir -p $(B)/llhttp
	for f in api http llhttp; do $(CC) -O2 -w $(filter -fsanitize=%,$(FLAGS_$(BUILD))) -I/usr/share/include/llhttp -c -o $(B)/llhttp/$$f.o /usr/share/llhttp/$$f.c || exit 1; done
	@ar rcs $@ $(B)/llhttp/*.o

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# One cmocka program per tests/unit/test_X.c: `make build/release/tests/unit/test_rate`.
$(B)/tests/unit/test_%: tests/unit/test_%.c $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(LIBS) -Wl,--end-group $(LDLIBS) -lcmocka

unit: $(UNIT)
	@failed=0; for t in $(UNIT); do $$t || failed=1; done; exit $$failed

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
