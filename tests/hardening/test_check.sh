#!/usr/bin/env bash
# scripts/check-hardening.sh takes a program that has everything, and finds what another one lacks.

source "$(dirname "$0")/../../scripts/lib.sh"

compiler=${1:-cc}
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

# A program with functions called by pointer, an array on the stack, and something to be checked.
{
    printf '#include <stdio.h>\n#include <string.h>\n'
    for i in {1..30}; do
        printf 'static int f%d(int x) { return x * %d; }\n' "$i" "$i"
    done
    printf 'static int (*volatile table[])(int) = {f1'
    printf ', f%d' {2..30}
    printf '};\n'
    printf '#ifdef WRITABLE_CODE\n'
    printf '__asm__(".section .both, \\"awx\\", @progbits\\n.byte 0\\n.text");\n#endif\n'
    printf 'int main(int argc, char **argv)\n{\n    char text[16];\n\n'
    printf '    strcpy(text, argv[0] + argc);\n    return printf("%%s", text) + table[argc](2);\n}\n'
} >"$work/program.c"

compile=(-fPIE -fstack-protector-strong -fcf-protection=full -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
if [[ $(uname -m) == aarch64 ]]; then
    compile[2]=-mbranch-protection=standard
fi
link=(-pie "-Wl,-z,relro,-z,now,-z,noexecstack")

# build OPTION...: behind those that harden, so that they take away.
build() {
    "$compiler" -O2 "${compile[@]}" "${link[@]}" "$@" -o "$work/program" "$work/program.c"
}

# lacks TEXT OPTION...: built with these options, the check must say that.
lacks() {
    local text=$1
    shift
    build "$@"
    if scripts/check-hardening.sh "$work/program" 2>"$work/says"; then
        die "built with $*, and nothing was found"
    fi
    grep -qF -e "$text" "$work/says" || die "built with $*: $(<"$work/says")"
}

build
scripts/check-hardening.sh "$work/program" || die "a program that has everything was refused"
lacks 'not position-independent' -fno-PIE -no-pie
lacks 'read-only after relocation' -Wl,-z,norelro
lacks 'bound when first called' -Wl,-z,lazy
lacks 'stack is executable' -Wl,-z,execstack
lacks 'writable and executable' -DWRITABLE_CODE
lacks 'a path of its own' -Wl,-rpath,/tmp
lacks 'guards its stack' -fno-stack-protector
lacks 'is checked' -U_FORTIFY_SOURCE
case $(uname -m) in
x86_64) lacks 'landing pads' -fcf-protection=none ;;
aarch64) lacks 'landing pads' -mbranch-protection=none ;;
esac
if scripts/check-hardening.sh "$work/none" 2>/dev/null; then
    die "a program that is not there was taken"
fi
step "ok: the check finds what is missing"
