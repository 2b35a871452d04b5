# shellcheck shell=bash
# What the scripts share. Source it; it leaves the shell in the project's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Ninja for a new build directory; one that exists keeps the generator it was made with.
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}

step() {
    printf '==> %s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# skip TEST REASON: ends a test that cannot run here, so that neither ctest nor test.sh hides it.
skip() {
    step "SKIPPED $1: $2"
    if [[ -n ${TALLYD_BUILD_DIR:-} ]]; then
        printf '%s: %s\n' "$1" "$2" >>"$TALLYD_BUILD_DIR/skips.txt"
    fi
    exit 77
}

# within SECONDS COMMAND...: repeats the command until it succeeds, for so long at most.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

# The text of a script's opening comment, for its --help.
usage() {
    sed -n '2,/^$/ { s/^# \{0,1\}//; p; }' "$0"
}

# build_programs: tallyd and tally-send in build/, without the tests and what those need.
build_programs() {
    local home=CMAKE_HOME_DIRECTORY:INTERNAL=$PWD
    if [[ -f build/CMakeCache.txt ]] && ! grep -qxF "$home" build/CMakeCache.txt; then
        die "build/ was made for another directory; remove build/CMakeCache.txt and build/CMakeFiles"
    fi
    step "building tallyd and tally-send in build/"
    if [[ ! -f build/CMakeCache.txt ]]; then
        cmake -S . -B build -DBUILD_TESTING=OFF >/dev/null
    fi
    cmake --build build --target tallyd tally-send
}

# free_ports COUNT: that many TCP ports of 127.0.0.1 that nobody listens on at this moment.
free_ports() {
    /usr/bin/python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}
