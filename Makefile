# saliscope. Two commands do it all: `make demo` and `make test`.
#
#   make               build/release/saliscope and libsaliscope.a
#   make deps          install what is missing (Debian: through apt)
#   make demo          install, build, open the bundled sample
#   make test          install, build, run every test
#   make test-all      the same under sanitizers and valgrind, and mutated
#   make peers         others' software to compare with: PyTorch and more, build/peers
#   make peers-models  architectures exported by PyTorch, build/peers-models (hours,
#                      15 GB; NAMES="resnet50 ..." for some)
#   make parity-architectures  holds them against PyTorch, remakes docs/architectures.md;
#                      test-all does the first where they are there
#   make parity-attacks  smallest changes beside Foolbox and ART, remakes docs/attacks.md
#   make parity-explanations  what is left of maps that are attacked, remakes
#                      docs/explanations-under-attack.md
#   make parity        our maps against Captum's, pytorch-grad-cam's, MONAI's and RISE's,
#                      remakes docs/parity.md (MODELS="resnet18 ..." METHODS="ig ..." ARGS=)
#   make bench         how fast, beside ONNX Runtime and PyTorch: build/bench
#                      (NAMES="resnet50 ..." BATCH="1 8" THREADS=2 QUICK=1
#                      TABLES="main start threads batch size" ARGS=)
#   make bench-maps    how fast maps are made, beside Captum (NAMES= TASKS= QUICK=1 ARGS=)
#   make bench-probes  how fast PGD is, beside the same loop in PyTorch (NAMES= ARGS=)
#   make samples       remake samples/ (Python; ARGS=--keep-weights spares the models)
#   make SAN=address   a variant in build/address (also SAN=thread, DEBUG=1)
#   make install       DESTDIR= PREFIX=

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

VARIANT := $(or $(SAN),$(if $(DEBUG),debug,release))
B       := build/$(VARIANT)

# ---- what is needed ---------------------------------------------------------

PKGS      := ncursesw libpng libjpeg zlib jansson cairo libseccomp openblas
TEST_PKGS := cmocka
APT       := gcc libc6-dev make binutils pkg-config libncurses-dev libpng-dev \
             libjpeg62-turbo-dev zlib1g-dev libjansson-dev libcairo2-dev \
             libseccomp-dev libopenblas-dev libstb-dev fonts-dejavu-core \
             libcmocka-dev ncurses-term tmux valgrind mandoc \
             libonnx-testdata

# ---- sources ------------------------------------------------------------------

SRC      := $(sort $(wildcard src/*/*.c))
LIB_SRC  := $(filter-out src/tui/% src/cli/%,$(SRC))
APP_SRC  := $(filter src/tui/% src/cli/%,$(SRC))
TWIN_SRC := $(filter src/base/% src/io/% src/engine/% src/explain/%,$(SRC)) \
            $(wildcard tests/twin/*.c)
TESTS    := $(sort $(wildcard tests/test_*.c))
SUPPORT  := $(sort $(wildcard tests/support/*.c))
SCRIPTS  := $(sort $(wildcard tests/*.sh))

# Kernels that are compiled once per instruction set, see src/engine/lanes.h.
LANES_SRC := $(wildcard src/engine/lanes_*.c)
ISAS      := base $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),avx2 avx512)

obj = $(foreach s,$(filter-out $(LANES_SRC),$1),$(s:%.c=$B/%.o)) \
      $(foreach s,$(filter $(LANES_SRC),$1),$(ISAS:%=$B/$(s:.c=).%.o))

# ---- flags ----------------------------------------------------------------------

STD      := -std=c17 -D_GNU_SOURCE -DSAL_VERSION='"$(VERSION)"'
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion \
            -Wdouble-promotion -Wvla -Wstrict-prototypes -Wmissing-prototypes
INCLUDES := -Iinclude
comma    := ,
OPT      := $(if $(DEBUG),-O0 -g3,$(if $(SAN),-O1 -g,-O2 -g))
comma    := ,
ifneq ($(SAN),)
OPT      += -fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined) \
            -fno-omit-frame-pointer -fno-sanitize-recover=all
endif

# Probed once per variant; see the rule for $B/flags.mk.
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
          -fno-delete-null-pointer-checks -fno-strict-overflow \
          -fno-strict-aliasing -ffp-contract=off -ftrivial-auto-var-init=zero \
          $(if $(SAN)$(DEBUG),,-D_FORTIFY_SOURCE=2) -fPIE -fvisibility=hidden
EXTRA  := -Wformat=2 -Wimplicit-fallthrough -Wnull-dereference -Wlogical-op \
          -Wduplicated-cond -Wcast-qual -Wundef
LINK   := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed

CPPFLAGS += $(STD) $(INCLUDES) $(PKG_CFLAGS)
CFLAGS   ?=
ALL_CFLAGS = $(CPPFLAGS) $(WARN) $(FLAGS) $(OPT) $(CFLAGS)
ALL_LDFLAGS = $(LINK_FLAGS) $(OPT) $(LDFLAGS)

.PHONY: all show-flags deps demo test check test-all samples conformance conformance-accept clean \
        install uninstall peers peers-models bench bench-maps bench-probes parity parity-attacks \
        parity-explanations check-architectures parity-architectures
.DELETE_ON_ERROR:

all: $B/saliscope $B/libsaliscope.a

ifneq ($(filter-out show-flags deps demo test test-all samples clean uninstall peers peers-models,$(or $(MAKECMDGOALS),all)),)
include $B/flags.mk
endif

# Keeps the flags this compiler knows, and what pkg-config says.
$B/flags.mk: Makefile
	@mkdir -p $B
	@pkg-config --exists --print-errors $(PKGS) || { \
	    echo "saliscope needs more libraries: run 'make deps'" >&2; exit 1; }
	@known() { echo 'int main(void){return 0;}' | \
	    $(CC) -Werror $$1 -x c - -o $B/probe $$2 2>/dev/null; }; \
	{ printf 'FLAGS :='; \
	  for f in $(HARDEN) $(EXTRA); do known "-O2 $$f" && printf ' %s' "$$f"; done; \
	  printf '\nLINK_FLAGS :='; \
	  for f in $(LINK); do known "-fPIE" "$$f" && printf ' %s' "$$f"; done; \
	  printf '\nPKG_CFLAGS := %s\n' "$$(pkg-config --cflags $(PKGS) | sed 's/-I/-isystem /g')"; \
	  printf 'PKG_LIBS := %s\n' "$$(pkg-config --libs $(PKGS)) -lm -pthread"; \
	  printf 'TEST_LIBS := %s\n' "$$(pkg-config --libs $(TEST_PKGS) 2>/dev/null)"; \
	} > $@.part; rm -f $B/probe; mv $@.part $@

# For compilers that know nothing of this build: language and warnings.
show-flags:
	@echo $(STD) $(INCLUDES) $(WARN) -Wno-psabi

# ---- program and library --------------------------------------------------------

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# GCC 12 clears arrays of large structs that functions return, after they were filled: tests
# have such. What is not initialised is theirs to find, too.
$B/tests/%.o: OPT += $(if $(findstring trivial-auto-var,$(FLAGS)),-ftrivial-auto-var-init=uninitialized)

# Kernels earn the optimiser's patience.
$B/src/engine/%.o $B/src/probe/%.o: OPT += $(if $(SAN)$(DEBUG),,-O3)

# Vectors of another width than the caller's are never passed: -Wno-psabi.
FUSED       := -ffp-contract=fast -Wno-psabi
ISA_base    := -DSAL_ISA=base
ISA_avx2    := -DSAL_ISA=avx2 -mavx2 -mfma
ISA_avx512  := -DSAL_ISA=avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 \
               -mfma -mprefer-vector-width=512 -mtune=icelake-server

# Asked for at run time on top of the rest, by this file's kernels alone.
$B/src/engine/lanes_bf16.avx512.o: ISA_avx512 += -mavx512bf16

define isa_rule
$B/src/engine/lanes_%.$1.o: src/engine/lanes_%.c
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_CFLAGS) $$(FUSED) $$(ISA_$1) -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$B/libsaliscope.a: $(call obj,$(LIB_SRC))
	rm -f $@
	$(AR) rcs $@ $^

$B/saliscope: $(call obj,$(APP_SRC)) $B/libsaliscope.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# ---- the double twin --------------------------------------------------------------
# The engine compiled a second time with sal_real = double, linked into one object
# that shows a single symbol, so that a test can hold both in one process.

$B/double/src/engine/lanes_%.o: ALL_CFLAGS += $(FUSED) $(ISA_base)
$B/double/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DSAL_DOUBLE -Isrc/engine -MMD -MP -c -o $@ $<

$B/twin_double.o: $(TWIN_SRC:%.c=$B/double/%.o)
	$(CC) -r -nostdlib -o $@ $^
	objcopy --keep-global-symbol=sal_twin_double $@

# The same twin with tests/peers/measure.c on top, for whole models.
PEERS_SRC := $(filter-out tests/twin/%,$(TWIN_SRC)) tests/peers/measure.c

$B/peers_double.o: $(PEERS_SRC:%.c=$B/double/%.o)
	$(CC) -r -nostdlib -o $@ $^
	objcopy --keep-global-symbol=measure_double $@

$B/tests/peers/compare: $B/tests/peers/compare.o $B/tests/peers/measure.o \
    $B/peers_double.o $B/libsaliscope.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# What is timed beside others takes turns with them.
$(addprefix $B/tests/bench/,passes maps probes): $B/tests/bench/turns.o
$(addprefix $B/tests/bench/,convolutions passes maps probes): %: %.o $B/libsaliscope.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# ---- tests ------------------------------------------------------------------------

TEST_BINS := $(TESTS:tests/%.c=$B/tests/%)

$B/tests/%.o: ALL_CFLAGS += -Isrc/base -Isrc/io -Isrc/engine -Isrc/explain -Isrc/probe \
                            -Isrc/metric -Isrc/render -Isrc/session -Isrc/tui -Itests/support \
                            -Itests/gradient -Itests/twin

$(TEST_BINS): $B/tests/%: $B/tests/%.o $(call obj,$(SUPPORT))
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $B/libsaliscope.a $(PKG_LIBS) $(TEST_LIBS)
$(TEST_BINS): $B/libsaliscope.a

# Inner operators, which no model can name, are tested in both precisions, and so is what
# lowering makes of models.
INNER_DOUBLE := $(patsubst tests/%.c,$B/tests/%_double,$(wildcard tests/test_inner_*.c) \
                tests/test_lower.c)

$B/double/tests/%.o: ALL_CFLAGS += -Itests/support -Itests/twin
$(INNER_DOUBLE): $B/tests/%_double: $B/double/tests/%.o \
    $(patsubst %,$B/double/tests/support/%.o,lone blocks random) \
    $(patsubst %.c,$B/double/%.o,$(filter src/%,$(filter-out src/explain/%,$(TWIN_SRC))))
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) $(TEST_LIBS)
$B/tests/test_lower_double: $(patsubst %,$B/double/tests/%.o,support/graphs \
    support/graphs_parts support/onnx_build twin/poison)
$B/tests/test_lower: $(call obj,tests/twin/poison.c)

# These test parts of the program that are not in the library.
$(addprefix $B/tests/,test_layout test_keys test_prompt test_frame test_raster): \
    $(call obj,$(patsubst %,src/tui/%.c,layout keys prompt frame plane raster))

# These hold both precisions, or say their models in sentences.
$(filter $B/tests/test_gradient% $B/tests/test_attention $B/tests/test_einsum,$(TEST_BINS)): $B/twin_double.o \
    $(call obj,$(wildcard tests/twin/*.c tests/gradient/*.c))

# Where a model's time goes.
$(addprefix $B/tests/bench/,nodes regions): %: %.o $B/libsaliscope.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Refusals are told in the same words as gradient cases.
$B/tests/test_refusals: $(call obj,tests/gradient/sentence.c)

# Timings of single operators, run by hand.
$B/tests/bench/inner: $B/tests/bench/inner.o $B/tests/support/lone.o $B/libsaliscope.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# ---- conformance --------------------------------------------------------------------

CONFORMANCE := $B/tests/conformance
CONFORMANCE_SRC := $(sort $(wildcard tests/conformance/*.c))

$B/conformance/%.o: tests/conformance/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Isrc/engine -MMD -MP -c -o $@ $<

$(CONFORMANCE): $(CONFORMANCE_SRC:tests/%.c=$B/%.o) $B/tests/support/leaks.o \
    $B/libsaliscope.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# DIR: any tree of ONNX's backend tests; else those that Debian packages, against the
# list of what came of each.
conformance: $(CONFORMANCE)
	@tests/conformance/run $B "$(DIR)"

conformance-accept: $(CONFORMANCE)
	@tests/conformance/accept $B

# RUNNER runs each test inside another program, say valgrind.
check: all $(TEST_BINS) $(INNER_DOUBLE) $(CONFORMANCE)
	@tests/run $B $(TEST_BINS) $(INNER_DOUBLE) $(SCRIPTS)

test: deps
	@$(MAKE) --no-print-directory check

VALGRIND := valgrind -q --error-exitcode=99 --leak-check=full \
            --errors-for-leak-kinds=definite --suppressions=tests/valgrind.supp

# Sanitizers, valgrind, and a sign flipped in every backward. Real models take hours
# under valgrind and are left out there, and a tenth of the random cases is enough.
test-all: test
	@SLOW=1 $(MAKE) --no-print-directory TESTS=tests/test_gradient_models.c SCRIPTS= check
	@$(MAKE) --no-print-directory SAN=address check
	@SHARED_DATA=none TEST_SHARE=0.1 $(MAKE) --no-print-directory RUNNER="$(VALGRIND)" \
	    SCRIPTS= check
	@RUNNER="$(VALGRIND)" $(MAKE) --no-print-directory conformance
	@tests/mutation/backwards
	@tests/mutation/attacks
	@tests/mutation/explanations
	@tests/mutation/corruptions
	@$(MAKE) --no-print-directory check-architectures

# ---- peers and samples --------------------------------------------------------------
# Only here is Python needed (3.11 or newer). Nothing of it is in the repository.

PYTHON ?= python3
PEERS  ?= build/peers/bin/python

peers: build/peers.made
build/peers.made: tests/peers/requirements.txt
	[ -x $(PEERS) ] || $(PYTHON) -m venv build/peers
	$(PEERS) -m pip install -q $(PIP_ARGS) -r $<
	touch $@

peers-models: build/peers.made
	$(PEERS) tests/peers/export.py build/peers-models $(NAMES)

check-architectures: $B/tests/peers/compare
	@$< build/peers-models $(NAMES) || [ $$? -eq 77 ]

parity-architectures: $B/tests/peers/compare
	$< build/peers-models $(NAMES) -o docs/architectures.md

# Smallest changes beside Foolbox's and ART's, at equal passes.
parity-attacks: $B/saliscope
	$(PEERS) tests/parity/attacks.py $B/saliscope --table docs/attacks.md

# What is left of maps while the decision holds; needs no peers.
parity-explanations: $B/saliscope
	$(PYTHON) tests/parity/displaced.py $B/saliscope --table docs/explanations-under-attack.md

# Of some models or methods ARGS=--add keeps what was found of the others.
PARITY := build/parity

parity: $B/saliscope $(if $(filter build/peers/%,$(PEERS)),build/peers.made)
	$(PEERS) tests/parity/parity.py $< $(PARITY) --write docs/parity.md \
	    $(if $(MODELS),--models $(MODELS)) $(if $(METHODS),--methods $(METHODS)) $(ARGS)

# PEERS=PYTHON: one that has tests/peers/requirements.txt already.
BENCH   := build/bench
THREADS ?= 2
TABLES  ?= main start

bench: $B/tests/bench/passes $B/saliscope $(if $(filter build/peers/%,$(PEERS)),build/peers.made)
	$(PEERS) tests/bench/export.py $(BENCH) $(NAMES) $(if $(filter size,$(TABLES)),--sizes)
	$(PYTHON) tests/bench/bench.py $B/tests/bench/passes $B/saliscope $(PEERS) $(BENCH) \
	    --threads $(THREADS) --tables $(TABLES) $(if $(NAMES),--names $(NAMES)) \
	    $(if $(BATCH),--batch $(BATCH)) $(if $(QUICK),--quick) $(ARGS)

# The same for maps, beside Captum: TASKS="gradcam ig ...".
bench-maps: $B/tests/bench/maps $(if $(filter build/peers/%,$(PEERS)),build/peers.made)
	$(PEERS) tests/bench/export.py $(BENCH) \
	    $(or $(NAMES),resnet18 resnet50 densenet121 vgg16 resnet50-512)
	$(PYTHON) tests/bench/explanations.py $B/tests/bench/maps $(PEERS) $(BENCH) \
	    --threads $(THREADS) $(if $(NAMES),--names $(NAMES)) $(if $(TASKS),--tasks $(TASKS)) \
	    $(if $(QUICK),--quick) $(ARGS)

# The same for PGD, beside its loop in PyTorch.
bench-probes: $B/tests/bench/probes $(if $(filter build/peers/%,$(PEERS)),build/peers.made)
	$(PEERS) tests/bench/export.py $(BENCH) $(or $(NAMES),resnet50)
	$(PYTHON) tests/bench/probes.py $< $(PEERS) $(BENCH) --threads $(THREADS) \
	    $(if $(NAMES),--names $(NAMES)) $(ARGS)

# Remakes samples/ in a Python of its own and says what came out the same.
VENV := build/samples/venv

samples: $(VENV).made
	$(VENV)/bin/python samples/recipe/remake.py --jobs 2 $(ARGS)

$(VENV).made: samples/recipe/requirements.txt
	[ -x $(VENV)/bin/python ] || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q $(PIP_ARGS) -r $<
	touch $@

# ---- for people ---------------------------------------------------------------------

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

deps:
	@missing=; for p in $(APT); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok' || \
	    missing="$$missing $$p"; done; \
	if ! command -v dpkg-query >/dev/null; then \
	    pkg-config --exists $(PKGS) $(TEST_PKGS) 2>/dev/null || \
	    echo "install these, as your system calls them: $(APT)"; \
	elif [ -n "$$missing" ]; then \
	    echo "installing$$missing"; \
	    $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	        apt-get install -qq -y --no-install-recommends $$missing >/dev/null; fi

DEMO := -m samples/models/phantom.onnx samples/images/nodule-clear.png

demo: deps
	@$(MAKE) --no-print-directory all >/dev/null
	@if [ -t 0 ] && [ -t 1 ]; then build/release/saliscope open $(DEMO); else \
	    build/release/saliscope classify $(DEMO) && \
	    build/release/saliscope explain $(DEMO) -M gradcam -o build/demo.png && \
	    echo "the figure is in build/demo.png"; fi

HEADERS := $(sort $(wildcard include/saliscope/*.h))
INSTALL_TO := $(DESTDIR)$(PREFIX)

install: all
	install -d $(INSTALL_TO)/bin $(INSTALL_TO)/lib/pkgconfig \
	    $(INSTALL_TO)/include/saliscope $(INSTALL_TO)/share/man/man1
	install -m 755 $B/saliscope $(INSTALL_TO)/bin/
	install -m 644 $B/libsaliscope.a $(INSTALL_TO)/lib/
	install -m 644 $(HEADERS) $(INSTALL_TO)/include/saliscope/
	install -m 644 man/*.1 $(INSTALL_TO)/share/man/man1/
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: saliscope' 'Version: $(VERSION)' \
	    'Description: explains one image-classifier decision at a time' \
	    'Requires: $(filter-out ncursesw,$(PKGS))' \
	    'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lsaliscope -lm -pthread' \
	    > $(INSTALL_TO)/lib/pkgconfig/saliscope.pc

uninstall:
	rm -f $(INSTALL_TO)/bin/saliscope $(INSTALL_TO)/lib/libsaliscope.a \
	    $(INSTALL_TO)/lib/pkgconfig/saliscope.pc $(INSTALL_TO)/share/man/man1/saliscope.1
	rm -rf $(INSTALL_TO)/include/saliscope

clean:
	rm -rf build

-include $(CONFORMANCE_SRC:tests/%.c=$B/%.d) \
         $(patsubst %.o,%.d,$(call obj,$(LANES_SRC))) \
         $(patsubst %.c,$B/%.d,$(SRC) $(TESTS) $(SUPPORT) $(wildcard tests/twin/*.c tests/gradient/*.c tests/peers/*.c tests/bench/*.c)) \
         $(patsubst %.c,$B/double/%.d,$(TWIN_SRC) $(TESTS) $(SUPPORT) tests/peers/measure.c)
