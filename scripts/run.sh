#!/usr/bin/env bash
# Builds tallyd and runs it in the foreground, with a Redis of its own if none answers.
#
#   scripts/run.sh [--demo] [tallyd's options]
#
#   --demo  also send 10,000 packets, show the head of /metrics, and go on serving
#
# Ctrl-C stops what this script started, and nothing else: tallyd commits what it counted, then
# its Redis stops. The counts stay in build/redis. The environment variables GRPC_PORT, HTTP_PORT,
# REDIS_HOST, REDIS_PORT and the others of `build/tallyd --help` count here too.

source "$(dirname "$0")/lib.sh"

demo=false
options=()
while (($# > 0)); do
    case $1 in
    --help | -h) usage && exit ;;
    --demo) demo=true ;;
    # What this script needs to know itself goes on to tallyd by environment.
    --bind=* | --grpc-port=* | --http-port=* | --redis-host=* | --redis-port=* | --redis-socket=* | \
        --tls-cert=* | --token-file=*)
        name=${1%%=*}
        name=${name#--}
        name=${name^^}
        export "${name//-/_}=${1#*=}"
        ;;
    --bind | --grpc-port | --http-port | --redis-host | --redis-port | --redis-socket | \
        --tls-cert | --token-file)
        (($# > 1)) || die "$1 needs a value"
        set -- "$1=$2" "${@:3}"
        continue
        ;;
    --redis-tls) export REDIS_TLS=true ;;
    *) options+=("$1") ;;
    esac
    shift
done

if $demo && [[ -n ${TLS_CERT:-}${TOKEN_FILE:-} ]]; then
    die "--demo sends without TLS and without a token; leave it out, and send with build/tally-send"
fi

# A root without /etc/hosts, as debootstrap makes it, does not know what localhost is.
if [[ ${REDIS_HOST:-localhost} == localhost ]] && ! getent hosts localhost >/dev/null; then
    export REDIS_HOST=127.0.0.1
fi
redis_host=${REDIS_HOST:-localhost}
redis_port=${REDIS_PORT:-6379}
case ${BIND:-127.0.0.1} in
0.0.0.0 | ::) host=127.0.0.1 ;; # civetweb may be built without IPv6
*:*) host="[$BIND]" ;;
*) host=${BIND:-127.0.0.1} ;;
esac
grpc=$host:${GRPC_PORT:-50051}
http=http${TLS_CERT:+s}://$host:${HTTP_PORT:-8000}

redis_pid=
tallyd_pid=

stop_all() {
    trap '' INT TERM
    for pid in $tallyd_pid $redis_pid; do
        if kill -TERM "$pid" 2>/dev/null; then
            wait "$pid" || true
        fi
    done
}

redis_answers() {
    timeout 2 redis-cli -h "$redis_host" -p "$redis_port" ping 2>&1 | grep -qE 'PONG|NOAUTH|LOADING'
}

# A kill in the middle of a write can leave half a transaction at the end of the append-only file.
# Redis drops the torn command when it loads the file, but not the MULTI before it: the load after
# that would execute that half together with what follows. The check drops it whole.
repair_redis() {
    local manifest=build/redis/appendonlydir/appendonly.aof.manifest
    if [[ -f $manifest ]]; then
        redis-check-aof --fix "$manifest" <<<y >/dev/null || die "cannot repair $manifest"
    fi
}

# Redis and tallyd get sessions of their own: Ctrl-C reaches this script alone, which sets the order.
start_redis() {
    step "starting Redis on port $redis_port (its data and log: build/redis)"
    mkdir -p build/redis
    repair_redis
    setsid redis-server --port "$redis_port" --bind 127.0.0.1 -::1 --dir build/redis \
        --appendonly yes --appendfsync always --save '' --logfile redis.log </dev/null &
    redis_pid=$!
    for _ in {1..100}; do
        redis_answers && return
        kill -0 "$redis_pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 5 build/redis/redis.log >&2
    die "Redis did not start"
}

need_redis() {
    if [[ -n ${REDIS_SOCKET:-} ]]; then
        step "using Redis at $REDIS_SOCKET"
    elif [[ ${REDIS_TLS:-false} != false ]]; then
        step "using Redis at $redis_host:$redis_port, by TLS"
    elif redis_answers; then
        step "using the Redis that answers at $redis_host:$redis_port"
    elif [[ $redis_host =~ ^(localhost|127\..*|::1)$ ]]; then
        start_redis
    else
        step "no Redis answers at $redis_host:$redis_port; tallyd waits for it"
    fi
}

start_tallyd() {
    step "starting tallyd"
    setsid build/tallyd "${options[@]}" </dev/null &
    tallyd_pid=$!
    trap 'interrupted=true; kill -TERM "$tallyd_pid" 2>/dev/null || true' INT TERM
    for _ in {1..100}; do
        build/tallyd --healthcheck "${options[@]}" 2>/dev/null && break
        kill -0 "$tallyd_pid" 2>/dev/null || return 0
        sleep 0.1
    done
    sleep 0.2 # another tallyd on these ports may have answered: is ours still there?
    kill -0 "$tallyd_pid" 2>/dev/null || return 0
    step "serving gRPC on $grpc, HTTP on $http; Ctrl-C stops"
    printf '      counts        curl %s/metrics\n' "$http"
    printf '      send packets  scripts/send_once.sh --target %s --n 10000%s\n' "$grpc" \
        "${TLS_CERT:+ --tls}${TOKEN_FILE:+ --token-file FILE}"
}

run_demo() {
    within 10 curl -fs --noproxy '*' -o /dev/null "$http/readyz" || return
    step "demo: sending 10,000 packets"
    build/tally-send --target "$grpc" --n 10000 || return
    step "demo: the head of $http/metrics"
    curl -fsS --noproxy '*' "$http/metrics" | sed -n '1,5p' || return
    step "demo succeeded; still serving, Ctrl-C stops"
}

scripts/setup.sh --run
build_programs
trap stop_all EXIT
need_redis
start_tallyd
if $demo && kill -0 "$tallyd_pid" 2>/dev/null; then
    run_demo || die "the demo FAILED"
fi

# A signal ends `wait` early; the next one then gets the status that tallyd exits with.
interrupted=true
while $interrupted; do
    interrupted=false
    status=0
    wait "$tallyd_pid" || status=$?
done
tallyd_pid=
step "tallyd exited with status $status"
exit "$status"
