#!/bin/sh
# Includes point down only. Fails when a file includes a header of a higher layer or of
# a sibling, when a library's header is used outside the one folder that owns it, or
# when a library folder prints or exits. Checks itself on a tree of seeded faults.
check() {
    awk '
    function own(folder, level, headers,   n, i, a) {
        rank[folder] = level
        n = split(headers, a, " ")
        for (i = 1; i <= n; i++) home[a[i]] = folder
    }
    function complain(what) { print FILENAME ":" FNR ": " what; bad = 1 }
    BEGIN {
        own("base", 0, "status arena buffer text sha256 job pool file sandbox param names random top clock")
        own("io", 1, "image npy sidecar resample roi onnx")
        own("engine", 2, "tensor model run recorded region propagation")
        own("explain", 3, "explain like"); own("probe", 3, "probe")
        own("render", 3, "colormap overlay cells figure plot")
        own("metric", 4, "agreement stability"); own("cohort", 5, "")
        own("session", 6, "session json bench"); own("tui", 7, "tui"); own("cli", 8, "")
        only["ncurses.h"] = only["curses.h"] = only["term.h"] = "tui"
        only["png.h"] = only["jpeglib.h"] = only["stb/stb_image.h"] = "io"
        only["cblas.h"] = "engine"; only["cairo.h"] = only["cairo-pdf.h"] = "render"
        only["cairo-svg.h"] = "render"; only["sqlite3.h"] = "session"
        only["jansson.h"] = "io session"; only["seccomp.h"] = "base"
        knows["render"] = " image "   # of the layers between base and itself
    }
    FNR == 1 {
        n = split(FILENAME, p, "/")
        name = p[n]; sub(/\.[ch]$/, "", name)
        me = FILENAME ~ /include\/saliscope\// ? home[name] : p[n - 1]
        if (!(me in rank)) complain("no layer is known for it")
    }
    /^[ \t]*#[ \t]*include/ {
        h = $0; sub(/^[^<"]*[<"]/, "", h); sub(/[>"].*/, "", h)
        if (h in only && index(" " only[h] " ", " " me " ") == 0)
            complain("only " only[h] " may include " h)
        if (h ~ /^\.\.\//) {   # a private header of another folder
            split(h, p, "/")
            if (!(p[2] in rank) || rank[p[2]] >= rank[me] || me in knows)
                complain(me " must not include " h)
        }
        if (h !~ /^saliscope\//) next
        b = substr(h, 11, length(h) - 12)
        to = home[b]
        if (to == "") complain("unknown header " h)
        else if (to != me && rank[to] >= rank[me]) complain(me " must not include " h)
        else if (me in knows && to != me && to != "base" && !index(knows[me], " " b " "))
            complain(me " must not include " h)
        next
    }
    me != "cli" && me != "tui" &&
    /(^|[^a-z_.>])(v?f?printf|f?puts|f?putc|putchar|perror|(quick_)?exit|abort|system|popen) ?\(/ &&
    !/^ \*|\/\*|__attribute__/ { complain("only cli and tui print or exit") }
    END { exit bad }' "$@"
}

# One fault a line: folder, then the line that is wrong there.
faults=$(mktemp -d)
trap 'rm -rf "$faults"' EXIT
n=0
while read -r folder line; do
    n=$((n + 1))
    mkdir -p "$faults/$n/src/$folder"
    echo "$line" >"$faults/$n/src/$folder/a.c"
    check "$faults/$n/src/$folder/a.c" >/dev/null && {
        echo "the check does not see in src/$folder: $line"; exit 1; }
done <<'end'
base #include "saliscope/model.h"
base #include "saliscope/image.h"
io #include "saliscope/tensor.h"
io #include "../engine/op.h"
explain #include <ncurses.h>
explain #include "saliscope/cells.h"
render #include "saliscope/sidecar.h"
render #include "saliscope/explain.h"
engine # include "saliscope/session.h"
session #include "saliscope/tui.h"
engine #include <png.h>
tui #include <jansson.h>
session #include <cairo-pdf.h>
explain #include <cblas.h>
io #include "saliscope/nosuch.h"
nosuch int x;
base void f(void) { exit(1); }
engine if (x) fprintf(stderr, "x");
io puts("x");
session abort();
probe #include "saliscope/agreement.h"
metric #include "saliscope/session.h"
end
[ $n -eq 22 ] || { echo "only $n faults were seeded"; exit 1; }
mkdir -p "$faults/good/src/render"
cat >"$faults/good/src/render/a.c" <<'end'
#include "saliscope/arena.h"
#include "saliscope/image.h"
#include "palette.h"
#include <cairo.h>
int f(char *s) { return snprintf(s, 3, "x"); }
end
check "$faults"/good/src/render/a.c || exit 1

check $(find include src -name '*.[ch]' | sort) && echo "layers: includes point down"
