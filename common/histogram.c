/* A bucket holds its own values only, so that adding one is a single store; readers add them up. */
#include "common/histogram.h"

#include <stdatomic.h>

/* A plain load and store: nobody else writes. */
static void add(_Atomic uint64_t *number, uint64_t n)
{
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void histogram_add(struct histogram *histogram, const struct histogram_bounds *bounds,
                   uint64_t value)
{
    size_t i = 0;

    while (i < bounds->count && value > bounds->upper[i])
        i++;
    add(&histogram->buckets[i], 1);
    add(&histogram->sum, value);
}

struct histogram_values histogram_read(const struct histogram *histogram,
                                       const struct histogram_bounds *bounds)
{
    struct histogram_values values = {0};

    for (size_t i = 0; i <= bounds->count; i++) {
        values.count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        if (i < bounds->count)
            values.up_to[i] = values.count;
    }
    values.sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    return values;
}
