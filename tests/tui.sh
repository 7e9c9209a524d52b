#!/bin/sh
# The workbench in a real terminal (tmux): what each key does to the screen, and
# that the terminal is as it was after every way out.
command -v tmux >/dev/null || { echo "skip: tmux is not here"; exit 77; }
model=${MODEL:-samples/models/phantom.onnx}
image=${IMAGE:-samples/images/nodule-clear.png}
other=${OTHER:-samples/images/two-findings.png}
for file in "$model" "$image" "$other"; do
    [ -e "$file" ] || { echo "skip: $file is not here"; exit 77; }
done
model=$(realpath "$model") image=$(realpath "$image") other=$(realpath "$other")

dir=$(mktemp -d)
server=0 # a new one each time: an old one may still be leaving its socket
tm() { tmux -S "$dir/socket$server" -f /dev/null "$@"; }
trap 'tm kill-server 2>/dev/null; rm -rf "$dir"' EXIT
export LC_ALL=C.UTF-8 COLORTERM=truecolor
unset NO_COLOR

fail() {
    echo "FAILED: $1"
    tm capture-pane -p -t w 2>/dev/null | head -n 40
    cat "$dir/errors"
    exit 1
}

# Runs the workbench between two looks at the terminal's settings.
cat >"$dir/run" <<END
cd '$dir'
stty -a >before
sh -c 'echo \$\$ >pid; exec "\$@"' - '$SALISCOPE' open \$OPTIONS -m '$model' '$image' '$other' missing.png 2>errors
echo "left with \$?"
stty -a >after
exec sleep 1000
END

open() { # columns rows environment...
    columns=$1 rows=$2
    shift 2
    tm kill-server 2>/dev/null
    server=$((server + 1))
    rm -f "$dir/after" "$dir/pid"
    tm new-session -d -x "$columns" -y "$rows" -s w "env $* sh $dir/run"
}

screen() { tm capture-pane -p -t w; }

# Waits until the screen shows (or, after "not", does not show) a pattern.
shows() {
    for _ in $(seq 450); do
        screen | grep -q -e "$1" && return
        sleep 0.1
    done
    fail "the screen never showed: $1"
}
shows_not() {
    for _ in $(seq 450); do
        screen | grep -q -e "$1" || return
        sleep 0.1
    done
    fail "the screen went on showing: $1"
}

# The glyphs and 24-bit colours on the screen; how tmux says blanks and resets varies.
picture() {
    tm capture-pane -e -p -t w |
        sed -E 's/\x1b\[([0-9]?|[0-9];[0-9]+|[34][0-79])m//g; s/ *$//'
}

# Keeps the picture once it has stood still for half a second (under a sanitizer that
# may take a while).
settled() {
    sleep 0.5
    picture >"$1"
    for _ in $(seq 40); do
        sleep 0.5
        picture >"$1.again"
        cmp -s "$1" "$1.again" && return
        mv "$1.again" "$1"
    done
}

# Nothing is left over and nothing is missing: drawn anew, it looks the same.
same_when_redrawn() {
    tm send-keys -t w Escape # takes passing messages away
    settled "$dir/grown"
    tm send-keys -t w C-l
    settled "$dir/fresh"
    diff "$dir/grown" "$dir/fresh" || fail "$1: not as when drawn anew"
}

# The help covers all panes; closed again it leaves nothing behind.
help_comes_and_goes() {
    tm send-keys -t w Escape
    settled "$dir/before-help"
    tm send-keys -t w '?'
    shows 'Show or hide the keys'
    tm send-keys -t w Escape
    shows_not 'Show or hide the keys'
    settled "$dir/after-help"
    diff "$dir/before-help" "$dir/after-help" || fail "$1: the help left something behind"
}

left_well() { # what, exit status
    shows "left with $2"
    [ "$(tm display -p -t w '#{alternate_on}')" = 0 ] || fail "$1: alternate screen left on"
    [ "$(tm display -p -t w '#{cursor_flag}')" = 1 ] || fail "$1: cursor left hidden"
    [ "$(tm display -p -t w '#{keypad_flag}')" = 0 ] || fail "$1: keypad mode left on"
    for _ in $(seq 50); do [ -s "$dir/after" ] && break; sleep 0.1; done
    cmp -s "$dir/before" "$dir/after" || fail "$1: terminal settings differ"
}

# ---- a session of work -------------------------------------------------------------

open 120 40 TERM=tmux-256color
shows "$(basename "$image") 1/3"
shows 'Grad-CAM of .* to .* logit'
shows 'Scores'
shows 'q quit'
tm capture-pane -e -p -t w | grep -q '38;2;[0-9]*;[0-9]*;[0-9]*' || fail "no 24-bit colours"
first=$(screen | grep -o 'Grad-CAM of [^,]*')
tm send-keys -t w Down
shows_not "$first,"
shows 'Grad-CAM of '
tm send-keys -t w t
shows "$first,"

tm send-keys -t w o
shows 'image alone'
shows_not 'Grad-CAM of .*logit'
tm send-keys -t w v
shows 'map alone'
tm send-keys -t w v
shows 'overlay 50 %'
tm send-keys -t w +
shows 'overlay 60 %'
map=$(screen | grep -o 'overlay 60 %, [a-z0-9]*')
tm send-keys -t w m
shows_not "$map"

help_comes_and_goes "120 x 40"
same_when_redrawn "after the help"

tm resize-window -t w -x 80 -y 24
shows '^q quit .*Esc stop$'
shows 'Grad-CAM of'
same_when_redrawn "80 x 24"
for size in 80:24 110:30 50:40; do
    tm resize-window -t w -x "${size%:*}" -y "${size#*:}"
    tm send-keys -t w NPage NPage
    same_when_redrawn "facts scrolled at $size"
    tm send-keys -t w PPage
    same_when_redrawn "facts scrolled back at $size"
done
tm resize-window -t w -x 20 -y 5
shows 'needs 30 x'
tm resize-window -t w -x 120 -y 40
shows 'q quit'
shows 'Grad-CAM of'

tm send-keys -t w n
shows "$(basename "$other") 2/3"
shows 'Grad-CAM of'

same_when_redrawn "the second image"

tm send-keys -t w n
shows 'error: .*missing.png'
shows_not 'Grad-CAM of'
tm send-keys -t w s
shows 'nothing to save'
tm send-keys -t w Enter
shows 'error: .*missing.png'
tm send-keys -t w p
shows "$(basename "$other") 2/3"
settled "$dir/back"
shows 'Grad-CAM of'

tm send-keys -t w s
shows 'save as: '
tm send-keys -t w C-u
tm send-keys -t w -l out.png
tm send-keys -t w Enter
shows 'wrote out.png'
[ "$(head -c 4 "$dir/out.png" | tail -c 3)" = PNG ] || fail "out.png is no PNG"
tm send-keys -t w s
shows 'save as: '
tm send-keys -t w C-u
tm send-keys -t w -l out.png
tm send-keys -t w Enter
shows 'is there already'
tm send-keys -t w Escape
shows_not 'save as'
tm send-keys -t w q
left_well "q" 0

# ---- probing ----------------------------------------------------------------------------

# How many classes are called in that picture.
called() { "$SALISCOPE" classify -m "$model" --json "$1" 2>>"$dir/errors" | grep -c '"flagged": true'; }

save_as() {
    tm send-keys -t w s
    shows 'save as: '
    tm send-keys -t w C-u
    tm send-keys -t w -l "$1"
    tm send-keys -t w Enter
    shows "wrote $1"
}

open 120 40 TERM=tmux-256color
shows 'Grad-CAM of .* to .* logit'
tm send-keys -t w x
shows 'the decision changes: nodule is'
shows 'no longer called'
shows 'Scores before, after'
shows '> nodule .* % ! .* %'
shows 'Smallest flip so far'
shows 'does not flip'
shows '^change -.* levels, x [0-9]'
same_when_redrawn "probing"
tm send-keys -t w v
shows 'change over it'
tm send-keys -t w v v + +
shows 'altered, change x 5'
tm send-keys -t w v v
shows 'beside what was changed'
tm send-keys -t w b
shows 'Grad-CAM before, beside it'
shows 'Grad-CAM before the change, 0 to .* logit, both'
shows 'map  *Grad-CAM, the decision changed:'
tm send-keys -t w b v
shows 'Grad-CAM after, over it'
same_when_redrawn "a map after a probe"
tm send-keys -t w b
shows 'change over it'
tm send-keys -t w v v v v
shows 'beside what was changed'

tm send-keys -t w s
shows 'save as: nodule-clear-mineps-nodule.png'
tm send-keys -t w Escape
save_as flip.png
save_as flip.npy
save_as flip.json
[ "$(called "$image")" = 1 ] || fail "the image as given: not one class is called"
[ "$(called "$dir/flip.png")" = 0 ] || fail "flip.png: it is decided as the image was"
head -c 6 "$dir/flip.npy" | grep -q NUMPY || fail "flip.npy is no array"
grep -q '"probe": "mineps"' "$dir/flip.json" || fail "flip.json is no record of a probe"

tm send-keys -t w P
shows 'mineps: attack=auto'
tm send-keys -t w C-u
tm send-keys -t w -l 'effort=nonsense'
tm send-keys -t w Enter
shows 'error: .*effort'
tm send-keys -t w P C-u
tm send-keys -t w -l 'effort='
shows 'quick | standard | thorough'
tm send-keys -t w -l 'thorough control=100000'
tm send-keys -t w Enter
shows 'probing: '
shows '[1-9] % .*Esc stops'
shows '! partial: after [0-9]* passes'
tm send-keys -t w o
shows 'image alone'
tm send-keys -t w o Escape
shows 'stopped; r runs it again'
shows 'PARTIAL'
shows '! partial: stopped after'

# Back, and there again: what was there stays. Files are about what is shown.
tm send-keys -t w x
shows 'Grad-CAM of .* logit'
shows_not 'PARTIAL'
save_as map.json
grep -q '"method": "gradcam"' "$dir/map.json" || fail "map.json is no record of a map"
tm send-keys -t w x
shows 'PARTIAL'
tm send-keys -t w f
shows 'goal: hide'
tm send-keys -t w f
shows 'goal: create'
shows 'nodule is called as it is'

tm send-keys -t w n
shows "$(basename "$other") 2/3"
shows 'nothing to change'
tm send-keys -t w n
shows 'error: .*missing.png'
shows_not 'before, after'
tm send-keys -t w n e
shows 'FGSM\|gradient sign'
for size in 80:24 50:40 100:50; do
    tm resize-window -t w -x "${size%:*}" -y "${size#*:}"
    same_when_redrawn "probing at $size"
done
tm resize-window -t w -x 120 -y 40
shows 'v view'
tm send-keys -t w q
left_well "q while probing" 0

open 100 30 TERM=tmux-256color OPTIONS=--probe=fgsm
shows 'no change found\|the decision changes'
screen | grep -q 'Grad-CAM of' && fail "--probe: a map comes first"
tm send-keys -t w x
shows 'Grad-CAM of'
tm send-keys -t w q
left_well "begun with a probe" 0

# ---- every way out --------------------------------------------------------------------

for signal in TERM:143 HUP:129 INT:130 SEGV:139 ABRT:134; do
    open 100 30 TERM=xterm-256color
    shows 'Grad-CAM of'
    kill -"${signal%:*}" "$(cat "$dir/pid")"
    case "$signal:$SALISCOPE" in
    # A sanitizer has the last word on a crash.
    SEGV:*/address/* | ABRT:*/address/*) left_well "$signal" '[1-9]' ;;
    *) left_well "$signal" "${signal#*:}" ;;
    esac
done

open 100 30 TERM=xterm-256color
shows 'Grad-CAM of'
pid=$(cat "$dir/pid")
kill -STOP "$pid"
kill -CONT "$pid"
tm send-keys -t w o
shows 'image alone'
tm send-keys -t w q
left_well "stopped and continued" 0

# ---- terminals with less ---------------------------------------------------------------

open 80 24 TERM=vt100 LC_ALL=C COLORTERM=
shows 'Grad-CAM of'
shows 'q quit'
screen | LC_ALL=C grep -q '[^ -~]' && fail "not ASCII under LC_ALL=C"
tm send-keys -t w x
shows 'change, reversed: strongest'
shows 'best so far'
screen | LC_ALL=C grep -q '[^ -~]' && fail "probing: not ASCII under LC_ALL=C"
tm send-keys -t w x
shows 'Grad-CAM of'
help_comes_and_goes "vt100"
tm send-keys -t w q
left_well "vt100" 0

open 80 24 TERM=xterm-256color NO_COLOR=1
shows 'reversed: strongest'
tm capture-pane -e -p -t w | grep -q '[34]8;[25];' && fail "colours under NO_COLOR"
tm send-keys -t w q
left_well "NO_COLOR" 0

open 80 24 TERM=dumb
shows 'left with 2'
grep -q 'TERM=dumb' "$dir/errors" || fail "TERM=dumb is not named"
