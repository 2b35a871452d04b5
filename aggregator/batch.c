/* Freezing is moving: a delta is in a lane or in the batch, never in both. */
#include "aggregator/batch.h"

bool batch_fill(struct batch *batch, struct counters *pending, unsigned lane)
{
    struct batch_entry *entry = batch->entries;

    batch->lane = lane;
    for (batch->count = 0; batch->count < BATCH_MAX; batch->count++, entry++) {
        entry->counter = counters_pop(pending, lane, &entry->delta);
        entry->refused = false;
        if (!entry->counter)
            break;
    }
    return batch->count > 0;
}

void batch_return(struct batch *batch, struct counters *pending)
{
    for (size_t i = 0; i < batch->count; i++)
        counters_add(pending, batch->lane, batch->entries[i].counter, batch->entries[i].delta);
    batch->count = 0;
}

uint64_t batch_packets(const struct batch *batch)
{
    uint64_t packets = 0;

    for (size_t i = 0; i < batch->count; i++)
        packets += batch->entries[i].delta;
    return packets;
}
