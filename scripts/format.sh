#!/usr/bin/env bash
# Formats every C file with the one pinned clang-format, whose versions differ in their output.
#
#   scripts/format.sh [--check]
#
#   --check  change nothing; fail when a file is not formatted. Exits 77 without clang-format-14.

source "$(dirname "$0")/lib.sh"

action=(-i)
case ${1:-} in
--check) action=(--dry-run --Werror) ;;
--help | -h) usage && exit ;;
?*) die "unknown argument $1; see --help" ;;
esac

if ! command -v clang-format-14 >/dev/null; then
    step "SKIPPED: there is no clang-format-14 here (Debian 12 has it: scripts/setup.sh --ci)"
    exit 77
fi
find . -path './build*' -prune -o -name '*.[ch]' -print0 | xargs -0 clang-format-14 "${action[@]}"
