/* What common/stats.h declares: reading all of a block, and the bounds of the histograms. */
#include "common/stats.h"

/* 0.5 ms, an idle Redis at hand, to 5 s, one that is in trouble. */
const struct histogram_bounds stats_commit_ns_bounds = {
    .count = 13,
    .upper = {500000, 1000000, 2000000, 5000000, 10000000, 20000000, 50000000, 100000000, 200000000,
              500000000, 1000000000, 2000000000, 5000000000},
};

/* Up to BATCH_MAX of aggregator/batch.h. */
const struct histogram_bounds stats_batch_devices_bounds = {
    .count = 7,
    .upper = {1, 4, 16, 64, 256, 1024, 2048},
};

struct stats_worker_values stats_worker_read(const struct stats_worker *stats)
{
    struct stats_worker_values values;

#define READ(name, help) values.name = stats_get(&stats->name);
    STATS_WORKER(READ)
#undef READ
    return values;
}

void stats_worker_sum(struct stats_worker_values *sum, const struct stats_worker_values *values)
{
#define ADD(name, help) sum->name += values->name;
    STATS_WORKER(ADD)
#undef ADD
}
