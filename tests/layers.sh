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
        own("base", 0, "status arena buffer text sha256 job pool file sandbox param names")
        own("io", 1, "image npy sidecar resample onnx")
        own("engine", 2, "tensor model run")
        own("explain", 3, "explain"); own("probe", 3, "")
        own("render", 3, "colormap overlay cells figure")
        own("metric", 4, ""); own("cohort", 5, "")
        own("session", 6, "session json"); own("tui", 7, "tui"); own("cli", 8, "")
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
    /(^|[^a-z_.>])(printf|fprintf|puts|putchar|perror|exit|abort) ?\(/ &&
    !/^ \*|\/\*|__attribute__/ { complain("only cli and tui print or exit") }
    END { exit bad }' "$@"
}

faults=$(mktemp -d)
trap 'rm -rf "$faults"' EXIT
mkdir -p "$faults"/src/base "$faults"/src/explain "$faults"/src/render
echo '#include "saliscope/model.h"' >"$faults/src/base/a.c"
echo '#include <ncurses.h>' >"$faults/src/explain/b.c"
echo '#include "saliscope/cells.h"' >"$faults/src/explain/c.c"
echo '#include "saliscope/sidecar.h"' >"$faults/src/render/d.c"
echo 'void f(void) { exit(1); }' >"$faults/src/base/e.c"
echo '#include "saliscope/arena.h"' >"$faults/src/render/good.c"
found=$(check $(find "$faults" -name '*.c' | sort) | wc -l)
[ "$found" -eq 5 ] || { echo "the check sees $found of 5 seeded faults"; exit 1; }

check $(find include src -name '*.[ch]' | sort) && echo "layers: includes point down"
