#!/bin/sh
# The commands as a user meets them: exit statuses, messages, files, JSON.
: "${SALISCOPE:=$PWD/build/release/saliscope}"
model=samples/models/phantom.onnx
image=samples/images/nodule-clear.png
other=samples/images/normal.png
[ -f "$model" ] && [ -f "$image" ] || { echo "skip: the samples are not there"; exit 77; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0
LC_ALL=C.UTF-8
export LC_ALL
unset NO_COLOR

fault() {
    echo "FAIL: $*"
    sed 's/^/    out: /' "$dir/out" | head -n 5
    sed 's/^/    err: /' "$dir/err" | head -n 5
    failures=$((failures + 1))
}

# run STATUS ARGUMENT... : keeps what was said in $dir/out and $dir/err.
run() {
    want=$1
    shift
    said="saliscope $*"
    "$SALISCOPE" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    got=$?
    [ $got -eq "$want" ] || fault "$said: exit $got, not $want"
}

out() { grep -q -e "$1" "$dir/out" || fault "$said: no '$1' on standard output"; }
err() { grep -q -e "$1" "$dir/err" || fault "$said: no '$1' on standard error"; }
silent() { [ ! -s "$dir/$1" ] || fault "$said: something on $1"; }
# One line and no more, so that it can be read and quoted.
one_line() { [ "$(wc -l <"$dir/err")" -eq 1 ] || fault "$said: not one line of error"; }

# json EXPRESSION : true of the document `d` on standard output.
if command -v python3 >/dev/null; then
    json() {
        python3 -c "
import json, sys
d = json.load(open(sys.argv[1]), parse_constant=lambda c: sys.exit(1))
sys.exit(0 if ($1) else 1)" "$dir/out" 2>>"$dir/err" || fault "$said: not $1"
    }
else
    echo "skip: JSON is not read back: no python3"
    json() { :; }
fi

# ---- usage --------------------------------------------------------------------------

run 0 --version; out '^saliscope [0-9]'; silent err
run 0 --help; out 'classify'; silent err
for command in open classify explain probe inspect list bench doctor; do
    run 0 $command --help; out "Usage: saliscope $command"; silent err
done
run 2; err 'Usage'; silent out
run 2 clasify; err 'classify is near'; one_line
for command in measure cohort verify; do
    run 2 $command -m x y; err "no '$command' yet"; one_line
done
run 2 classify; one_line
run 2 classify -m $model; one_line
run 2 explain -m $model $image --metod gradcam; err 'method is near'; one_line
run 2 explain -m $model $image -M gradcan; err 'gradcam is near'; one_line
run 2 explain -m $model $image -c nodul; err "'nodule' is near"
run 2 explain -m $model $image -c 99
run 2 explain -m $model $image -l nowhere; err 'inspect'
run 2 explain -m $model $image -P nothing=1
run 2 explain -m $model $image --colormap virids; err 'viridis is near'
run 2 explain -m $model $image --range 2:1
run 2 explain -m $model $image --range p0; one_line; err 'p99'
run 2 explain -m $model $image --alpha 2
run 2 explain -m $model $image --channels keep
run 2 explain -m $model $image -o map.gif; err '\.npy'
run 2 explain -m $model $image $other -o "$dir/a.png"; err '{}'
run 2 explain -m $model $image -c 0 -c 1 -o "$dir/a.png"; err '{class}'; one_line
run 2 explain -m $model $image $other -c all -o "$dir/{class}.png"; err '{} where'; one_line
run 2 explain -m $model $image -c 0 -c nodul; err "'nodule' is near"; one_line
run 2 open -m $model $image -c 0 -c 1; err 'open takes one class'; one_line
run 2 open -m $model $image -c all; err 'open takes one class'; one_line
run 2 probe -m $model $image -c all; err 'probe takes one class'; one_line
run 2 classify -m $model $image -o "$dir/a.png"; err 'explain'
run 2 list nothing
run 2 doctor extra

# ---- classify ------------------------------------------------------------------------

run 0 classify -m $model $image; out 'nodule'; out 'flagged'
run 0 classify -m $model $image --color always; out "$(printf '\033')"
run 0 classify -m $model $image; ! grep -q "$(printf '\033')" "$dir/out" || fault "colour"
run 0 classify --json -m $model $image
json "d['activation'] == 'sigmoid' and d['scores'][0]['name'] == 'nodule'"
json "d['scores'][0]['flagged'] and not d['scores'][1]['flagged']"
json "{'saliscope', 'command', 'model', 'image', 'seed', 'threads', 'warnings'} <= set(d)"
json "all(v['source'] for v in d['model']['preprocessing'].values())"
run 0 classify -m $model $image -o -; json "d['image']['width'] > 0"
run 0 classify -m $model $image $other --json
json "len(d['cases']) == 2 and 'image' not in d"

# Every sample against what other programs say of it.
run 0 classify -q --json -m $model samples/images/*.*
json "all(
    abs(score['logit'] - logit) < 1e-3 * max(1, abs(logit))
    and score['flagged'] == (score['name'] in case['flagged'])
    for case in json.load(open('samples/expected.json'))['cases']
    for mine in [[c for c in d['cases'] if c['image']['path'] == 'samples/' + case['image']][0]]
    for score, logit in zip(mine['scores'], case['logits'], strict=True))"

# ---- explain -------------------------------------------------------------------------

run 0 explain -m $model $image -o "$dir/f.png" -o "$dir/f.pdf" -o "$dir/f.svg" \
    -o "$dir/f.json" -o "$dir/f.npz" -o "$dir/f.npy"
out 'Grad-CAM'; out 'f.json'
for kind in png pdf svg json npz npy; do
    [ -s "$dir/f.$kind" ] || fault "no f.$kind"
done
cp "$dir/f.json" "$dir/out"
said="the record f.json"
json "len(d['outputs']) == 5 and d['method'] == 'gradcam' and d['class']['index'] == 0"
json "d['map']['max'] > 0 and len(d['map']['sha256']) == 64 and d['partial'] is False"
grep -q 'nodule-clear' "$dir/f.png" && fault "the figure names its file"
grep -q '"method": "gradcam"' "$dir/f.png" || fault "the figure has no record"

run 0 explain -q --json -m $model $image $other -o "$dir/{}-map.npy" --at image
json "[len(c['outputs']) for c in d['cases']] == [1, 1]"
[ -s "$dir/nodule-clear-map.npy" ] && [ -s "$dir/normal-map.npy" ] || fault "no {} files"

run 0 explain --redact-paths --json -m $model $image -o "$dir/secret.npy"
for word in nodule-clear phantom.onnx phantom.json secret "$dir"; do
    ! grep -q "$word" "$dir/out" || fault "redacted record holds $word"
done

run 0 explain -q -m $model $image -M ig -P steps=100 -P rule=trapezoid; out 'completeness'
run 0 explain -q --json -m $model $image -M ig -P steps=20 -P baseline=mean
json "abs(d['checks']['completeness_error']) < 1 and d['backward_passes'] == 22"
json "d['parameters']['baseline'] == 'mean' and d['parameters']['steps'] == 20"
run 0 explain -q --json -m $model $image -M occlusion -P window=32 -P stride=16
json "d['checks']['windows'] == 49 and d['map']['signed'] and d['map']['unit'] == 'logit'"
json "0 < d['checks']['computed_percent'] < 50 and d['parameters']['trim'] == 0"
run 0 explain -q --json -m $model $image -M occlusion -P window=32 -P stride=16 -P whole=yes
json "'computed_percent' not in d['checks'] and d['parameters']['whole'] is True"
run 0 explain -q --json -m $model $image -M occlusion -P window=32 -P stride=16 -P trim=0.05
json "d['checks']['trim_map_error_percent'] >= 0 and d['checks']['trim_score_error'] >= 0"
run 2 explain -m $model $image -M occlusion -P trim=2; one_line; err 'trim'

# All classes of an image by one sweep, each with the map of its own.
run 0 explain -q --json -m $model $image -M occlusion -c 1 -o "$dir/alone.npy"
run 0 explain -q --json -m $model $image $other -M occlusion -c all -c nodule \
    -o "$dir/{}-of-{class}.npy"
json "[c['class']['index'] for c in d['cases']] == [0, 1, 0, 1]"
json "[c['forward_passes'] for c in d['cases']] == [197, 0, 197, 0]"
json "[c['outputs'] for c in d['cases']][3] == ['$dir/normal-of-1.npy']"
cmp -s "$dir/alone.npy" "$dir/nodule-clear-of-1.npy" || fault "not the map of that class alone"
cmp -s "$dir/alone.npy" "$dir/nodule-clear-of-0.npy" && fault "all classes have one map"
run 0 explain -q -m $model $image -c 1 -c 0 -o "$dir/{class}{class}.npy"
out 'of class 1'; out 'of class 0'
[ -s "$dir/00.npy" ] && [ -s "$dir/11.npy" ] || fault "no {class} files"
run 3 explain -q --json -m $model "$dir/none.png" $image -c all
json "['error' in c for c in d['cases']] == [True, False, False]"
sed 's/"consolidation"/"all"/' samples/models/phantom.json >"$dir/all.json"
run 0 explain -q --json -m $model -s "$dir/all.json" $image -c all
json "d['class'] == {'index': 1, 'name': 'all'}"

run 0 explain -q -m $model $image -M gradient --channels keep -o "$dir/kept.npy"
grep -q "'shape': (1, 128, 128)" "$dir/kept.npy" || fault "channels are not kept"
run 2 explain -m $model $image -M gradient --channels keep --at image; err 'leave --at'
run 2 explain -m $model $image -M occlusion -P window=32 -P stride=33; err 'at most 32'
run 2 explain -m $model $image -M ig -P steps=0; one_line
run 0 explain -q --json -m $model $image --like pytorch-grad-cam
json "d['like']['call'] == 'GradCAM' and 0.9999 < d['map']['max'] <= 1 and d['map']['min'] == 0"
run 0 explain -q --json -m $model $image -M smoothgrad --like captum -P samples=3
json "d['parameters']['samples'] == 3 and d['parameters']['units'] == 'input'"
run 0 explain -q --json -m $model $image -M lrp --like captum
json "d['parameters']['first'] == 'epsilon' and d['parameters']['epsilon'] == 1e-9"
run 0 explain -q --json -m $model $image -M rise --like rise -P masks=8
json "d['score']['value'] <= 1 and d['parameters']['normalise'] == 'paper'"
run 0 explain -q --json -m $model $image -M rise --like rise -P masks=8 --score logit
json "d['score']['value'] > 1"
run 2 explain -m $model $image -M rise --like captum; err 'no method like rise'; one_line
run 2 explain -m $model $image --like captun; err 'captum is near'; one_line
run 0 list libraries --json; json "len(d['libraries']) == 4"
run 0 explain -q --json -m $model $image -M smoothgrad -P samples=3 --seed 5
sed -n '/"map": {/,/}/p' "$dir/out" >"$dir/seed-5"
run 0 explain -q --json -m $model $image -M smoothgrad -P samples=3 --batch 1 --seed 5
sed -n '/"map": {/,/}/p' "$dir/out" | cmp -s - "$dir/seed-5" || fault "the batch counts"
run 0 explain -q --json -m $model $image -M smoothgrad -P samples=3
sed -n '/"map": {/,/}/p' "$dir/out" | cmp -s - "$dir/seed-5" && fault "the seed does not count"

# The same bits whatever the number of threads, from the command in the record too.
for threads in 1 2 3; do
    run 0 explain -q --json --threads $threads -m $model $image
    grep '"sha256"' "$dir/out" | sort >"$dir/hashes-$threads"
    cmp -s "$dir/hashes-1" "$dir/hashes-$threads" || fault "$threads threads differ"
done
run 0 explain -q --json --redact-paths -m $model $image
command=$(sed -n 's/^  "command": "saliscope \(.*\)",$/\1/p' "$dir/out" |
    sed "s#MODEL#$model#; s#IMAGE#$image#")
eval "run 0 $command -q"
grep '"sha256"' "$dir/out" | sort | cmp -s - "$dir/hashes-1" || fault "command differs"

# ---- probes -----------------------------------------------------------------------------

# The picture that is written is decided the other way when it is read back.
run 2 probe -m $model; one_line
run 2 probe -m $model $image -A squre; err 'square is near'; one_line
run 2 probe -m $model $image -A pgd -P eps=-1; one_line; err 'eps must be'
run 2 probe -m $model $image --score prob; one_line
run 0 probe -q -m $model $image -A pgd -P eps=8/255 -o "$dir/adv.png" -o "$dir/adv.npy"
out 'the decision changes'
run 0 probe -q -m $model $image -A fgsm -P eps=8/255 -o "$dir/p.pdf" -o "$dir/p.svg" \
    -o "$dir/p.figure.png"
head -c 5 "$dir/p.pdf" | grep -q '%PDF-' || fault 'no figure of a probe as PDF'
grep -q '<svg' "$dir/p.svg" || fault 'no figure of a probe as SVG'
grep -aq '"probe": "fgsm"' "$dir/p.figure.png" || fault 'no record in a figure of a probe'
[ "$(head -c 25 "$dir/p.figure.png" | tail -c 1 | od -An -tu1 | tr -d ' ')" = 8 ] ||
    fault 'a figure of a probe that has not 8 bits'
run 0 classify -q --json -m $model "$dir/adv.png"
json "not d['scores'][0]['flagged'] and d['image']['bits'] == 16"
run 0 probe -q -m $model $image -A fgsm -P eps=0.01/255
out 'no change found'; out 'does not show that there is none'
# A curve is numbers in a file and a plot in a terminal that is wide enough.
curve="probe -q -m $model $image -A curve -P points=3 -P steps=2 -P samples=2"
run 0 $curve; out 'score by eps  *0.0157'
! grep -q 'noise, mean' "$dir/out" || fault 'a plot in a file'
if command -v script >/dev/null; then
    shown() { # columns environment...
        columns=$1 said="$* $curve"
        shift
        script -qec "stty cols $columns rows 50; env TERM=xterm-256color $* '$SALISCOPE' $curve" \
            /dev/null </dev/null >"$dir/out" 2>"$dir/err"
    }
    absent() { ! grep -q -e "$1" "$dir/out" || fault "$said: '$1' on standard output"; }
    shown 80 LC_ALL=C.UTF-8
    out '⠒⠒⠒⠒.*attack'; out '38;5;'; out 'levels of 255 / unit intensity'; absent 'score by eps'
    shown 80 LC_ALL=C NO_COLOR=1
    out '\*\* attack  oo noise, mean'; absent '38;5;'; absent '⠒'
    shown 45 LC_ALL=C.UTF-8
    out 'score by eps'; absent 'noise, mean'
else
    echo "skip: plots in a terminal: no script(1)"
fi
for threads in 1 2; do
    run 0 probe -q --json -m $model $image -P norm=l2 -j $threads --batch $threads
    json "d['success'] and d['bracket'][0] < d['bracket'][1] == d['distance']['l2']"
    grep -v '"seconds"\|"threads"\|"command"' "$dir/out" >"$dir/probe-$threads"
done
cmp -s "$dir/probe-1" "$dir/probe-2" || fault 'threads or batch change a probe'
run 0 probe -q --json -m $model $image -P norm=l2 -P attack=square
json "d['success'] and (d['bracket'][0] is None or d['bracket'][0] < d['bracket'][1])"
run 0 probe -q --json --redact-paths -m $model $image -P norm=l2
command=$(sed -n 's/^  "command": "saliscope \(.*\)",$/\1/p' "$dir/out" |
    sed "s#MODEL#$model#; s#IMAGE#$image#")
grep '"linf"' "$dir/out" >"$dir/probe-linf"
eval "run 0 $command -q"
grep '"linf"' "$dir/out" | cmp -s - "$dir/probe-linf" || fault "command differs"
for threads in 1 2; do
    run 0 probe -q --json -m $model $image -A corruptions -j $threads --batch $threads
    json "len([t for t in d['trials'] if 'severity' in t]) == 145 and d['facts'][0]['value'] == 18"
    grep -v '"seconds"\|"threads"\|"command"' "$dir/out" >"$dir/probe-$threads"
done
cmp -s "$dir/probe-1" "$dir/probe-2" || fault 'threads or batch change corruptions'
run 0 probe -q -m $model $image -A corruptions; out 'flips first at: .*15 of 18 hold'
run 0 probe -q -m $model $image -A gamma -P severity=3; out 'gamma darker 1.3, severity 3'
run 0 probe -q -m $model $image -A gaussian-noise -P setting=0.4 -o "$dir/noisy.png"
out 'the decision changes'
run 0 classify -q --json -m $model "$dir/noisy.png"
json "not d['scores'][0]['flagged']"
run 2 probe -m $model $image -A gamma -P setting=99; one_line; err 'setting must be'
run 0 probe -q -m $model $image -A tta; out 'mutual information'
run 0 list probes; out 'severity, table, effort  *as above'
run 0 list probes --json
json "[p['severities'][0]['chest'] for p in d['probes'] if p['name'] == 'jpeg'] == [[50, 30, 15, 10, 7]]"

# A region of interest, and what hangs on it: a letter, with the model that learnt it.
marked=samples/images/normal-marker.png
marker=samples/masks/normal-marker.marker.png
shortcut=samples/models/phantom-shortcut.onnx
for region in 1,2,3 1,2,0,4 250,0,20,20 0,0,256,256 0,0,1,1; do
    run 2 probe -m $model $image --roi $region; one_line; err 'region'
done
run 3 probe -m $model $image --roi "$dir/adv.png"; one_line; err 'mask is 128 x 128'
run 3 probe -m $model $image --roi "$dir/none.png"; one_line; err 'none.png'
run 2 probe -m $model $image --where inside; one_line; err '--roi'
run 2 probe -m $model $image -A shortcut; one_line; err '--roi'
run 0 probe -q -m $shortcut $marked -c nodule -A region
out 'top left corner of 20 % removed *[0-9.]* (f [-0-9.]*), flips'
for m in $model $shortcut; do
    run 0 probe -q --json --redact-paths -m $m $marked -c nodule -A region --roi $marker
    json "d['roi']['source'] == ['MASK'] and 0.01 < d['roi']['area_share'] < 0.013"
    json "d['success'] == ('$m' == '$shortcut')"
    json "(d['trials'][0]['flips'] == 1) == ('$m' == '$shortcut')"
    json "({f['name']: f['value'] for f in d['facts']}['percentile'] == 100) == ('$m' == '$shortcut')"
done
command=$(sed -n 's/^  "command": "saliscope \(.*\)",$/\1/p' "$dir/out" |
    sed "s#MODEL#$shortcut#; s#IMAGE#$marked#; s#MASK#$marker#")
grep '"f"' "$dir/out" >"$dir/region"
eval "run 0 $command -q"
grep '"f"' "$dir/out" | cmp -s - "$dir/region" || fault "command differs"
run 0 probe -q --json -m $shortcut $marked -c nodule -P norm=l2 --roi 0,0,64,64 --where inside
json "d['success'] and {f['name']: f['value'] for f in d['facts']}['energy_share'] == 1"

# The explanation under a probe: told beside noise, made again by its own record.
run 2 probe -m $model $image -l features.relu5; one_line; err 'only with a method'
run 2 probe -m $model $image -M gradcm; one_line; err 'gradcam is near'
run 2 probe -m $model $image -M gradcam -P ig.steps=3; one_line
run 2 probe -m $model $image -M gradcam -P agreement.top=0; one_line; err 'top must be'
run 2 probe -m $model $image -P agreement.top=0.1; one_line
run 0 probe -q -m $model $image -A explanation -P steps=8 -P draws=3 -M gradient \
    -P agreement.draws=2 -P agreement.sensitivity=2 -o "$dir/maps.npz"
out 'the decision holds'; out 'top overlap'; out 'under noise'; out 'top of the map'
run 0 probe -q --json --redact-paths -m $model $image -A explanation -P steps=8 -P draws=3 \
    -M gradient -P gradient.magnitude=yes -P agreement.draws=2
json "d['success'] and d['decision_held'] and d['sought'] == 'explanation'"
json "d['explanation']['agreement']['top_overlap'] == d['displaced']['top_overlap'] < 1"
json "d['explanation']['decision_held'] and d['explanation']['parameters']['magnitude']"
json "d['explanation']['noise']['mean']['top_overlap'] > d['displaced']['top_overlap']"
json "d['displaced']['held_by_step'][-1] == d['displaced']['top_overlap']"
command=$(sed -n 's/^  "command": "saliscope \(.*\)",$/\1/p' "$dir/out" |
    sed "s#MODEL#$model#; s#IMAGE#$image#")
grep '"top_overlap"\|"ssim"\|sensitivity_max' "$dir/out" >"$dir/maps"
eval "run 0 $command -q"
grep '"top_overlap"\|"ssim"\|sensitivity_max' "$dir/out" | cmp -s - "$dir/maps" ||
    fault "command differs"
run 0 probe -q --json -m $model $image -A pgd -P eps=8/255 -M gradcam -l features.relu5
json "d['success'] and not d['decision_held'] and not d['explanation']['decision_held']"
json "d['explanation']['layer'] == 'features.relu5' and d['explanation']['noise']['draws'] == 8"
run 0 probe -q --json -m $model $image -A pgd -P eps=0 -M gradcam
json "not d['explanation']['altered'] and 'agreement' not in d['explanation']"

# ---- what is wrong with a file --------------------------------------------------------

head -c 1000 $image >"$dir/cut.png"
head -c 5000 $model >"$dir/cut.onnx"
: >"$dir/empty.onnx"
run 3 classify -m $model "$dir/cut.png"; one_line; err 'cut.png'; silent out
run 3 classify -m $model "$dir/none.png"; one_line; err 'none.png'
run 3 classify -m $model $model; one_line
run 3 classify -m "$dir/cut.onnx" $image; one_line; err 'cut.onnx'
run 3 classify -m "$dir/empty.onnx" $image; one_line
run 3 classify -m "$dir" $image; one_line
run 3 classify --json -m $model "$dir/cut.png"; silent out
run 3 classify -m $model -s "$dir/cut.png" $image; one_line
run 3 classify --json -m $model "$dir/cut.png" $image
json "d['cases'][0]['error']['status'] == 3 and 'scores' in d['cases'][1]"
run 3 classify -m $model $image "$dir/cut.png" $other; out 'normal.png'
run 6 explain -m $model $image -o "$dir/none/f.png"; one_line
run 6 explain -m $model $image -o "$dir/../$(basename "$dir")/none/f.npy"
if [ -w /dev/full ]; then
    said="list > /dev/full"
    "$SALISCOPE" list >/dev/full 2>"$dir/err"
    [ $? -eq 6 ] || fault "a full standard output is no error"
fi
run 5 classify --memory 1K -m $model $image; one_line

# A name must not reach the terminal as it is.
name=$(printf 'evil\033[31m\nname.png')
run 3 classify -m $model "$dir/$name"; one_line
! grep -q "$(printf '\033')" "$dir/err" || fault "a control character reached the terminal"
run 3 classify -m $model -- --json; err 'json'

# ---- the other commands -----------------------------------------------------------------

run 0 inspect $model; out 'auto'; out 'Conv'; out 'sidecar'
run 0 inspect --json -m $model
json "sum(l['auto'] for l in d['layers']) == 1 and d['macs'] > 0 and d['parameters'] > 0"
json "d['classes'][0]['name'] == 'nodule' and d['operators'][0]['count'] > 0"
run 2 inspect

# Against recorded outputs; then with another's, with one too few, and with no tensor.
node=/usr/share/libonnx-testdata/data/node
if [ -d $node/test_add ]; then
    add=$node/test_add/model.onnx set=$node/test_add/test_data_set_0
    in="$set/input_0.pb --verify $set/input_1.pb"
    run 0 inspect $add --verify $set; out 'sum.*3x4x5.*agrees'; out 'computes what was'
    run 0 inspect $add --verify $set --verify $set; silent err
    run 0 inspect --verify $in $set/output_0.pb $add; out 'agrees'
    run 0 inspect -m $add --verify $in $set/output_0.pb
    run 0 inspect $add --verify $set/input_0.pb $set/input_1.pb $set/output_0.pb
    run 1 inspect $add --verify $in $set/input_0.pb; out 'differs: 60 of 60'; silent err
    run 2 inspect $add --verify $in; err '2 inputs and 1 output; 2 recorded inputs'
    run 2 inspect $add --verify $set $set/output_0.pb
    run 2 inspect $add --verify $set/input_0.pb $set
    run 2 inspect $add $set; one_line
    run 2 inspect $add --tolerance 0.1
    run 3 inspect $add --verify $in "$dir/none.pb"; one_line; err 'none.pb'
    run 3 inspect $add --verify $in $image; one_line; err 'png'; silent out
    run 3 inspect $add --verify "$dir"; one_line; err 'output_0'
    run 3 inspect $add --verify $node/test_sub/test_data_set_0/none
    run 0 inspect --json $add --verify $set
    json "d['agrees'] and d['verify'][0]['outputs'][0]['max_abs'] == 0"
    json "{'saliscope', 'command', 'model', 'warnings', 'threads'} <= set(d)"
    run 1 inspect --json $add --verify $in $set/input_0.pb
    json "not d['agrees'] and d['verify'][0]['outputs'][0]['beyond'] == 60"
    run 0 inspect $add --verify $in $set/output_0.pb --tolerance 0
    run 1 inspect $node/test_erf/model.onnx --verify $node/test_erf/test_data_set_0 \
        --tolerance 0
    run 0 inspect $add --verify $set --redact-paths --json
    ! grep -q "$node" "$dir/out" || fault "$said: paths"
    run 4 inspect $node/test_loop11/model.onnx --verify $node/test_loop11/test_data_set_0
    one_line; err 'Loop'; silent out

    # Everything that is missing, not only the first.
    run 4 inspect $node/test_adagrad/model.onnx; out 'training.Adagrad  *1  X_new  *1'
    one_line
    run 4 inspect --json $node/test_loop11/model.onnx
    json "d['unsupported'][0]['operator'] == 'Loop' and d['error']['status'] == 4"
else
    echo "skip: libonnx-testdata is not installed"
fi
mnist="$SHARED_DATA/models/mnist_cntk"
if [ -r "$mnist.onnx" ]; then
    run 0 inspect "$mnist.onnx" --verify "${mnist}_test_data_set_0" \
        --verify "${mnist}_test_data_set_2"
    run 1 inspect "$mnist.onnx" --verify "${mnist}_test_data_set_0/input_0.pb" \
        "${mnist}_test_data_set_2/output_0.pb"
fi

run 0 list; out 'methods'
for what in methods probes attacks metrics colormaps operators loaders keys presets writers; do
    run 0 list $what
    run 0 list $what --json; json "isinstance(d['$what'], list)"
done
run 0 list methods --json; json "d['methods'][0]['name'] == 'gradcam'"
# The manual page says the same of each.
json "all(m[k] in ' '.join(open('man/saliscope.1').read().split()) \\
    for m in d['methods'] for k in ('formula', 'paper', 'semantics'))"
run 0 list attacks --json
json "all(p['attack'] and p['parameters'] for p in d['attacks']) and len(d['attacks']) >= 9"
run 0 list metrics --json
json "'top_overlap' in [m['name'] for m in d['metrics']] and all(m['paper'] for m in d['metrics'])"
run 0 list operators --json
json "all(o['since'] <= o['until'] for o in d['operators']) and len(d['operators']) > 40"
run 0 doctor; out 'Sandbox'; out 'BLAS'
run 0 doctor --json; json "{'terminal', 'sandbox', 'blas', 'threads'} <= set(d)"

# ---- exact --------------------------------------------------------------------------------

# Other bits, the same to some digits, and a record that says so and how to repeat it.
for exact in '' --exact; do
    run 0 classify -q --json $exact -m $model $image
    json "d['exact'] == bool('$exact')"
    grep '"logit"' "$dir/out" >"$dir/logits$exact"
    for method in gradcam scorecam gradient; do
        run 0 explain -q --json $exact -M $method -m $model $image
        json "d['exact'] == bool('$exact') and ('--exact' in d['command']) == bool('$exact')"
        grep '"sha256"' "$dir/out" | tail -n 1 >"$dir/$method$exact"
    done
    run 0 bench --json $exact --runs 1 $model; json "d['exact'] == bool('$exact')"
    run 0 inspect --json $exact $model
    json "d['winograd']['forward']['layers'] == (0 if '$exact' else 3)"
    json "d['winograd']['gradient']['error'] < d['winograd']['limit']"
    json "(d['winograd']['forward']['worst'] is None) == bool('$exact')"
    json "d['winograd']['forward']['refused'] == 0"
done
for what in logits gradcam scorecam gradient; do
    ! cmp -s "$dir/$what" "$dir/$what--exact" || fault "--exact changes no $what"
done
paste "$dir/logits" "$dir/logits--exact" | tr -d , | awk '{
    d = $2 - $4; far += d * d > 1e-9 * $2 * $2 } END { exit NR < 2 || far }' ||
    fault "--exact is too far"
run 0 explain -q --exact -M gradcam -m $model $image -o "$dir/exact.json"
grep -q '"exact": true' "$dir/exact.json" || fault "exact.json"
run 0 inspect $model; out '  Winograd  *3 layers forward, 3 back, error at most [1-9]'
run 0 inspect --exact $model; ! grep -q Winograd "$dir/out" || fault "$said: Winograd"
run 2 list --exact; one_line

# ---- bench --------------------------------------------------------------------------------

run 0 bench $model --runs 3; out '^  forward  .* ms  median of 3'; out 'GFLOP/s'; silent err
out 'batch 1'; ! grep -q gradient "$dir/out" || fault "$said: a gradient nobody asked for"
run 0 bench -m $model --runs 2 --batch 3 --threads 1 --gradient
out 'batch 3, 1 thread$'; out 'input gradient .* median of 2'
run 0 bench --json $model --runs 4 --threads 2 --batch 2 --gradient; silent err
json "d['runs'] == 4 and d['gradient_runs'] == 4 and d['threads'] == 2 and d['batch'] == 2"
json "0 < d['forward_min_ms'] <= d['forward_ms'] and 0 < d['gradient_ms'] and d['rss_mib'] > 1"
json "0 < d['peak_share'] < 1 and abs(d['gflops'] / d['peak_gflops'] - d['peak_share']) < 1e-6"
json "{'saliscope', 'command', 'model', 'warnings'} <= set(d)"
run 0 bench --json $model --runs 1; json "'gradient_ms' not in d"
run 2 bench; one_line
run 2 bench $model $model; one_line
run 2 bench $model --runs 0; err 'from 1 to'; one_line
run 2 bench $model --class 1; one_line
run 3 bench "$dir/cut.onnx"; one_line; err 'cut.onnx'; silent out
run 5 bench $model --memory 1K; one_line
run 5 bench $model --batch 4000 --memory 64M; one_line; err 'memory limit'

# ---- precision ------------------------------------------------------------------------------

run 2 explain -m $model $image --precision f16; one_line; err 'f32|bf16'
run 2 classify -m $model $image --precision f32; one_line
run 0 explain -q --json -m $model $image -M occlusion --precision f32
json "d['precision'] == 'f32' and 'bf16_score_error' not in d['checks']"
run 0 bench --json $model --runs 1; json "d['precision'] == 'f32'"
if grep -q avx512_bf16 /proc/cpuinfo; then
    run 0 explain -q --json -m $model $image -M occlusion --precision bf16
    json "d['precision'] == 'bf16' and 0 < d['checks']['bf16_score_error'] < 0.1"
    json "0 < d['checks']['bf16_map_error_percent'] < 1 and d['forward_passes'] == 205"
    run 0 explain -q -m $model $image -M scorecam --precision bf16 -o "$dir/narrow.svg"
    out '^  precision  *bf16'; out 'bf16: error of the map .*% of its range'
    run 2 explain -m $model $image -M gradcam --precision bf16; one_line; err 'occlusion'
    run 2 bench $model --gradient --precision bf16; one_line; err 'f32'
    run 0 bench $model --runs 1 --precision bf16; out ', bf16$'
    run 2 bench $model --exact --precision bf16; one_line; err 'not in bf16'
else
    echo "skip: --precision bf16: this processor has no AVX512_BF16"
    run 4 explain -m $model $image -M occlusion --precision bf16; one_line; err 'AVX512_BF16'
fi

# ---- stopping ----------------------------------------------------------------------------

# A shell's background job ignores the interrupt, hence env.
if env --default-signal=INT true 2>/dev/null; then
    set -- $image $other
    for i in 1 2 3 4 5 6 7 8; do set -- "$@" "$@"; done
    said="an interrupted explain"
    env --default-signal=INT "$SALISCOPE" explain -m $model "$@" -o "$dir/stop-{}.npy" \
        >"$dir/out" 2>"$dir/err" &
    while [ ! -e "$dir/stop-normal.npy" ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
    kill -INT $!
    wait $!
    got=$?
    [ $got -eq 130 ] || fault "$said: exit $got, not 130"
    err 'cancelled'; one_line

    # What was done of a map by then is kept, and says so.
    for wait in 1 3 9 27; do # until there is something
        said="an interrupted RISE"
        env --default-signal=INT "$SALISCOPE" explain -q -m $model $image -M rise \
            -P masks=100000 -o "$dir/part.npy" -o "$dir/part.json" >"$dir/out" 2>"$dir/err" &
        sleep $wait
        kill -INT $!
        wait $!
        got=$?
        [ $got -eq 130 ] || fault "$said: exit $got, not 130"
        [ ! -e "$dir/part.json" ] || break
    done
    out 'PARTIAL: stopped early'; out 'masks so far'
    grep -q '"partial": true' "$dir/part.json" || fault "$said: a record that looks whole"
    [ -s "$dir/part.npy" ] || fault "$said: no map of what was done"

    # What the kernel sends when a mapped model shrinks.
    rm -f "$dir/stop-normal.npy"
    said="a shrunk model"
    "$SALISCOPE" explain -m $model "$@" -o "$dir/stop-{}.npy" >"$dir/out" 2>"$dir/err" &
    while [ ! -e "$dir/stop-normal.npy" ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
    kill -BUS $!
    wait $!
    got=$?
    [ $got -eq 3 ] || fault "$said: exit $got, not 3"
    err 'phantom.onnx'; one_line
else
    echo "skip: interrupts are not tried: env has no --default-signal"
fi

if [ $failures -gt 0 ]; then
    echo "$failures failures"
    exit 1
fi
echo "all as it should be"
