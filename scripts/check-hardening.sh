#!/usr/bin/env bash
# Checks that programs were built as cmake/hardening.cmake says, from what stands in them.
#
#   scripts/check-hardening.sh PROGRAM...
#
# Each must be position-independent, with all relocations done and read-only before it runs, no memory
# both writable and executable, stack protectors, the C library's checked functions, and landing pads
# for indirect jumps where the processor knows them. Says what is missing; exits 1 then. Whether large
# stack frames are probed (-fstack-clash-protection) does not show.

source "$(dirname "$0")/lib.sh"

case ${1:-} in
--help | -h) usage && exit ;;
'') die "no program named; see --help" ;;
esac

failed=0

# want PROGRAM WHAT COMMAND...: says what is missing when the command fails.
want() {
    local program=$1 what=$2
    shift 2
    if ! "$@"; then
        printf '%s: %s\n' "$program" "$what" >&2
        failed=1
    fi
}

# Whether a text has a line like that.
has() {
    grep -qE -e "$2" <<<"$1"
}

hasnt() {
    ! has "$@"
}

# landing_pads PROGRAM: whether its functions begin with them, wherever some processor of its kind
# knows such. (The note that says so of a whole program is lost when one object lacks it, and those
# of the C library at its start do.) 20: each of ours has more functions that are called by pointer.
landing_pads() {
    local pad
    case $(readelf -hW "$1" | sed -n 's/^ *Machine: *//p') in
    *X86-64*) pad=endbr64 ;;
    AArch64) pad='bti|paciasp' ;;
    *) return 0 ;;
    esac
    (($(objdump -d --no-show-raw-insn "$1" | grep -cE "$pad") >= 20))
}

for program; do
    [[ -f $program ]] || die "$program is not there"
    header=$(readelf -hW "$program")
    segments=$(readelf -lW "$program")
    dynamic=$(readelf -dW "$program")
    symbols=$(readelf --dyn-syms -W "$program")

    want "$program" "it is not position-independent (-pie)" has "$header" 'Type: +DYN'
    want "$program" "it is a library, not a program (-pie)" has "$dynamic" 'FLAGS_1.*PIE'
    want "$program" "no part is read-only after relocation (-z relro)" has "$segments" 'GNU_RELRO'
    want "$program" "functions are bound when first called (-z now)" \
        has "$dynamic" 'FLAGS.*NOW'
    want "$program" "its stack is executable (-z noexecstack)" \
        has "$segments" 'GNU_STACK.* RW +0x'
    want "$program" "a segment is writable and executable" hasnt "$segments" 'LOAD.* RWE '
    want "$program" "code is relocated (TEXTREL)" hasnt "$dynamic" 'TEXTREL'
    want "$program" "it looks for libraries in a path of its own" hasnt "$dynamic" 'R(UN)?PATH'
    want "$program" "no function guards its stack (-fstack-protector-strong)" \
        has "$symbols" '__stack_chk_(fail|guard)'
    want "$program" "no function of the C library is checked (-D_FORTIFY_SOURCE)" \
        has "$symbols" '__(v?s?n?printf|memcpy|strcpy|v?asprintf|v?fprintf|read|recv)_chk'
    want "$program" "indirect jumps have no landing pads (-fcf-protection, -mbranch-protection)" \
        landing_pads "$program"
done
exit "$failed"
