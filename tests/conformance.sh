#!/bin/sh
# ONNX's backend tests against their lists, and the runner against itself.
: "${BUILD:=$PWD/build/release}"
: "${SHARED_DATA:=$PWD/../shared/data}"
conformance="$BUILD/tests/conformance"
debian=/usr/share/libonnx-testdata/data
newer="$SHARED_DATA/onnx_backend/cases.tar.gz"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

# check STATUS ARGUMENT...: shows what was said where the exit status is another.
check() {
    want=$1
    shift
    "$conformance" "$@" >"$dir/out" 2>&1
    got=$?
    [ $got -eq "$want" ] && return
    echo "FAIL: conformance $*: exit $got, not $want"
    cat "$dir/out"
    failures=$((failures + 1))
}

# said TEXT: the last line.
said() {
    [ "$(tail -n 1 "$dir/out")" = "$1" ] && return
    echo "FAIL: it ends with '$(tail -n 1 "$dir/out")', not '$1'"
    failures=$((failures + 1))
}

# set_of NAME ROOT: every outcome as it is listed.
set_of() {
    check 0 --quiet --list "tests/conformance/$1.txt" "$2"
    echo "note: $1: $(tail -n 1 "$dir/out")"
}

check 0 --self-test
check 2 "$dir"
check 2 "$dir/none"

if [ -d $debian ]; then
    set_of debian-1.12 $debian

    # A test that is right, then with another's answer, then with a model cut short, and
    # one that was listed as passed and is skipped now.
    node=$debian/node
    mkdir "$dir/one"
    cp -r $node/test_abs "$dir/one/test_abs"
    echo "test_abs pass" >"$dir/list"
    check 0 --list "$dir/list" "$dir/one"; said "1 passed, 0 failed, 0 skipped"
    cp -f $node/test_neg/test_data_set_0/output_0.pb "$dir/one/test_abs/test_data_set_0/"
    check 1 "$dir/one"; said "0 passed, 1 failed, 0 skipped"
    cp -r $node/test_abs/test_data_set_0 "$dir/one/test_abs/test_data_set_1"
    check 1 "$dir/one"; said "0 passed, 1 failed, 0 skipped"
    head -c 50 $node/test_abs/model.onnx >"$dir/one/test_abs/model.onnx"
    check 1 "$dir/one"; said "0 passed, 1 failed, 0 skipped"
    rm -rf "$dir/one/test_abs"
    cp -r $node/test_strnormalizer_nostopwords_nochangecase "$dir/one/test_abs"
    check 0 "$dir/one"; said "0 passed, 0 failed, 1 skipped"
    check 1 --list "$dir/list" "$dir/one"; said "0 passed, 0 failed, 1 skipped"
else
    echo "skip: libonnx-testdata is not installed"
fi
if [ -r "$newer" ]; then
    mkdir "$dir/newer" && tar -xzf "$newer" -C "$dir/newer"
    set_of newer "$dir/newer"
else
    echo "skip: onnx_backend/cases.tar.gz is not there"
fi
[ $failures -eq 0 ]
