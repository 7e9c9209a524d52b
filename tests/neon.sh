#!/bin/sh
# The kernels for aarch64: compiled without a warning, and tested under qemu where it is
# there (SLOW in the environment: with the tests that take minutes there). Skipped where
# there is no cross compiler: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross
# qemu-user
cc=aarch64-linux-gnu-gcc
command -v $cc >/dev/null || { echo "no $cc"; exit 77; }
flags=$(make -s --no-print-directory show-flags) || exit 1
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT

compile() { # object, source, more flags
    object=$1 source=$2
    shift 2
    $cc $flags -Werror -ffunction-sections -fdata-sections -Isrc/engine -Itests/neon \
        -Itests/support "$@" -c -o "$built/$object" "$source" || exit 1
}

for source in src/engine/lanes_*.c; do
    name=$(basename "$source" .c)
    compile "$name.none" "$source" -fsyntax-only -DSAL_ISA=base -DSAL_DOUBLE
    compile "$name.o" "$source" -O3 -ffp-contract=fast -DSAL_ISA=base
done

# As much of the engine as the tests below link, and nothing that needs libraries.
for name in engine/lanes engine/dense engine/dense_init engine/dense_pack \
    engine/winograd engine/winograd_pack engine/kernel engine/planes engine/window \
    engine/inner_pool engine/region_pool engine/region_pixels engine/boxes \
    engine/dense_strip engine/dense_boxes engine/inner_depthwise engine/op_pool \
    engine/op_global_pool engine/op_util engine/linear engine/target engine/turn \
    engine/walk engine/tensor engine/type io/onnx io/onnx_value base/arena base/clock base/pool \
    base/status base/job base/text; do
    compile "$(basename $name).o" src/$name.c -O2
done
for name in support/lone support/blocks support/random neon/ops; do
    compile "$(basename $name).o" tests/$name.c -O2
done
tests="lanes_math lanes_rows linear inner_pool inner_depthwise"
for name in $tests dense winograd; do
    compile test_$name tests/test_$name.c -O2
    $cc -static -Wl,--gc-sections -o "$built/$name" "$built/test_$name" "$built"/*.o -lm \
        -pthread || exit 1
done
command -v qemu-aarch64 >/dev/null || { echo "compiled; not run, there is no qemu"; exit 0; }
for name in $tests ${SLOW:+dense winograd}; do
    echo "$name"
    qemu-aarch64 "$built/$name" || exit 1
done
