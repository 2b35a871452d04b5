/*
 * The index of a counter map: the hash of a device id -> where its counter stands.
 *
 * An open hash table of buckets, each one cache line: eight tags, and eight references beside them.
 * A tag is 32 bits of the hash, a reference a number of the owner's choice, not 0. All eight tags
 * are compared at once and without a branch on which of them it was, so a look-up that hits costs
 * one cache line and no misprediction; and since the tag holds all of the hash that is ever used,
 * growth reads the table alone and touches no counter. It grows in small steps: nobody waits while
 * millions of entries move.
 *
 * It knows no ids: a look-up returns candidates, and the owner compares. Thread: the owner's.
 */
#ifndef TALLYD_AGGREGATOR_COUNTER_INDEX_H
#define TALLYD_AGGREGATOR_COUNTER_INDEX_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTER_INDEX_SLOTS 8 /* a bucket */

struct counter_bucket {
    uint32_t tags[COUNTER_INDEX_SLOTS];
    uint32_t refs[COUNTER_INDEX_SLOTS]; /* 0: the slot is free, as are all behind it */
} __attribute__((aligned(64)));

struct counter_table {
    struct counter_bucket *buckets;
    uint32_t mask; /* their number, a power of two, less one */
};

/* Shown so that look-ups are inlined. While the index grows, `old` is the table of half the size
 * that it grew out of, of which `moved` buckets are in `table` already; else it has no buckets. */
struct counter_index {
    struct counter_table table, old;
    uint32_t moved;
    size_t entries;
};

/* Returns 0 or -ENOMEM. */
int counter_index_init(struct counter_index *index) MUST_CHECK;

/* Also after an init that failed, or on a zeroed index. */
void counter_index_fini(struct counter_index *index);

static inline uint32_t counter_index_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* The bucket in which a tag is looked for first; worth prefetching. */
static inline const struct counter_bucket *counter_index_home(const struct counter_index *index,
                                                              uint32_t tag)
{
    return &index->table.buckets[tag & index->table.mask];
}

/* The quick look-up: returns the reference that stands beside `tag` in its home bucket. There is
 * never more than one, so or-ing what the comparison leaves is enough. 0 means that none stands
 * there; counter_index_next() knows the rest. */
static inline uint32_t counter_index_peek(const struct counter_index *index, uint32_t tag)
{
    typedef uint32_t quad __attribute__((vector_size(16), may_alias));
    typedef uint64_t halves __attribute__((vector_size(16)));
    const struct counter_bucket *bucket = counter_index_home(index, tag);
    const quad *tags = (const quad *)bucket->tags, *refs = (const quad *)bucket->refs;
    const quad wanted = {tag, tag, tag, tag};
    halves found =
        (halves)(((quad)(tags[0] == wanted) & refs[0]) | ((quad)(tags[1] == wanted) & refs[1]));
    uint64_t both = found[0] | found[1];

    return (uint32_t)(both | both >> 32);
}

/* The whole look-up: returns the references beside `tag` one after the other, then 0. Start with
 * *step 0; change nothing in between. */
uint32_t counter_index_next(struct counter_index *index, uint32_t tag, uint32_t *step);

/* Enters a reference that is not in the index yet. Returns 0, or -ENOMEM when the index is full and
 * cannot grow. */
int counter_index_put(struct counter_index *index, uint32_t tag, uint32_t ref) MUST_CHECK;

/* Bytes of memory that the index takes. */
size_t counter_index_bytes(const struct counter_index *index);

#endif
