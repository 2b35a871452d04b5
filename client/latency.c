/*
 * Bucket 0 to 127 hold the values 0 to 127; each later group of 128 buckets covers one power of
 * two, in steps of its 128th part. A bucket answers with its middle, hence an error of at most
 * half a step, 1/256 of the value.
 */
#include "client/latency.h"

#include <math.h>

#define STEPS (1u << LATENCY_STEP_BITS)

static unsigned bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < STEPS)
        return (unsigned)ns;
    shift = 63 - (unsigned)__builtin_clzll(ns) - LATENCY_STEP_BITS;
    return (shift << LATENCY_STEP_BITS) + (unsigned)(ns >> shift);
}

static uint64_t middle_of(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2 * STEPS)
        return bucket;
    shift = (bucket >> LATENCY_STEP_BITS) - 1;
    return ((uint64_t)(bucket - (shift << LATENCY_STEP_BITS)) << shift) + (1ull << (shift - 1));
}

void latency_add(struct latency *latency, uint64_t ns)
{
    latency->count++;
    latency->buckets[bucket_of(ns)]++;
    if (ns > latency->max_ns)
        latency->max_ns = ns;
}

uint64_t latency_percentile(const struct latency *latency, double percent)
{
    uint64_t rank = (uint64_t)ceil((double)latency->count * percent / 100), seen = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS && rank; i++) {
        seen += latency->buckets[i];
        if (seen >= rank)
            return middle_of(i) < latency->max_ns ? middle_of(i) : latency->max_ns;
    }
    return latency->max_ns;
}
