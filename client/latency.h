/*
 * A histogram of latencies with logarithmic ranges of 128 equal steps each: a percentile is off by
 * at most 0.4 %, in 58 KiB, however many values there are. The largest value is exact. One thread.
 */
#ifndef TALLYD_CLIENT_LATENCY_H
#define TALLYD_CLIENT_LATENCY_H

#include <stdint.h>

#define LATENCY_STEP_BITS 7
#define LATENCY_BUCKETS   ((64 - LATENCY_STEP_BITS + 1) << LATENCY_STEP_BITS)

/* Zero it to start; its fields belong to latency.c, `count` and `max_ns` may be read. */
struct latency {
    uint64_t count;
    uint64_t max_ns;
    uint64_t buckets[LATENCY_BUCKETS];
};

/* Adds one value, in nanoseconds. */
void latency_add(struct latency *latency, uint64_t ns);

/* The value, in nanoseconds, that `percent` (above 0, up to 100) of the values do not exceed; 0
 * when there are none. */
uint64_t latency_percentile(const struct latency *latency, double percent);

#endif
