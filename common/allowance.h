/*
 * An allowance: how many devices may be made on somebody's behalf. Shared by all workers; relaxed
 * atomics, since nothing else depends on the number. A device that comes in through several workers
 * takes one from it for each.
 */
#ifndef TALLYD_COMMON_ALLOWANCE_H
#define TALLYD_COMMON_ALLOWANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct allowance {
    _Atomic uint64_t taken;
    _Atomic uint64_t limit;
};

/* Takes one. Returns false when none is left. NULL stands for one without a limit. Any thread. */
static inline bool allowance_take(struct allowance *allowance)
{
    if (!allowance)
        return true;
    if (atomic_fetch_add_explicit(&allowance->taken, 1, memory_order_relaxed) <
        atomic_load_explicit(&allowance->limit, memory_order_relaxed))
        return true;
    atomic_fetch_sub_explicit(&allowance->taken, 1, memory_order_relaxed);
    return false;
}

/* Gives one back that was taken. Any thread. */
static inline void allowance_return(struct allowance *allowance)
{
    if (allowance)
        atomic_fetch_sub_explicit(&allowance->taken, 1, memory_order_relaxed);
}

#endif
