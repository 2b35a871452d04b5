/*
 * An allowance: how many devices may be made on somebody's behalf. Shared by all workers, each of
 * which makes a counter of its own for a device that comes in through it: so it remembers which
 * devices it was taken for, by a hash of 64 bits each, and is taken once for a device, whichever
 * workers ask. What was taken is not given back.
 *
 * It takes about 20 bytes a device (15 to 23, measured with 40,000 to 17 million of them), and
 * nothing for devices past the limit.
 */
#ifndef TALLYD_COMMON_ALLOWANCE_H
#define TALLYD_COMMON_ALLOWANCE_H

#include "common/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ALLOWANCE_PARTS 25 /* room for 2^32 devices: see allowance.c */

struct allowance_bucket;

/* Embedded; `taken` and `limit` may be read, and `limit` set, by any thread, relaxed. */
struct allowance {
    _Atomic uint64_t taken;
    _Atomic uint64_t limit;
    struct allowance_bucket *_Atomic parts[ALLOWANCE_PARTS]; /* NULL from the first one missing */
};

/* Nothing is taken yet. */
void allowance_init(struct allowance *allowance, uint64_t limit);
void allowance_fini(struct allowance *allowance);

/* Takes one for the device of this hash, the same on all threads, unless that was done before. NULL
 * stands for one without a limit. False when none is left, or memory is short; also for a device
 * that is new while two threads take the last ones for another: the next time it is told apart. Any
 * thread. */
bool allowance_take(struct allowance *allowance, uint64_t hash) MUST_CHECK;

#endif
