#!/usr/bin/env bash
# Sends packets to a running tallyd and waits for their Acks; builds tally-send if it is missing.
#
#   scripts/send_once.sh --n 10000
#
# All arguments go to tally-send; scripts/send_once.sh --help lists them.

source "$(dirname "$0")/lib.sh"

if [[ ! -x build/tally-send ]]; then
    scripts/setup.sh --build
    build_programs
fi
exec build/tally-send "$@"
