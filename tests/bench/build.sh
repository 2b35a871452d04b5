#!/usr/bin/env bash
# Builds the programs of the benchmark in build/bench-bin, and says what it had to leave out.
#
#   tests/bench/build.sh
#
# What is left out, and why, also stands in build/bench-bin/left-out.txt, a line each.

source "$(dirname "$0")/../../scripts/lib.sh"

case ${1:-} in
--help | -h) usage && exit ;;
?*) die "unknown argument $1; see --help" ;;
esac

bin=build/bench-bin
step "building the benchmark's programs in $bin"
cmake -S . -B build -DBENCH=ON >/dev/null
cmake --build build --target bench_programs
cp "$bin/left-out-cmake.txt" "$bin/left-out.txt"

status=0
tests/bench/peers/grpc-go/build.sh "$bin" || status=$?
if ((status == 77)); then
    echo "the peer in Go: it needs golang-google-grpc-dev and protoc-gen-go-1-3, or Go's modules" \
        >>"$bin/left-out.txt"
elif ((status != 0)); then
    die "the peer in Go: status $status"
fi

while read -r line; do
    step "LEFT OUT: $line"
done <"$bin/left-out.txt"
