/*
 * A histogram: how many values fell between each two bounds, and their sum.
 *
 * One writer, any number of readers, as with the counters of common/stats.h: relaxed atomics, and
 * zeroed memory is an empty one. A reader sees no bucket fall, nor the sum; and what it takes for
 * the number of values is the sum of the buckets that it read, so that what it tells agrees with
 * itself. The sum of the values may be ahead of the buckets, or behind, by the value that is being
 * added.
 */
#ifndef TALLYD_COMMON_HISTOGRAM_H
#define TALLYD_COMMON_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_MAX_BOUNDS 15

/* The largest value of each bucket, in ascending order; one more bucket takes all above them. */
struct histogram_bounds {
    size_t count;
    uint64_t upper[HISTOGRAM_MAX_BOUNDS];
};

struct histogram {
    _Atomic uint64_t buckets[HISTOGRAM_MAX_BOUNDS + 1]; /* the values of this bucket alone */
    _Atomic uint64_t sum;
};

/* What a histogram held when it was read. */
struct histogram_values {
    uint64_t up_to[HISTOGRAM_MAX_BOUNDS]; /* the values up to each bound */
    uint64_t count;                       /* all values */
    uint64_t sum;                         /* of the values; wraps around */
};

/* Adds a value. `bounds` are the same ones at every call. Called by: its one writer. */
void histogram_add(struct histogram *histogram, const struct histogram_bounds *bounds,
                   uint64_t value);

/* Reads it. Called by: any thread. */
struct histogram_values histogram_read(const struct histogram *histogram,
                                       const struct histogram_bounds *bounds);

#endif
