#!/usr/bin/env bash
# Runs the fuzz targets of tests/fuzz under libFuzzer, AddressSanitizer and UBSan, two at a time.
#
#   scripts/fuzz.sh [--seconds N] [TARGET...]
#
#   --seconds N  for so long each (60)
#   TARGET       as fuzz_<target>.c is called; all of them where none is named
#
# What a run finds worth keeping stays in build-fuzz/corpus/<target> for the next one; the corpus of
# tests/fuzz is only read (tests/fuzz/select_seeds.py adds to it). An input that fails is kept in
# build-fuzz/finds, and the script exits 1.

source "$(dirname "$0")/lib.sh"

dir=build-fuzz
seconds=60
while (($# > 0)); do
    case $1 in
    --help | -h) usage && exit ;;
    --seconds)
        seconds=${2:-}
        [[ $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds takes a number"
        shift
        ;;
    -*) die "unknown argument $1; see --help" ;;
    *) break ;;
    esac
    shift
done

known=(tests/fuzz/fuzz_*.c)
known=("${known[@]##*/fuzz_}")
known=("${known[@]%.c}")
targets=("$@")
if (($# == 0)); then
    targets=("${known[@]}")
fi
for target in "${targets[@]}"; do
    [[ -f tests/fuzz/fuzz_$target.c ]] || die "no target $target; there are: ${known[*]}"
done

command -v clang >/dev/null || die "clang is not installed; scripts/setup.sh --ci installs it"
step "building ${targets[*]} in $dir/"
if [[ ! -f $dir/CMakeCache.txt ]]; then
    cmake -S . -B "$dir" -DCMAKE_C_COMPILER=clang -DFUZZ=ON -DDOCS_UI=OFF >/dev/null
fi
cmake --build "$dir" --target "${targets[@]/#/fuzz_}"

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
mkdir -p "$dir/finds" "$dir/logs"

# fuzz TARGET: one run; what it says goes to a file.
fuzz() {
    local target=$1 options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024
        -print_final_stats=1 -artifact_prefix="$dir/finds/$1-")
    if [[ -f tests/fuzz/$target.dict ]]; then
        options+=(-dict="tests/fuzz/$target.dict")
    fi
    options+=("$dir/corpus/$target" "tests/fuzz/corpus/$target")
    mkdir -p "$dir/corpus/$target"
    "$dir/tests/fuzz/fuzz_$target" "${options[@]}" >"$dir/logs/$target.log" 2>&1
}

# last TARGET PATTERN: what a line of its log says last behind a word, or "-".
last() {
    local found
    found=$(grep -oE "$2 +[0-9]+" "$dir/logs/$1.log" | tail -n 1 | grep -oE '[0-9]+$') || found=-
    printf '%s' "$found"
}

step "fuzzing each for $seconds s"
start=$SECONDS
declare -A target_of status_of
running=0
await() {
    local pid='' status=0
    wait -n -p pid || status=$?
    status_of[${target_of[$pid]}]=$status
    running=$((running - 1))
}
for target in "${targets[@]}"; do
    if ((running == 2)); then
        await
    fi
    fuzz "$target" &
    target_of[$!]=$target
    running=$((running + 1))
done
while ((running > 0)); do
    await
done

failed=0
printf '%-16s %12s %8s %8s %8s %8s  %s\n' target executions a-second cov ft corpus found
for target in "${targets[@]}"; do
    found=nothing
    if ((status_of[$target] != 0)); then
        failed=1
        found=$(grep -oE "Test unit written to .*" "$dir/logs/$target.log" | sed 's/.* //' |
            tr '\n' ' ') || found="exit status ${status_of[$target]}"
    fi
    printf '%-16s %12s %8s %8s %8s %8s  %s\n' "$target" \
        "$(last "$target" stat::number_of_executed_units:)" \
        "$(last "$target" stat::average_exec_per_sec:)" "$(last "$target" cov:)" \
        "$(last "$target" ft:)" "$(last "$target" corp:)" "$found"
done
for target in "${targets[@]}"; do
    if ((status_of[$target] != 0)); then
        step "fuzz_$target failed; $dir/logs/$target.log ends:"
        tail -n 50 "$dir/logs/$target.log"
    fi
done
step "$((SECONDS - start)) s"
exit "$failed"
