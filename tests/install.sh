#!/bin/sh
# What is installed is enough for somebody else's program, and uninstall leaves nothing.
case $BUILD in */release) ;; *) echo "skip: only the release build is installed"; exit 77 ;; esac
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make -s install PREFIX="$stage" >/dev/null || exit 1
cat >"$stage/hello.c" <<'C'
#include <saliscope/explain.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    struct sal_model *model;
    struct sal_error err;
    if (argc < 2 || sal_model_open(&model, argv[1], &(struct sal_model_options){0}, &err))
        return 1;
    printf("%d classes, first method %s\n", sal_model_output(model)->n, sal_methods[0]->name);
    sal_model_close(model);
    return 0;
}
C
export PKG_CONFIG_PATH="$stage/lib/pkgconfig"
cc -o "$stage/hello" "$stage/hello.c" $(pkg-config --cflags --libs saliscope) || exit 1
said=$("$stage/hello" samples/models/phantom.onnx)
[ "$said" = "2 classes, first method gradcam" ] || { echo "it said: $said"; exit 1; }
[ "$("$stage/bin/saliscope" --version | cut -d' ' -f1)" = saliscope ] || exit 1
make -s uninstall PREFIX="$stage" >/dev/null
left=$(find "$stage" -type f ! -name 'hello*')
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
echo "installed, used, uninstalled"
