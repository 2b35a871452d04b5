/*
 * Where a delta is: in the lanes handed over, in a batch, or in `own`, and in one of them only;
 * each function here moves it.
 *
 * Twins are the counters of one device in the workers' maps. They form a ring by counter_twin();
 * one alone is its own twin, and what counts as overflow has none. The first of a ring stands in
 * the index, which is asked about new counters only: a device that comes again costs no look-up.
 * With one worker there is nothing to find, and no index.
 *
 * `own` is small in good times: it holds what Redis refused, and the overflow.
 */
#include "aggregator/pending.h"

#include "aggregator/counters.h"

#include <ck_hs.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INITIAL_CAPACITY 1024

enum { LANE_COUNTS, LANE_QUARANTINE }; /* of `own` */

struct pending {
    struct counters *own;
    struct hash_key hash_key;
    bool indexed; /* there are several workers */
    ck_hs_t index;
    size_t devices, max_devices;
    uint64_t overflowed;

    size_t workers;
    size_t at; /* the lanes before this one are empty */
    struct cut_lane lanes[];
};

/* ---- The index ------------------------------------------------------------------------------ */

static void *index_malloc(size_t bytes)
{
    return malloc(bytes);
}

/* Only the flusher reads the index, so nobody can still hold what is freed: `defer` is moot. */
static void index_free(void *memory, size_t bytes, bool defer)
{
    (void)bytes;
    (void)defer;
    free(memory);
}

static struct ck_malloc index_memory = {.malloc = index_malloc, .free = index_free};

/* The seed carries the address of our key. */
static unsigned long index_hash(const void *object, unsigned long seed)
{
    size_t length;
    const uint8_t *id = counter_id(object, &length);

    /* NOLINTNEXTLINE(performance-no-int-to-ptr): ck_hs carries a number */
    return hash_bytes((const struct hash_key *)seed, id, length);
}

static bool index_equal(const void *a, const void *b)
{
    size_t length, other_length;
    const uint8_t *id = counter_id(a, &length), *other = counter_id(b, &other_length);

    return length == other_length && memcmp(id, other, length) == 0;
}

/* ---- Create and destroy --------------------------------------------------------------------- */

struct pending *pending_create(const struct hash_key *hash_key, size_t max_devices, size_t workers)
{
    struct pending *pending = calloc(1, sizeof *pending + workers * sizeof pending->lanes[0]);

    if (!pending)
        return NULL;
    pending->hash_key = *hash_key;
    pending->max_devices = max_devices;
    pending->workers = pending->at = workers;
    pending->own = counters_create(hash_key, max_devices + 1); /* and the overflow */
    if (!pending->own)
        goto err;
    pending->indexed =
        workers > 1 &&
        ck_hs_init(&pending->index, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, index_hash, index_equal,
                   &index_memory, INITIAL_CAPACITY, (unsigned long)&pending->hash_key);
    if (workers > 1 && !pending->indexed)
        goto err;
    return pending;

err:
    pending_destroy(pending);
    errno = ENOMEM;
    return NULL;
}

void pending_destroy(struct pending *pending)
{
    if (!pending)
        return;
    if (pending->indexed)
        ck_hs_destroy(&pending->index);
    counters_destroy(pending->own);
    free(pending);
}

/* ---- Taking from the lanes ------------------------------------------------------------------ */

/* Gives a new counter its ring. Returns false when its device is new and past the cap, or memory is
 * short. */
static bool admit(struct pending *pending, struct counter *counter)
{
    if (pending->indexed) {
        unsigned long hash = index_hash(counter, (unsigned long)&pending->hash_key);
        struct counter *twin = ck_hs_get(&pending->index, hash, counter);

        if (twin) {
            counter_set_twin(counter, counter_twin(twin));
            /* NOLINTNEXTLINE(readability-suspicious-call-argument): it is the other's turn */
            counter_set_twin(twin, counter);
            return true;
        }
        if (pending->devices == pending->max_devices || !ck_hs_put(&pending->index, hash, counter))
            return false;
    }
    counter_set_twin(counter, counter);
    pending->devices++;
    return true;
}

void pending_take(struct pending *pending, size_t worker, struct cut_lane lane)
{
    struct counter *counter, *after;

    pending->lanes[worker] = lane;
    pending->at = 0;
    for (counter = lane.made; counter; counter = after) {
        after = counter_twin(counter);
        if (!admit(pending, counter))
            counter_set_twin(counter, NULL);
    }
}

/* What the other workers have counted of a device. Theirs stays on the lists, and is empty. */
static uint64_t take_twins(struct counter *counter, unsigned lane)
{
    uint64_t sum = 0;

    for (struct counter *twin = counter_twin(counter); twin != counter; twin = counter_twin(twin))
        sum += counter_take(twin, lane);
    return sum;
}

static void add_to_own(struct pending *pending, unsigned lane, const struct counter *counter,
                       uint64_t delta)
{
    size_t length;
    const uint8_t *id = counter_id(counter, &length);

    counters_add(pending->own, lane, id, length, delta);
}

static void add_overflow(struct pending *pending, uint64_t delta)
{
    static const uint8_t id[] = COUNTERS_OVERFLOW_ID;

    counters_add(pending->own, LANE_COUNTS, id, sizeof id - 1, delta);
    pending->overflowed += delta;
}

/* Takes a device off the lanes, with all that the workers have of it; NULL when they are empty.
 * What is overflow goes to `own` on the way. */
static struct counter *next_device(struct pending *pending, uint64_t *delta)
{
    for (; pending->at < pending->workers; pending->at++) {
        const struct cut_lane *from = &pending->lanes[pending->at];
        struct counter *counter;

        while ((counter = counters_pop(from->counters, from->lane, delta))) {
            if (counter_twin(counter)) {
                *delta += take_twins(counter, from->lane);
                return counter;
            }
            add_overflow(pending, *delta);
        }
    }
    return NULL;
}

static void fill_from_own(struct pending *pending, struct batch *batch, unsigned lane)
{
    struct counter *counter;
    uint64_t delta;

    while (!batch_is_full(batch) && (counter = counters_pop(pending->own, lane, &delta)))
        batch_add(batch, counter, delta);
}

size_t pending_fill(struct pending *pending, struct batch *batch)
{
    struct counter *counter;
    uint64_t delta;

    batch_begin(batch, false);
    while (!batch_is_full(batch) && (counter = next_device(pending, &delta)))
        batch_add(batch, counter, delta);
    fill_from_own(pending, batch, LANE_COUNTS);
    if (batch->count == 0) {
        batch_begin(batch, true);
        fill_from_own(pending, batch, LANE_QUARANTINE);
    }
    return batch->count;
}

/* ---- What does not go the usual way --------------------------------------------------------- */

void pending_refuse(struct pending *pending, const struct batch_entry *entry)
{
    add_to_own(pending, LANE_QUARANTINE, entry->counter, entry->delta);
}

void pending_return(struct pending *pending, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        add_to_own(pending, LANE_COUNTS, batch->entries[i].counter, batch->entries[i].delta);
    batch_begin(batch, false);
}

void pending_stow(struct pending *pending)
{
    struct counter *counter;
    uint64_t delta;

    while ((counter = next_device(pending, &delta)))
        add_to_own(pending, LANE_COUNTS, counter, delta);
}

uint64_t pending_drop(struct pending *pending, uint64_t *devices)
{
    uint64_t packets = 0, delta;
    struct counter *counter;

    while ((counter = counters_pop(pending->own, LANE_QUARANTINE, &delta)))
        add_to_own(pending, LANE_COUNTS, counter, delta);
    for (*devices = 0; counters_pop(pending->own, LANE_COUNTS, &delta); ++*devices)
        packets += delta;
    return packets;
}

size_t pending_devices(const struct pending *pending)
{
    return pending->devices;
}

uint64_t pending_overflowed(const struct pending *pending)
{
    return pending->overflowed;
}
