/*
 * The count of holders is the only thing that changes in a shared reading. It goes up by relaxed
 * additions, since whoever adds holds it already or keeps it from being freed. Each release is an
 * acq_rel subtraction: what a holder read comes before its release, and the last one, who frees,
 * comes behind all of them.
 */
#include "http/reading.h"

#include "common/clock.h"
#include "http/snapshot.h"

#include <stdlib.h>

struct reading {
    atomic_size_t *live;
    atomic_size_t holders;
    uint64_t number;
    uint64_t began_ms, wall_ms, gained_ms; /* as reading.h says */
    struct snapshot *snapshot;
};

struct reading *reading_create(uint64_t number, uint64_t now_ms, atomic_size_t *live)
{
    struct reading *reading = calloc(1, sizeof *reading);

    if (!reading)
        return NULL;
    atomic_init(&reading->holders, 1);
    reading->live = live;
    reading->number = number;
    reading->began_ms = now_ms;
    reading->wall_ms = clock_wall_ms();
    atomic_fetch_add(live, 1);
    return reading;
}

void reading_compare(struct reading *reading, const struct reading *before)
{
    reading->gained_ms = reading->began_ms - before->began_ms;
    reading->gained_ms += reading->gained_ms == 0;
}

void reading_fill(struct reading *reading, struct snapshot *snapshot)
{
    reading->snapshot = snapshot;
}

struct reading *reading_hold(struct reading *reading)
{
    atomic_fetch_add_explicit(&reading->holders, 1, memory_order_relaxed);
    return reading;
}

void reading_release(struct reading *reading)
{
    if (!reading || atomic_fetch_sub_explicit(&reading->holders, 1, memory_order_acq_rel) > 1)
        return;
    snapshot_destroy(reading->snapshot);
    atomic_fetch_sub(reading->live, 1);
    free(reading);
}

const struct snapshot *reading_snapshot(const struct reading *reading)
{
    return reading->snapshot;
}

uint64_t reading_number(const struct reading *reading)
{
    return reading->number;
}

uint64_t reading_began_ms(const struct reading *reading)
{
    return reading->began_ms;
}

uint64_t reading_wall_ms(const struct reading *reading)
{
    return reading->wall_ms;
}

uint64_t reading_gained_ms(const struct reading *reading)
{
    return reading->gained_ms;
}
