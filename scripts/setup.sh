#!/usr/bin/env bash
# Installs with apt what tallyd needs on Debian 12 or later; installs only what is missing.
#
#   scripts/setup.sh [--build | --run | --test | --bench | --ci]
#
#   --build  to compile tallyd and tally-send
#   --run    that, and Redis
#   --test   that, and what the tests use (the default)
#   --bench  that, and what it is compared with: gRPC C++, grpc-go; gnuplot and perf
#   --ci     that, and clang, the checkers, and a container engine

source "$(dirname "$0")/lib.sh"

build=(gcc libc6-dev cmake ninja-build pkgconf protobuf-compiler protobuf-c-compiler
    libnghttp2-dev libprotobuf-c-dev libhiredis-dev libcivetweb-dev libcjson-dev libck-dev)
run=(redis-server curl)
test=(libcmocka-dev nghttp2-client python3 python3-pytest python3-grpcio python3-protobuf
    python3-redis python3-h2 valgrind)
bench=(gnuplot-nox linux-perf g++ libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc)
ci=(clang shellcheck docker.io docker-compose debootstrap iproute2)

# shellcheck source=/dev/null
release=$([[ -f /etc/os-release ]] && source /etc/os-release && echo "${VERSION_CODENAME:-}") || true
case $release in
bookworm)
    test+=(python3-grpc-tools python3-pkg-resources)
    bench+=(golang-go golang-google-grpc-dev protoc-gen-go-1-3)
    ci+=(libclang-rt-14-dev clang-format-14)
    ;;
trixie)
    test+=(python3-grpc-tools)
    ci+=(libclang-rt-19-dev docker-cli)
    ;;
esac

case ${1:---test} in
--build) wanted=("${build[@]}") ;;
--run) wanted=("${build[@]}" "${run[@]}") ;;
--test) wanted=("${build[@]}" "${run[@]}" "${test[@]}") ;;
--bench) wanted=("${build[@]}" "${run[@]}" "${test[@]}" "${bench[@]}") ;;
--ci) wanted=("${build[@]}" "${run[@]}" "${test[@]}" "${bench[@]}" "${ci[@]}") ;;
--help | -h) usage && exit ;;
*) die "unknown argument $1; see --help" ;;
esac

if ! command -v apt-get >/dev/null; then
    die "this is not Debian; install what Debian calls ${wanted[*]}"
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
    sed -n 's/^installed //p') || true
read -ra missing <<<"$(printf '%s\n' "${wanted[@]}" | grep -vxF "$installed" | tr '\n' ' ')"
if ((${#missing[@]} == 0)); then
    exit
fi

as_root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null ||
        die "neither root nor sudo here; as root run: scripts/setup.sh ${1:-} (it lacks: ${missing[*]})"
    as_root=(sudo)
fi

# Debian starts the services that it installs, and Redis's would take port 6379. A policy-rc.d
# keeps them stopped while we install; one that is there already is the owner's and stays.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@"
}
step "installing ${missing[*]}"
apt_get update || step "apt-get update failed; going on with the package lists that are here"
log=$(mktemp)
if ! apt_get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    die "apt-get could not install them; its whole output is in $log"
fi
rm -f "$log"

# The next boot would start the service that was kept stopped, and run.sh would count into that.
if [[ " ${missing[*]} " == *" redis-server "* ]] && command -v systemctl >/dev/null; then
    "${as_root[@]}" systemctl --quiet disable redis-server || true
fi
