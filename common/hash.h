/*
 * The hash of a device id: 64 bits, keyed, for tables that live as long as the process.
 *
 * It folds 128-bit products, as wyhash (Wang Yi, 2019) does: each 16 bytes cost one multiply, and
 * ids up to 16 bytes need two. The key is drawn at random at start, so that a client cannot
 * prepare ids that collide; values must therefore never leave the process. Any thread.
 */
#ifndef TALLYD_COMMON_HASH_H
#define TALLYD_COMMON_HASH_H

#include "common/load.h"

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t a, b;
};

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    uint64_t state = key->a ^ length, low, high;
    size_t left = length;

    for (; left > 16; p += 16, left -= 16)
        state = hash_fold(load_u64(p) ^ key->b, load_u64(p + 8) ^ state);
    if (left >= 8) {
        low = load_u64(p);
        high = load_u64(p + left - 8);
    } else if (left >= 4) {
        low = load_u32(p);
        high = load_u32(p + left - 4);
    } else {
        low = left ? (uint64_t)p[0] << 16 | (uint64_t)p[left >> 1] << 8 | p[left - 1] : 0;
        high = 0;
    }
    /* The constants are odd and random-looking: the fractional bits of the golden ratio and of
     * the square root of two. They keep an all-zero input from folding to zero. */
    state = hash_fold(low ^ key->b ^ 0x9e3779b97f4a7c15u, high ^ state ^ 0x6a09e667f3bcc909u);
    return hash_fold(state ^ key->a, 0x9e3779b97f4a7c15u ^ key->b);
}

#endif
