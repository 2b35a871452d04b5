#!/usr/bin/env bash
# Measures tallyd beside the limits of this machine and what one would use instead: one table, and
# results.json with charts in build/bench. docs/benchmarks.md explains the rows and the method.
#
#   scripts/bench.sh [--quick] [ROW...]    all rows (15 minutes at most), or only these
#   scripts/bench.sh --list                the names of the rows
#   scripts/bench.sh --document            puts the tables of the last run into docs/benchmarks.md
#
#   --quick  the headline rows, in a few minutes once everything is installed and built
#
# A ROW may be a pattern: 'tallyd-*'. Nothing else should run on the machine meanwhile.

source "$(dirname "$0")/lib.sh"

python=(/usr/bin/python3 -B)
export TALLYD_BUILD_DIR=$PWD/build PYTHONPATH=tests/integration
case ${1:-} in
--help | -h) usage && exit ;;
--list | --document)
    /usr/bin/python3 -c 'import grpc, h2, redis' 2>/dev/null ||
        die "what the benchmark is made of is not installed yet; scripts/setup.sh --bench does that"
    ;;&
--list) exec "${python[@]}" tests/bench/run.py --list ;;
--document) exec "${python[@]}" tests/bench/document.py ;;
esac

scripts/setup.sh --bench
build_programs
tests/bench/build.sh
step "measuring"
exec "${python[@]}" tests/bench/run.py "$@"
