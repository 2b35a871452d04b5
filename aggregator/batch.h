/*
 * A batch: the frozen part of pending that one transaction carries. Once filled it does not change
 * until its outcome is known, however often it must be sent.
 */
#ifndef TALLYD_AGGREGATOR_BATCH_H
#define TALLYD_AGGREGATOR_BATCH_H

#include "aggregator/counters.h"
#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HINCRBYs a transaction. Redis serves nobody else while it executes one: 2 ms in the median and
 * 6 ms in one of a hundred, measured with a hash that grows to a million fields (ARCHITECTURE.md).
 */
#define BATCH_MAX 2048

/* Nor shall long device ids make one transaction large: hiredis is at its best with less than 1 MB.
 */
#define BATCH_MAX_ID_BYTES (512 << 10)

struct batch_entry {
    struct counter *counter;
    uint64_t delta;
    bool refused; /* set by the commit: Redis answered this HINCRBY with an error */
};

struct batch {
    unsigned lane; /* where its entries came from: LANE_COUNTS or LANE_QUARANTINE */
    size_t count;
    struct batch_entry entries[BATCH_MAX];
};

/* The two lanes of pending: what waits for the hash of counts, and what Redis refused there and
 * waits for the quarantine hash. */
enum { LANE_COUNTS, LANE_QUARANTINE };

/* Fills an empty batch from one lane of `pending`. Returns the entries, 0 when the lane is empty.
 * Called by: flusher. */
size_t batch_fill(struct batch *batch, struct counters *pending, unsigned lane);

/* Puts the entries back into their lane and empties the batch; for what is given up. Called by:
 * flusher. */
void batch_return(struct batch *batch, struct counters *pending);

/* The packets in the batch. */
uint64_t batch_packets(const struct batch *batch);

#endif
