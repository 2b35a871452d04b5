#!/usr/bin/env bash
# What a stranger does: a new Debian 12 with nothing but git and ca-certificates, a clone of what
# is committed, ./scripts/run.sh --demo, ./scripts/test.sh. Exits 77 where no such root can be made.

source "$(dirname "$0")/../../scripts/lib.sh"

((EUID == 0)) || skip machine/bare "only root can make a Debian root"
command -v debootstrap >/dev/null || scripts/setup.sh --ci ||
    skip machine/bare "debootstrap cannot be installed"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM
step "making a bare Debian 12"
tests/bare/make_root.sh "$work/root" git >"$work/log" 2>&1 ||
    skip machine/bare "debootstrap fails: $(tail -n 1 "$work/log")"
git clone -q --no-hardlinks . "$work/root/root/tallyd"

# The network is this machine's, since apt needs it; mounts and processes end with the namespaces.
read -r grpc_port http_port redis_port < <(free_ports 3)
unshare --mount --pid --fork --kill-child --root="$work/root" --mount-proc \
    /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    GRPC_PORT="$grpc_port" HTTP_PORT="$http_port" REDIS_PORT="$redis_port" \
    bash /root/tallyd/tests/bare/in_root.sh </dev/null
step "ok: the demo and the tests pass on a bare Debian 12"
