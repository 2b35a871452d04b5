#!/usr/bin/env bash
# Installs with apt what tallyd needs on Debian 12 or later; installs only what is missing.
#
#   scripts/setup.sh [--build | --run | --perf | --test | --bench | --ci]
#
#   --build  to compile tallyd and tally-send; npm only where none is there
#   --run    that, and Redis
#   --perf   that, and perf, for scripts/perf.sh
#   --test   what --run does, and what the tests use, Chromium and Prometheus too (the default)
#   --bench  that, and what it is compared with: gRPC C++, grpc-go; gnuplot, perf and wrk
#   --ci     that, and clang, the checkers, and a container engine

source "$(dirname "$0")/lib.sh"

build=(gcc libc6-dev cmake ninja-build pkgconf protobuf-compiler protobuf-c-compiler
    libnghttp2-dev libprotobuf-c-dev libhiredis-dev libcivetweb-dev libcjson-dev libck-dev zlib1g-dev
    libssl-dev)
# Debian's npm conflicts with a Node.js from elsewhere, which brings its own.
command -v npm >/dev/null || build+=(npm)
run=(redis-server curl)
test=(libcmocka-dev nghttp2-client python3 python3-pytest python3-grpcio python3-protobuf
    python3-redis python3-h2 python3-hpack python3-hyperframe python3-jsonschema valgrind
    chromium chromium-driver python3-selenium fonts-wqy-microhei
    prometheus python3-prometheus-client python3-yaml systemd strace)
bench=(gnuplot-nox linux-perf wrk g++ libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc)
ci=(clang shellcheck cppcheck docker.io docker-compose debootstrap iproute2)

# shellcheck source=/dev/null
release=$([[ -f /etc/os-release ]] && source /etc/os-release && echo "${VERSION_CODENAME:-}") || true
case $release in
bookworm)
    test+=(python3-grpc-tools python3-pkg-resources)
    bench+=(golang-go golang-google-grpc-dev protoc-gen-go-1-3)
    ci+=(libclang-rt-14-dev clang-format-14 clang-tidy-14)
    ;;
trixie)
    test+=(python3-grpc-tools)
    ci+=(libclang-rt-19-dev docker-cli)
    ;;
esac

case ${1:---test} in
--build) wanted=("${build[@]}") ;;
--run) wanted=("${build[@]}" "${run[@]}") ;;
--perf) wanted=("${build[@]}" "${run[@]}" linux-perf python3) ;;
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

# Debian starts the services that it installs; Redis's would take port 6379, Prometheus's 9090. A
# policy-rc.d keeps them stopped while we install; one that is there already is the owner's and stays.
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

# The next boot would start what was kept stopped, and run.sh would count into that Redis.
for service in redis-server prometheus; do
    if [[ " ${missing[*]} " == *" $service "* ]] && command -v systemctl >/dev/null; then
        "${as_root[@]}" systemctl --quiet disable "$service" || true
    fi
done
