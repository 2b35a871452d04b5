/* Loads from memory of any alignment, in the machine's byte order: each is one instruction. */
#ifndef TALLYD_COMMON_LOAD_H
#define TALLYD_COMMON_LOAD_H

#include <stdint.h>
#include <string.h>

static inline uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

#endif
