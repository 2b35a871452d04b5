#!/bin/sh
# Makes the passwords of Redis's users, once, and Redis's ACL file from the users.acl beside this
# script. A password is 256 random bits in hexadecimal; the ACL file holds hashes of them only.
#
#   make-users.sh [--new] REDIS_DIRECTORY TALLYD_DIRECTORY
#
#   REDIS_DIRECTORY   gets users.acl, and admin-password for whoever administrates that Redis
#   TALLYD_DIRECTORY  gets redis-password, for --redis-password-file
#   --new             replaces redis-password; "ACL LOAD" makes Redis take it, and tallyd logs in
#                     with it at its next connect
#
# All files can be read by everyone who may enter the directories: that should be nobody else. It
# runs in a container without any right but to write there, so it needs nothing but a POSIX shell,
# head, cut, tr, sed, mv and sha256sum.
set -eu

new=false
if [ "${1:-}" = --new ]; then
    new=true
    shift
fi
if [ $# -ne 2 ]; then
    echo "usage: make-users.sh [--new] REDIS_DIRECTORY TALLYD_DIRECTORY" >&2
    exit 2
fi
for directory in "$1" "$2"; do
    if ! [ -d "$directory" ] || ! [ -w "$directory" ]; then
        echo "make-users.sh: $directory is no directory that can be written to; nothing was made" >&2
        exit 1
    fi
done
admin=$1/admin-password
tallyd=$2/redis-password
umask 022

hash_of() {
    sha256sum | cut -c 1-64
}

# Whole or not at all, so that nobody reads half of a password.
make_password() {
    head -c 32 /dev/urandom | hash_of >"$1.new"
    mv "$1.new" "$1"
}

[ -s "$admin" ] || make_password "$admin"
if $new || ! [ -s "$tallyd" ]; then
    make_password "$tallyd"
fi
sed -e "s/TALLYD_PASSWORD_SHA256/$(head -n 1 "$tallyd" | tr -d '\n' | hash_of)/" \
    -e "s/ADMIN_PASSWORD_SHA256/$(head -n 1 "$admin" | tr -d '\n' | hash_of)/" \
    "$(dirname "$0")/users.acl" >"$1/users.acl.new"
mv "$1/users.acl.new" "$1/users.acl"
