/* Random numbers for tests: the same sequence everywhere, so that a seed names a failure. */
#ifndef TALLYD_TESTS_RANDOM_H
#define TALLYD_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xorshift64*. Start `state` with any seed but 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

/* A number from 0 to bound - 1. */
static inline size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)(random_next(state) >> 32) % bound;
}

#endif
