#!/bin/sh
# Functions stay short and files readable: no function over 100 lines, no file over 600
# (tables of data excepted). A function's braces stand in column 0.
awk -v most=100 -v most_file=600 '
FNR == 1 { open = 0; name = "" }
/^[A-Za-z].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name); top = FNR }
/^\{/ { open = top }
/^\}[ \t]*$/ && open {
    length_of[++n] = FNR - open + 1
    if (length_of[n] > longest) { longest = length_of[n]; where = FILENAME ":" name }
    if (length_of[n] > most) { print FILENAME ":" open ": " name " has " length_of[n] " lines"; bad = 1 }
    open = 0
}
{ lines[FILENAME] = FNR }
END {
    for (f in lines) if (lines[f] > most_file && f !~ /_data\.c$|_tables?\.c$/) {
        print f " has " lines[f] " lines"; bad = 1 }
    for (i = 1; i <= n; i++) count[length_of[i]]++
    for (i = 1; sum < n / 2; i++) sum += count[i]
    print n " functions, median " i - 1 " lines, longest " longest " (" where ")"
    exit bad
}' $(find src -name '*.c' | sort)
