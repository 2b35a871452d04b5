#!/usr/bin/env bash
# Builds the image, and runs it with docker-compose.yml on a real engine: the one that answers,
# or else one that this test starts for itself. Exits 77 where neither can be had.

source "$(dirname "$0")/../../scripts/lib.sh"

work=$(mktemp -d)
engine_pid=
read -r GRPC_PORT HTTP_PORT PROMETHEUS_PORT < <(free_ports 3)
export GRPC_PORT HTTP_PORT PROMETHEUS_PORT COMPOSE_PROJECT_NAME=tallyd-test-$$
http=http://127.0.0.1:$HTTP_PORT
prometheus_image=$(sed -n 's/^ *image: \(prom\/prometheus:.*\)/\1/p' docker-compose.yml)

compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    else
        docker-compose "$@"
    fi
}

clean_up() {
    compose --profile monitoring down --volumes --timeout 10 >/dev/null 2>&1 || true
    if [[ $engine_pid ]]; then
        kill -TERM "$engine_pid" 2>/dev/null || true
        wait "$engine_pid" || true
        # The engine leaves its bridge and its rules behind.
        [[ -s $work/bridge ]] || ip link delete docker0 2>/dev/null || true
        iptables-restore <"$work/iptables" || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

engine_answers() {
    timeout 10 docker info >/dev/null 2>&1
}

has_image() {
    docker image inspect "$1" >/dev/null 2>&1 || timeout 120 docker pull -q "$1" >/dev/null 2>&1
}

# An engine of our own, with its own data: what is done there touches nobody's images.
start_engine() {
    ((EUID == 0)) || skip machine/container "no usable Docker engine answers, and only root can start one"
    scripts/setup.sh --ci || skip machine/container "the Docker engine's packages cannot be installed"
    ip -o link show docker0 >"$work/bridge" 2>/dev/null || true
    iptables-save >"$work/iptables" || skip machine/container "iptables does not work here"
    export DOCKER_HOST=unix://$work/docker.sock
    setpriv --pdeathsig TERM setsid dockerd --host "$DOCKER_HOST" --data-root "$work/data" \
        --exec-root "$work/exec" --pidfile "$work/pid" >"$work/dockerd.log" 2>&1 </dev/null &
    engine_pid=$!
    within 30 engine_answers ||
        skip machine/container "dockerd does not start: $(tail -n 1 "$work/dockerd.log")"
}

# Stand-ins for the base images, from Debian's packages: the engine needs no registry for them.
make_base_images() {
    step "making the base images from Debian packages"
    tests/bare/make_root.sh "$work/root" >"$work/root.log" 2>&1 ||
        skip machine/container "debootstrap fails: $(tail -n 1 "$work/root.log")"
    tar -C "$work/root" -c . | docker import - debian:12-slim >/dev/null
    # Like the official image: a user redis, whose data are in /data.
    docker build -q -t redis:7-alpine - <<'DOCKERFILE'
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends redis-server
RUN mkdir -p /data && chown redis:redis /data
WORKDIR /data
VOLUME /data
CMD ["redis-server"]
DOCKERFILE
    # Like the official image: a user, and a directory of his for the data.
    docker build -q -t "$prometheus_image" - <<'DOCKERFILE'
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends prometheus
RUN mkdir /prometheus && chown nobody:nogroup /prometheus
USER nobody
WORKDIR /prometheus
VOLUME /prometheus
ENTRYPOINT ["prometheus"]
DOCKERFILE
}

get() {
    curl -fsS --noproxy '*' --max-time 5 "$http$1" 2>/dev/null
}

status_is() {
    [[ $(curl -s --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "$http$1") == "$2" ]]
}

counts_add_up_to() {
    get /metrics | /usr/bin/python3 -c '
import json, sys
counts = [row["count"] for row in json.load(sys.stdin)]
sys.exit(sum(counts) != int(sys.argv[1]))' "$1"
}

# container SERVICE: its id, also when it has stopped.
container() {
    compose ps -aq "$1" 2>/dev/null || compose ps -q "$1"
}

# state FIELD [SERVICE]
state() {
    docker inspect -f "{{$1}}" "$(container "${2:-tallyd}")"
}

# A process without root and rights, which can gain none, whose calls the engine filters.
is_closed() {
    local status
    status=$(cat "/proc/$(state .State.Pid "$1")/status") || return
    grep -qE '^Uid:[[:space:]]+[1-9][0-9]*[[:space:]]+[1-9][0-9]*[[:space:]]' <<<"$status" &&
        (($(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):[[:space:]]+0{16}$' <<<"$status") == 5)) &&
        grep -qE '^NoNewPrivs:[[:space:]]+1$' <<<"$status" &&
        grep -qE '^Seccomp:[[:space:]]+2$' <<<"$status"
}

# By what the kernel says of its mounts, since there is no shell in the image to try it with.
has_read_only_root() {
    awk '$5 == "/" { found = $6 ~ /^ro(,|$)/ } END { exit !found }' \
        "/proc/$(state .State.Pid "$1")/mountinfo"
}

redis_as_admin() {
    compose exec -T redis sh -c "REDISCLI_AUTH=\$(cat /redis-users/admin-password) redis-cli -e --user admin $*"
}

redis_refuses_strangers() {
    compose exec -T redis redis-cli HGETALL device_metrics 2>&1 | grep -q NOAUTH
}

redis_has_no_port_here() {
    [[ -z $(docker port "$(container redis)") ]]
}

password_is_nowhere() {
    local password
    password=$(redis_password) && [[ ${#password} == 64 ]] &&
        ! tr '\0' '\n' <"/proc/$(state .State.Pid tallyd)/environ" | grep -q "$password" &&
        ! tr '\0' '\n' <"/proc/$(state .State.Pid tallyd)/cmdline" | grep -q "$password" &&
        ! compose logs 2>&1 | grep -q "$password" &&
        ! docker inspect "$(container tallyd)" "$(container redis)" | grep -q "$password"
}

redis_password() {
    docker cp "$(container tallyd):/tallyd-login/redis-password" - | tar -xO
}

has_openssl_by_both_names() {
    docker export "$(container tallyd)" | tar -t >"$work/files"
    (($(grep -cE 'lib(ssl|crypto)\.so(\.3)?$' "$work/files") == 4))
}

is_healthy() {
    [[ $(state .State.Health.Status) == healthy ]]
}

prometheus_sees_tallyd() {
    curl -fsS --noproxy '*' --max-time 5 -G "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query" \
        --data-urlencode 'query=tallyd_packets_committed_total == 20000' 2>/dev/null |
        grep -q '"instance":"tallyd:8000"'
}

check() {
    local what=$1
    shift
    "$@" || {
        compose logs --tail 50 || true
        die "NOT so: $what"
    }
    step "ok: $what"
}

if ! { engine_answers && has_image debian:12-slim && has_image redis:7-alpine &&
    has_image "$prometheus_image"; }; then
    start_engine
    make_base_images
fi
tally_send=${TALLYD_BUILD_DIR:-build}/tally-send
if [[ ! -x $tally_send ]]; then
    build_programs
    tally_send=build/tally-send
fi

docs_ui=ON
if ! timeout 60 npm view uplot version >"$work/npm.log" 2>&1; then
    step "npm cannot reach its registry: the image is built without Swagger UI"
    docs_ui=OFF
fi
step "building the image"
compose build --build-arg DOCS_UI=$docs_ui >"$work/build.log" 2>&1 || {
    tail -n 30 "$work/build.log"
    die "the image does not build"
}
size=$(docker image inspect -f '{{.Size}}' tallyd)
check "the image has at most 25 MB ($size bytes)" test "$size" -le 25000000
check "it runs as a user, not as root" \
    grep -qE '^[1-9][0-9]*' <(docker image inspect -f '{{.Config.User}}' tallyd)

step "starting the containers"
compose up -d --no-build
check "HTTP answers within 3 seconds" within 3 status_is /healthz 200
check "tallyd finds Redis by its name" within 10 status_is /readyz 200
check "tally-send streams 10,000 packets to the published port" \
    "$tally_send" --target "127.0.0.1:$GRPC_PORT" --n 10000
check "the counts in /metrics add up to them" counts_add_up_to 10000
check "the health check passes" within 30 is_healthy
check "the page is there" status_is / 200
if [[ $docs_ui == ON ]]; then
    check "Swagger UI is there" status_is /docs/swagger-ui-bundle.js 200
fi

for service in tallyd redis; do
    check "$service has no root, no rights, and gains none; its calls are filtered" is_closed $service
    check "$service cannot write to its root" has_read_only_root $service
done
check "the image has OpenSSL, by both names" has_openssl_by_both_names
check "Redis is not published" redis_has_no_port_here
check "Redis answers nobody who does not log in" redis_refuses_strangers
check "tallyd did nothing there that it may not" grep -qE '^$' <(redis_as_admin ACL LOG)
check "the password is in no environment, command line, log or configuration" password_is_nowhere
check "a new password is made" compose run --rm redis-users --new /redis-users /tallyd-login
check "Redis takes it" redis_as_admin ACL LOAD
check "and tallyd: 10,000 more packets" \
    "$tally_send" --target "127.0.0.1:$GRPC_PORT" --n 10000
check "which are counted" counts_add_up_to 20000

# Grafana cannot be made from Debian's packages; its files are test_deploy.py's.
compose --profile monitoring up -d --no-build prometheus
check "Prometheus sees tallyd by its name" within 30 prometheus_sees_tallyd

check "Prometheus has no root and no rights" is_closed prometheus
check "Prometheus cannot write to its root" has_read_only_root prometheus

compose stop redis
check "without Redis it is not ready" within 10 status_is /readyz 503
check "but alive" status_is /healthz 200
compose start redis
check "and ready again when Redis is back" within 10 status_is /readyz 200

compose stop
check "tallyd stops with exit status 0" test "$(state .State.ExitCode)" = 0
compose up -d --no-build
check "tallyd is ready after a restart" within 10 status_is /readyz 200
check "the counts are still there" counts_add_up_to 20000
