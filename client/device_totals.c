/* Two counters a device, in one array that is touched only where there is something to count. */
#include "client/device_totals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct total {
    uint64_t acknowledged, unacknowledged;
};

struct device_totals {
    const struct generator *generator;
    uint64_t devices;
    struct total *totals;
};

struct device_totals *device_totals_create(const struct generator *generator, uint64_t devices)
{
    struct device_totals *totals = malloc(sizeof *totals);

    if (!totals)
        return NULL;
    totals->generator = generator;
    totals->devices = devices;
    totals->totals = calloc(devices, sizeof *totals->totals);
    if (!totals->totals) {
        free(totals);
        return NULL;
    }
    return totals;
}

void device_totals_destroy(struct device_totals *totals)
{
    if (!totals)
        return;
    free(totals->totals);
    free(totals);
}

/* Adds each packet of a range `times` times. */
static void add_range(struct device_totals *totals, uint64_t first, uint64_t count, uint64_t times,
                      bool acknowledged)
{
    for (uint64_t i = first; i < first + count; i++) {
        struct total *total = &totals->totals[generator_device(totals->generator, i)];

        if (acknowledged)
            total->acknowledged += times;
        else
            total->unacknowledged += times;
    }
}

/* A billion packets of a sequence that repeats itself need not be gone through one by one. */
void device_totals_add(struct device_totals *totals, uint64_t first, uint64_t count,
                       bool acknowledged)
{
    uint64_t period = generator_period(totals->generator), laps = count / period;

    if (laps > 0)
        add_range(totals, 0, period, laps, acknowledged);
    add_range(totals, first, count % period, 1, acknowledged);
}

int device_totals_write(const struct device_totals *totals, FILE *out)
{
    char id[GENERATOR_ID_MAX_BYTES];

    for (uint64_t i = 0; i < totals->devices; i++) {
        const struct total *total = &totals->totals[i];

        if (!total->acknowledged && !total->unacknowledged)
            continue;
        if (fprintf(out, "%.*s\t%" PRIu64 "\t%" PRIu64 "\n",
                    (int)generator_id(totals->generator, i, id), id, total->acknowledged,
                    total->unacknowledged) < 0)
            return -errno;
    }
    return fflush(out) == 0 ? 0 : -errno;
}
