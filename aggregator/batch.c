/* What a transaction may carry, and what it does. */
#include "aggregator/batch.h"

void batch_begin(struct batch *batch, bool quarantine)
{
    batch->quarantine = quarantine;
    batch->count = 0;
    batch->id_bytes = 0;
}

void batch_add(struct batch *batch, struct counter *counter, uint64_t delta)
{
    size_t length;

    batch->entries[batch->count++] = (struct batch_entry){.counter = counter, .delta = delta};
    counter_id(counter, &length);
    batch->id_bytes += length;
}

bool batch_is_full(const struct batch *batch)
{
    return batch->count == BATCH_MAX || batch->id_bytes >= BATCH_MAX_ID_BYTES;
}

uint64_t batch_packets(const struct batch *batch)
{
    uint64_t packets = 0;

    for (size_t i = 0; i < batch->count; i++)
        packets += batch->entries[i].delta;
    return packets;
}
