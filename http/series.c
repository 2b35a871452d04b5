/* Samples are found by binary search: with the ring full a value costs eleven steps. */
#include "http/series.h"

#define SECOND_NS UINT64_C(1000000000)

static size_t kept(const struct series *series)
{
    return series->added < SERIES_SAMPLES ? (size_t)series->added : SERIES_SAMPLES;
}

/* Sample `index` of those that are kept, from 0, the oldest. */
static struct series_sample sample(const struct series *series, size_t index)
{
    return series->samples[(series->added - kept(series) + index) % SERIES_SAMPLES];
}

static struct series_sample newest(const struct series *series)
{
    return sample(series, kept(series) - 1);
}

void series_start(struct series *series, uint64_t now_ns, uint64_t value)
{
    series->added = 0;
    series->start_ns = now_ns;
    series_add(series, now_ns, value);
}

void series_add(struct series *series, uint64_t now_ns, uint64_t value)
{
    series->samples[series->added++ % SERIES_SAMPLES] = (struct series_sample){now_ns, value};
}

/* The value at a time on the line between two samples. */
static uint64_t between(struct series_sample from, struct series_sample to, uint64_t time_ns)
{
    double part;

    if (to.time_ns == from.time_ns)
        return to.value;
    part = (double)(time_ns - from.time_ns) / (double)(to.time_ns - from.time_ns);
    return from.value + (uint64_t)((double)(to.value - from.value) * part + 0.5);
}

/* The value at a time from the oldest sample's to the newest's. */
static uint64_t value_at(const struct series *series, uint64_t time_ns)
{
    size_t low = 0, high = kept(series) - 1; /* it lies between these */

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (sample(series, middle).time_ns <= time_ns)
            low = middle;
        else
            high = middle;
    }
    return between(sample(series, low), sample(series, high), time_ns);
}

double series_rate(const struct series *series, uint64_t now_ns, uint64_t value, uint64_t window_ns)
{
    struct series_sample now = {now_ns, value}, last = newest(series);
    uint64_t from_ns = sample(series, 0).time_ns, before;

    if (now_ns - from_ns > window_ns)
        from_ns = now_ns - window_ns;
    if (from_ns == now_ns)
        return 0;
    before = from_ns < last.time_ns ? value_at(series, from_ns) : between(last, now, from_ns);
    return (double)(value - before) * (double)SECOND_NS / (double)(now_ns - from_ns);
}

size_t series_seconds(const struct series *series, double *rates, size_t max)
{
    uint64_t begin = sample(series, 0).time_ns - series->start_ns;
    uint64_t first = (begin + SECOND_NS - 1) / SECOND_NS, before;
    uint64_t end = (newest(series).time_ns - series->start_ns) / SECOND_NS;

    if (end <= first)
        return 0;
    if (end - first > max)
        first = end - max;
    before = value_at(series, series->start_ns + first * SECOND_NS);
    for (uint64_t second = first; second < end; second++) {
        uint64_t after = value_at(series, series->start_ns + (second + 1) * SECOND_NS);

        rates[second - first] = (double)(after - before);
        before = after;
    }
    return (size_t)(end - first);
}
