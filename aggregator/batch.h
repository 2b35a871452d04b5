/*
 * A batch: the frozen part of pending that one transaction carries. Once filled it does not change
 * until its outcome is known, however often it must be sent. It borrows its counters.
 */
#ifndef TALLYD_AGGREGATOR_BATCH_H
#define TALLYD_AGGREGATOR_BATCH_H

#include "aggregator/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HINCRBYs a transaction. Redis serves nobody else while it executes one, some
 * milliseconds (ARCHITECTURE.md). */
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
    bool quarantine; /* it goes to the quarantine hash, not to that of the counts */
    size_t count;
    size_t id_bytes;
    struct batch_entry entries[BATCH_MAX];
};

/* Empties a batch. Called by: flusher. */
void batch_begin(struct batch *batch, bool quarantine);

/* Adds an entry to a batch that is not full. Called by: flusher. */
void batch_add(struct batch *batch, struct counter *counter, uint64_t delta);

/* True when no more may be added; an empty batch is never full. */
bool batch_is_full(const struct batch *batch);

/* The packets in the batch. */
uint64_t batch_packets(const struct batch *batch);

#endif
