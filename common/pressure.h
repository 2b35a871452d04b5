/*
 * How near the process is to its memory limit: main samples, everybody reads.
 *
 * Flow control comes first: while memory is TIGHT, from 90 %, connections wait in the kernel's
 * queue, from which only some are taken a second, and workers read less, which slows the senders.
 * Refusal comes next: once it is FULL, new streams are refused with UNAVAILABLE and a pushback, and
 * devices that have no counter yet are counted in the overflow counter. Streams that are open go
 * on, and every packet is counted.
 */
#ifndef TALLYD_COMMON_PRESSURE_H
#define TALLYD_COMMON_PRESSURE_H

#include "common/compiler.h"

#include <stdatomic.h>
#include <stdint.h>

enum pressure_level { PRESSURE_NONE, PRESSURE_TIGHT, PRESSURE_FULL };

struct pressure {
    _Atomic int level;
    uint64_t trim_ms; /* main's: when free memory may be given back again */
    int statm_fd;     /* main's */
};

/* Gets ready to measure: what that takes is held from now on, since under attack there may be no
 * descriptor left for it. Returns 0, or a negative errno of open(): the level then stays as it is,
 * PRESSURE_NONE. Called by: main. */
int pressure_init(struct pressure *pressure) MUST_CHECK;
void pressure_fini(struct pressure *pressure);

/* Any thread; relaxed, since it is advice. NULL stands for no limit. */
static inline enum pressure_level pressure_level(const struct pressure *pressure)
{
    return pressure
               ? (enum pressure_level)atomic_load_explicit(&pressure->level, memory_order_relaxed)
               : PRESSURE_NONE;
}

/* Measures, and sets the level for a limit in bytes; 0 is none. Returns the level, which stays as
 * it was when it cannot be measured. Called by: main, ten times a second. */
enum pressure_level pressure_sample(struct pressure *pressure, uint64_t limit_bytes);

/* The level that follows on `before`; for pressure_sample() and tests. */
enum pressure_level pressure_judge(enum pressure_level before, uint64_t bytes,
                                   uint64_t limit_bytes);

#endif
