#!/usr/bin/env bash
# Makes a minimal Debian 12 in a new directory, which gets its packages from where this machine
# gets them (mirror, proxy, and what else apt is told about fetching) and trusts the certificate
# authorities that were added to this machine.
#
#   tests/bare/make_root.sh DIRECTORY [PACKAGE...]

set -euo pipefail

root=$1
shift
packages=ca-certificates
for package; do
    packages+=,$package
done

# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -m1 '/debian/$') || mirror=http://deb.debian.org/debian/
debootstrap --variant=minbase --include="$packages" bookworm "$root" "$mirror"
apt-config dump | grep -iE '^Acquire::([a-z:]*proxy|check-|retries)' \
    >"$root/etc/apt/apt.conf.d/90machine" || true
cp /etc/resolv.conf "$root/etc/resolv.conf"
echo '127.0.0.1 localhost' >"$root/etc/hosts" # Debian's installer writes it, debootstrap does not
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates
fi
