/* Freezing is moving: a delta is in a lane or in the batch, never in both. */
#include "aggregator/batch.h"

size_t batch_fill(struct batch *batch, struct counters *pending, unsigned lane)
{
    size_t id_bytes = 0, length;

    batch->lane = lane;
    batch->count = 0;
    while (batch->count < BATCH_MAX && id_bytes < BATCH_MAX_ID_BYTES) {
        struct batch_entry *entry = &batch->entries[batch->count];

        entry->counter = counters_pop(pending, lane, &entry->delta);
        if (!entry->counter)
            break;
        entry->refused = false;
        counter_id(entry->counter, &length);
        id_bytes += length;
        batch->count++;
    }
    return batch->count;
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
