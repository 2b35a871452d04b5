#!/usr/bin/env bash
# Shows where tallyd spends its time: perf records it under load, and a flame graph is drawn.
#
#   scripts/perf.sh [--seconds S] [--out DIRECTORY] [tally-send's options]
#
#   --seconds  how long to record; 10 by default
#   --out      where perf.data, the folded stacks.txt, flame.svg and logs go; build/perf by default
#
# For example: WORKERS=1 scripts/perf.sh --devices 1000000
#
# tallyd gets a Redis of its own that keeps nothing, and free ports; its other options come from the
# environment variables that build/tallyd --help names. The load is endless unless --n is given.

source "$(dirname "$0")/lib.sh"

seconds=10
out=build/perf
load=()
while (($# > 0)); do
    case $1 in
    --help | -h) usage && exit ;;
    --seconds | --out | --target)
        (($# > 1)) || die "$1 needs a value"
        set -- "$1=$2" "${@:3}"
        continue
        ;;
    --seconds=*)
        seconds=${1#*=}
        [[ $seconds =~ ^[1-9][0-9]{0,3}$ ]] || die "--seconds takes a whole number from 1 to 9999"
        ;;
    --out=*) out=${1#*=} ;;
    --target=*) die "--target makes no sense here: the server is this script's own" ;;
    *) load+=("$1") ;;
    esac
    shift
done

# Unwinding by frame pointers would end in nghttp2, which Debian builds without them. Where there is
# no counter of cycles, as in most virtual machines, perf itself takes cpu-clock instead.
record=(perf record --quiet --no-buildid-cache --event cycles --freq 499 --call-graph 'dwarf,8192')

need_tools() {
    local said
    command -v perf >/dev/null || die "perf is not here; scripts/setup.sh --perf installs it"
    [[ -x /usr/bin/python3 ]] || die "/usr/bin/python3 is not here; scripts/setup.sh --perf installs it"
    if ! said=$("${record[@]}" --output /dev/null -- true 2>&1); then
        said=$(grep -m 1 . <<<"$said" || true)
        die "perf is not permitted here; root may run sysctl kernel.perf_event_paranoid=1 (it is" \
            "$(cat /proc/sys/kernel/perf_event_paranoid), and perf said: ${said:-nothing})"
    fi
}

sender_pid=
tallyd_pid=
redis_pid=

stop_all() {
    trap '' INT TERM
    for pid in $sender_pid $tallyd_pid $redis_pid; do
        if kill -TERM "$pid" 2>/dev/null; then
            wait "$pid" || true
        fi
    done
}

start_servers() {
    local grpc_port http_port redis_port
    read -r grpc_port http_port redis_port < <(free_ports 3)
    step "starting tallyd and a Redis for it"
    redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$out" \
        --logfile redis.log &
    redis_pid=$!
    within 10 redis-cli -p "$redis_port" ping >"$out/ping.log" 2>&1 ||
        die "Redis did not start; see $out/redis.log"
    unset "${!REDIS_@}" # what they say is about another Redis
    build/tallyd --bind 127.0.0.1 --grpc-port "$grpc_port" --http-port "$http_port" \
        --redis-host 127.0.0.1 --redis-port "$redis_port" 2>"$out/tallyd.log" &
    tallyd_pid=$!
    within 10 curl -fs --noproxy '*' -o /dev/null "http://127.0.0.1:$http_port/readyz" ||
        die "tallyd did not start; see $out/tallyd.log"
    target=127.0.0.1:$grpc_port
}

# An endless load still ends its streams now and then, so that Acks are part of the picture.
start_load() {
    local endless=(--n 1000000000000 --packets-per-stream 1000000)
    load=("${endless[@]}" --devices 1000 --connections 4 "${load[@]}")
    step "load: tally-send ${load[*]}"
    build/tally-send --target "$target" "${load[@]}" >"$out/tally-send.log" 2>&1 &
    sender_pid=$!
    sleep 0.5
    kill -0 "$sender_pid" 2>/dev/null && return
    stop_load
    die "the load ended before the recording began; it needs a larger --n"
}

# A load that failed is an error; one that came to its end is not.
stop_load() {
    local status=0
    kill -INT "$sender_pid" 2>/dev/null || step "the load ended before the recording did"
    wait "$sender_pid" || status=$?
    sender_pid=
    ((status == 0 || status == 130)) || die "tally-send failed: $(tail -n 1 "$out/tally-send.log")"
    sed -n 's|^packets/s|      packets/s|p' "$out/tally-send.log"
}

draw() {
    local event
    event=$(perf evlist --input "$out/perf.data" | sed -n 1p)
    step "drawing"
    perf script --input "$out/perf.data" --fields comm,ip,sym,dso 2>"$out/perf-script.log" |
        tests/bench/flame_graph.py --stacks "$out/stacks.txt" --svg "$out/flame.svg" \
            --title "tallyd, $seconds s of $event" --subtitle "tally-send ${load[*]}"
    step "wrote $out/flame.svg (open it in a browser), stacks.txt and perf.data"
}

need_tools
scripts/setup.sh --run
build_programs
mkdir -p "$out"
out=$(cd "$out" && pwd)
trap stop_all EXIT
start_servers
start_load
step "recording for $seconds s"
"${record[@]}" --output "$out/perf.data" --pid "$tallyd_pid" -- sleep "$seconds" ||
    die "perf could not record tallyd"
stop_load
draw
