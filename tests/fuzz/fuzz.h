/* What the fuzz targets share: libFuzzer's entry point, and how a target says what it found. */
#ifndef TALLYD_TESTS_FUZZ_H
#define TALLYD_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Called by: libFuzzer, or replay.c. Returns 0; aborts when the code under test is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The length of the next part when an input of `left` bytes is cut into parts as `pattern` says:
 * its two halves give two lengths of up to 15 bytes in turn; a half of 0 takes all that is left. */
static inline size_t fuzz_part_bytes(uint8_t pattern, unsigned turn, size_t left)
{
    size_t bytes = turn % 2 ? pattern >> 4 : pattern & 15;

    return bytes == 0 || bytes > left ? left : bytes;
}

#endif
