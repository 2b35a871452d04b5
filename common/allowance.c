/*
 * A set of hashes to which any thread adds, without a lock, and of which nothing is ever taken
 * away.
 *
 * It stands in parts, each twice as large as the one before, and made when it is needed. A part is
 * an array of buckets, one cache line each, of which a hash names one in every part. A hash stands
 * in the first place that was free in the first of its buckets that had one; 0 is a free place.
 *
 * Why it stands there once: a place is written once, from 0, by a compare and exchange, so a bucket
 * fills from its first place to its last, and one that is full stays as it is. Who looks for a hash
 * reads its buckets in the order in which all others do, up to the first free place. Two who add
 * the same hash therefore come to the same place: one of them writes it, and the other one, whose
 * exchange fails, looks again and finds it. Nothing else is published with a hash, so relaxed
 * suffices; a part is published with release, since its buckets are zeroed before.
 *
 * One is taken before a hash is added, and given back when another thread has added it meanwhile:
 * so no more than the limit are ever in the set. tests/unit/test_allowance.c tortures this.
 */
#include "common/allowance.h"

#include <stddef.h>
#include <stdlib.h>

#define PLACES        8 /* of a bucket: 64 bytes */
#define FIRST_BUCKETS 32

struct allowance_bucket {
    _Atomic uint64_t hashes[PLACES];
};

void allowance_init(struct allowance *allowance, uint64_t limit)
{
    atomic_init(&allowance->taken, 0);
    atomic_init(&allowance->limit, limit);
    for (size_t i = 0; i < ALLOWANCE_PARTS; i++)
        atomic_init(&allowance->parts[i], NULL);
}

void allowance_fini(struct allowance *allowance)
{
    for (size_t i = 0; i < ALLOWANCE_PARTS; i++)
        free(atomic_load_explicit(&allowance->parts[i], memory_order_relaxed));
}

static size_t buckets_of(size_t part)
{
    return (size_t)FIRST_BUCKETS << part;
}

/* Whether a hash is in the set. If not, *place is where it would stand; NULL when that is in part
 * *part, which is not there yet. */
static bool find(struct allowance *allowance, uint64_t hash, _Atomic uint64_t **place, size_t *part)
{
    *place = NULL;
    for (*part = 0; *part < ALLOWANCE_PARTS; ++*part) {
        struct allowance_bucket *buckets =
            atomic_load_explicit(&allowance->parts[*part], memory_order_acquire);
        struct allowance_bucket *bucket;

        if (!buckets)
            return false;
        bucket = &buckets[hash & (buckets_of(*part) - 1)];
        for (size_t i = 0; i < PLACES; i++) {
            uint64_t found = atomic_load_explicit(&bucket->hashes[i], memory_order_relaxed);

            if (found == hash)
                return true;
            if (found == 0) {
                *place = &bucket->hashes[i];
                return false;
            }
        }
    }
    return false;
}

/* Makes a part, unless another thread has. Returns false when memory is short. */
static bool add_part(struct allowance *allowance, size_t part)
{
    struct allowance_bucket *made, *none = NULL;

    if (part == ALLOWANCE_PARTS)
        return false;
    made = calloc(buckets_of(part), sizeof *made);
    if (!made)
        return false;
    if (!atomic_compare_exchange_strong_explicit(&allowance->parts[part], &none, made,
                                                 memory_order_release, memory_order_relaxed))
        free(made);
    return true;
}

enum outcome { ADDED, WAS_THERE, NO_ROOM };

static enum outcome add(struct allowance *allowance, uint64_t hash)
{
    _Atomic uint64_t *place;
    uint64_t free_place;
    size_t part;

    for (;;) {
        if (find(allowance, hash, &place, &part))
            return WAS_THERE;
        if (!place) {
            if (!add_part(allowance, part))
                return NO_ROOM;
            continue;
        }
        free_place = 0;
        if (atomic_compare_exchange_strong_explicit(place, &free_place, hash, memory_order_relaxed,
                                                    memory_order_relaxed))
            return ADDED;
    }
}

bool allowance_take(struct allowance *allowance, uint64_t hash)
{
    enum outcome outcome = NO_ROOM;
    _Atomic uint64_t *place;
    size_t part;

    if (!allowance)
        return true;
    hash += !hash; /* 0 is a free place */
    if (find(allowance, hash, &place, &part))
        return true;
    if (atomic_fetch_add_explicit(&allowance->taken, 1, memory_order_relaxed) <
        atomic_load_explicit(&allowance->limit, memory_order_relaxed))
        outcome = add(allowance, hash);
    if (outcome != ADDED)
        atomic_fetch_sub_explicit(&allowance->taken, 1, memory_order_relaxed);
    return outcome != NO_ROOM;
}
