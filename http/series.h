/*
 * A counter that only grows, as somebody sampled it over the last minutes, and how fast it grew.
 * Between two samples it is taken to have grown evenly, so samples may come late or be missing.
 *
 * Times are clock_now_ns(). One thread at a time.
 */
#ifndef TALLYD_HTTP_SERIES_H
#define TALLYD_HTTP_SERIES_H

#include <stddef.h>
#include <stdint.h>

#define SERIES_SAMPLES 1536 /* kept; five a second reach back for 307 s */

struct series_sample {
    uint64_t time_ns;
    uint64_t value;
};

struct series {
    struct series_sample samples[SERIES_SAMPLES]; /* a ring */
    uint64_t added;                               /* samples that ever came */
    uint64_t start_ns;                            /* the time of the first of them */
};

/* Begins with a first sample. */
void series_start(struct series *series, uint64_t now_ns, uint64_t value);

/* Adds a sample, which is not older than the last one. */
void series_add(struct series *series, uint64_t now_ns, uint64_t value);

/* The growth a second over the last `window_ns`, or over all the time that is known when that is
 * shorter, until now, when the counter stands at `value`; `now_ns` is not before the last sample.
 * 0 when no time has passed. */
double series_rate(const struct series *series, uint64_t now_ns, uint64_t value,
                   uint64_t window_ns);

/* The growth in each whole second since the start, the oldest first: those of the last `max`
 * seconds that are known and over. Returns how many there are. */
size_t series_seconds(const struct series *series, double *rates, size_t max);

#endif
