#!/usr/bin/env bash
# Looks at the source without running it: clang-tidy (.clang-tidy), cppcheck (scripts/cppcheck.supp)
# and gcc's -fanalyzer. All must find nothing. Exits 77 where one of them is not installed.
#
#   scripts/check-static.sh [--only TOOL] [FILE...]
#
#   --only TOOL  tidy, cppcheck or analyzer
#   FILE         C files; all of the programs' where none is named

source "$(dirname "$0")/lib.sh"

only=
while (($# > 0)); do
    case $1 in
    --help | -h) usage && exit ;;
    --only)
        only=${2:-}
        [[ $only =~ ^(tidy|cppcheck|analyzer)$ ]] || die "--only takes tidy, cppcheck or analyzer"
        shift
        ;;
    -*) die "unknown argument $1; see --help" ;;
    *) break ;;
    esac
    shift
done

for tool in clang clang-tidy-14 cppcheck gcc; do
    if ! command -v "$tool" >/dev/null; then
        step "SKIPPED: there is no $tool here (Debian 12 has it: scripts/setup.sh --ci)"
        exit 77
    fi
done

dirs=(common proto aggregator http server client docs)
if (($# > 0)); then
    files=("$@")
else
    mapfile -t files < <(find "${dirs[@]}" -name '*.c' | sort)
fi

# Builds that are configured and, but for what is generated, not built: each checker gets the
# commands of its compiler, with the asserts of debug builds.
dir=build-static
configure() {
    cmake -S . -B "$dir/$1" -G Ninja -DCMAKE_C_COMPILER="$1" -DCMAKE_BUILD_TYPE=Debug \
        -DDOCS_UI=OFF -DBUILD_TESTING=OFF -DWERROR=OFF >/dev/null
    cmake --build "$dir/$1" --target tally_proto_generated www >/dev/null
}

# One file a run: with several, clang 14 takes every va_list but the first file's for uninitialized.
tidy() {
    configure clang
    printf '%s\0' "${files[@]}" |
        xargs -0 -P "$(nproc)" -n 1 clang-tidy-14 -p "$dir/clang" --quiet 2>"$dir/tidy.log"
}

check_cppcheck() {
    mkdir -p "$dir/cppcheck"
    cppcheck --quiet -j "$(nproc)" --cppcheck-build-dir="$dir/cppcheck" --error-exitcode=1 \
        --enable=warning,performance,portability --inline-suppr --std=c11 --library=posix,gnu \
        --suppressions-list=scripts/cppcheck.supp --include=scripts/cppcheck.h -D_GNU_SOURCE \
        -DTALLYD_VERSION='"0"' -I. "${files[@]}"
}

# gcc 12's analyzer, without three of its warnings, of which all that it has are wrong: it loses sight
# of memory that is stored through a pointer (malloc-leak; LeakSanitizer and Valgrind look for these),
# does not follow the queues of <sys/queue.h> (double-free), and does not know that a pointer is only
# NULL where a length is 0 (null-argument; UBSan looks at those).
analyzer() {
    local status=0 flags='-O1 -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-double-free '
    flags+='-Wno-analyzer-null-argument -Werror'
    configure gcc
    /usr/bin/python3 - "$dir/gcc/compile_commands.json" "${files[@]}" >"$dir/commands" <<'PYTHON'
import json, os, sys
wanted = {os.path.realpath(path) for path in sys.argv[2:]}
for entry in json.load(open(sys.argv[1])):
    if os.path.realpath(os.path.join(entry["directory"], entry["file"])) in wanted:
        print("cd", entry["directory"], "&&", entry["command"], "$FLAGS -o /dev/null", end="\0")
PYTHON
    FLAGS=$flags xargs -0 -P "$(nproc)" -I{} bash -c {} <"$dir/commands" || status=1
    return "$status"
}

failed=0
for tool in tidy cppcheck analyzer; do
    if [[ -n $only && $only != "$tool" ]]; then
        continue
    fi
    step "$tool over ${#files[@]} files"
    start=$SECONDS
    case $tool in
    tidy) tidy ;;
    cppcheck) check_cppcheck ;;
    analyzer) analyzer ;;
    esac || {
        step "$tool found something"
        failed=1
    }
    step "$tool took $((SECONDS - start)) s"
done
exit "$failed"
