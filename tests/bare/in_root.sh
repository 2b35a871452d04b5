#!/usr/bin/env bash
# The part of test_bare.sh that runs in the new root.
set -euo pipefail
cd /root/tallyd
log=/root/demo.log

running() {
    readlink /proc/[0-9]*/exe | grep -cE '/(tallyd|redis-server|redis-check-rdb)$' || true
}

# Job control gives the demo a process group, and the SIGINT that a background job would ignore.
set -m
./scripts/run.sh --demo >"$log" 2>&1 &
demo=$!
set +m
until grep -q 'demo succeeded' "$log"; do
    if ! kill -0 "$demo" 2>/dev/null || ((SECONDS > 900)); then
        cat "$log"
        echo "the demo did not succeed"
        exit 1
    fi
    sleep 0.5
done
kill -INT -- "-$demo" # as the terminal does at Ctrl-C
wait "$demo" || { echo "run.sh exits with status $? after Ctrl-C"; exit 1; }
sed -n '/starting Redis/,$p' "$log"
if (($(running) != 0)); then
    echo "run.sh left processes behind, or installing Redis started one"
    exit 1
fi

unset GRPC_PORT HTTP_PORT REDIS_PORT
SECONDS=0
./scripts/test.sh
echo "test.sh took $SECONDS seconds"
