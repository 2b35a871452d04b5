#!/usr/bin/env bash
# Builds the peer in Go, from what the machine has.
#
#   tests/bench/peers/grpc-go/build.sh DIRECTORY
#
# DIRECTORY gets peer_grpc_go; what is generated lies in DIRECTORY/go. Debian's packages are tried
# first (golang-go, golang-google-grpc-dev, protoc-gen-go-1-3: offline, in GOPATH mode), then the
# modules that go.mod pins. Exits 77 and says why when neither can be had.

source "$(dirname "$0")/../../../../scripts/lib.sh"

case ${1:---help} in
--help | -h) usage && exit ;;
esac
mkdir -p "$1/go"
out=$(cd "$1" && pwd)
here=tests/bench/peers/grpc-go
peer=$out/go/src/peer # under a GOPATH; a module of the same name otherwise

generate() {
    protoc --proto_path=proto --go_out="$1:$peer/telemetry" "${@:2}" telemetry.proto
}

# One plug-in made messages and service in that version.
build_debian() (
    export GO111MODULE=off GOFLAGS='' GOPATH=$out/go:/usr/share/gocode
    generate plugins=grpc,paths=source_relative &&
        go build -buildvcs=false -o "$out/peer_grpc_go" peer
)

build_modules() (
    options=paths=source_relative,Mtelemetry.proto=peer/telemetry
    cp "$here"/go.{mod,sum} "$peer" &&
        go build -C "$peer" -o "$out/go/bin/" google.golang.org/protobuf/cmd/protoc-gen-go \
            google.golang.org/grpc/cmd/protoc-gen-go-grpc &&
        PATH=$out/go/bin:$PATH generate "$options" --go-grpc_out="$options:$peer/telemetry" &&
        go build -C "$peer" -buildvcs=false -o "$out/peer_grpc_go" .
)

# attempt WHAT FUNCTION: each begins with a clean directory; the log tells why one failed.
attempt() {
    rm -rf "$peer"
    mkdir -p "$peer/telemetry"
    cp "$here/main.go" "$peer"
    step "building the peer in Go with $1"
    "$2" >"$out/go/build.log" 2>&1 && exit
    step "that failed: $(tail -n 1 "$out/go/build.log")"
}

# Its installer puts Go there, and not into PATH.
PATH=$PATH:/usr/local/go/bin
rm -f "$out/peer_grpc_go"
for tool in go protoc; do
    command -v "$tool" >/dev/null || skip peer_grpc_go "there is no $tool here"
done
if [[ -d /usr/share/gocode/src/google.golang.org/grpc ]]; then
    attempt "Debian's packages" build_debian
fi
attempt "the modules of go.mod" build_modules
skip peer_grpc_go "neither Debian's Go packages nor Go modules can be had here"
