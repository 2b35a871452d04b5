#!/usr/bin/env bash
# Builds everything and runs every test.
#
#   scripts/test.sh [--long] [--sanitize address|thread | --valgrind] [ctest's options]
#
#   --long      the long tests whole, and those of the container image and of a bare machine
#   --sanitize  the same tests in a build of their own: address (with undefined), or thread
#   --valgrind  the integration tests, or those that ctest's options pick, with tallyd under memcheck
#
# For example: scripts/test.sh -R integration

source "$(dirname "$0")/lib.sh"

long=false
sanitize=
valgrind=false
while (($# > 0)); do
    case $1 in
    --help | -h) usage && exit ;;
    --long) long=true ;;
    --sanitize)
        sanitize=${2:-}
        [[ $sanitize =~ ^(address|thread)$ ]] || die "--sanitize takes address or thread"
        shift
        ;;
    --valgrind) valgrind=true ;;
    *) break ;;
    esac
    shift
done
if $valgrind && [[ $sanitize ]]; then
    die "--valgrind and --sanitize exclude each other"
fi

case $sanitize in
address) dir=build-asan configure=('-DSANITIZE=address,undefined') ;;
thread) dir=build-tsan configure=(-DSANITIZE=thread) ;;
*) dir=build configure=() ;;
esac

scripts/setup.sh --test
step "building everything in $dir/"
cmake -S . -B "$dir" -DBUILD_TESTING=ON "${configure[@]}" >/dev/null
cmake --build "$dir"

export TALLYD_BUILD_DIR=$PWD/$dir TALLYD_SANITIZED=${sanitize:+1}
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
if [[ -f tests/tsan.supp ]]; then
    TSAN_OPTIONS+=:suppressions=$PWD/tests/tsan.supp
fi

ctest=(ctest --test-dir "$dir" --output-on-failure --parallel "$(nproc)")
if [[ $sanitize == thread ]] && setarch -R true 2>/dev/null; then
    # Kernels that randomize more address bits than gcc 12's runtime knows of make it abort.
    ctest=(setarch -R "${ctest[@]}")
fi
if $long; then
    export TALLYD_LONG=1
fi
if $valgrind; then
    export TALLYD_VALGRIND=1 TALLYD_SANITIZED=1 # the loads and the patience of sanitizers
    ctest+=(-L integration -E 'test_attacks_slow$') # under it no peer is blocked for long enough
fi
if ! $long || [[ $sanitize ]]; then
    ctest+=(-LE '^machine$') # the tests that make a machine or a container of their own
fi

# Tests append "name: reason" to skips.txt; ctest itself knows only that one was skipped.
skips=$dir/skips.txt
log=$dir/ctest.log
: >"$skips"
status=0
step "testing"
"${ctest[@]}" "$@" 2>&1 | tee "$log" || status=$?

while read -r name; do
    grep -qF "${name##*/}" "$skips" || printf '%s: gave no reason\n' "$name" >>"$skips"
done < <(sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*Skipped.*/\1/p' "$log")
if [[ -s $skips ]]; then
    step "SKIPPED, so not tested here:"
    sed 's/^/      /' "$skips"
    grep -E '^[0-9]+% tests passed' "$log"
fi
exit "$status"
