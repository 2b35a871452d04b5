#!/usr/bin/env bash
# Writes the option tables of README.md and of the manual page from the programs' own tables.
#
#   scripts/docs.sh [--check]
#
#   --check  change nothing; fail when a table is out of date

source "$(dirname "$0")/lib.sh"

check=false
case ${1:-} in
--check) check=true ;;
--help | -h) usage && exit ;;
?*) die "unknown argument $1; see --help" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# fill FILE MARKER FORMAT PROGRAM: what build/tally-docs prints goes between the two marked lines.
fill() {
    local file=$1 marker=$2
    build/tally-docs "$3" "$4" >"$work/table"
    if ! grep -qF "$marker:begin" "$file" || ! grep -qF "$marker:end" "$file"; then
        die "$file lacks the marks '$marker:begin' and '$marker:end'"
    fi
    awk -v begin="$marker:begin" -v end="$marker:end" -v table="$work/table" '
        index($0, end) { inside = 0 }
        !inside { print }
        index($0, begin) { inside = 1; while ((getline line < table) > 0) print line }
    ' "$file" >"$work/filled"
    if cmp -s "$file" "$work/filled"; then
        return
    elif $check; then
        diff -u "$file" "$work/filled" || true
        status=1
    else
        cp "$work/filled" "$file"
        step "updated $file (${marker# })"
    fi
}

if [[ ! -f build/CMakeCache.txt ]]; then
    cmake -S . -B build -DBUILD_TESTING=OFF >/dev/null
fi
cmake --build build --target tally-docs >/dev/null
fill README.md ' options' markdown tallyd
fill README.md ' send-options' markdown tally-send
fill docs/tallyd.1 ' options' roff tallyd
fill docs/tallyd.1 ' token-options' roff tallyd-token
if ((status)); then
    die "the option tables are out of date; scripts/docs.sh writes them"
fi
