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

void device_totals_add(struct device_totals *totals, uint64_t first, uint64_t count,
                       bool acknowledged)
{
    for (uint64_t i = first; i < first + count; i++) {
        struct total *total = &totals->totals[generator_device(totals->generator, i)];

        if (acknowledged)
            total->acknowledged++;
        else
            total->unacknowledged++;
    }
}

int device_totals_write(const struct device_totals *totals, const char *prefix, FILE *out)
{
    for (uint64_t i = 0; i < totals->devices; i++) {
        const struct total *total = &totals->totals[i];

        if (!total->acknowledged && !total->unacknowledged)
            continue;
        if (fprintf(out, "%s%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", prefix, i,
                    total->acknowledged, total->unacknowledged) < 0)
            return -errno;
    }
    return fflush(out) == 0 ? 0 : -errno;
}
