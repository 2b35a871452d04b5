/*
 * Invariants of a table, kept by enter(), since nothing is ever taken out of one:
 *  - a bucket is filled from its first slot on, and no tag stands twice in one bucket;
 *  - an entry stands in the first bucket, from its home on and around, that had a free slot and
 *    not its tag. What was passed over stays full, or keeps that tag: so a look-up may stop at the
 *    first bucket that is neither.
 *
 * Growth: the table becomes the old one, behind a new one of twice its size that starts empty.
 * Every whole look-up first moves what the old one has under its tag, then a few buckets more in
 * order, so the look-up itself asks the new one alone; and what the quick look-up missed once it
 * finds from then on, if the home has room for it. A move copies: what is met a second time is
 * there already, and the old table goes when its last bucket was copied. With MOVE_BUCKETS a
 * look-up that is long before the new table is crowded, for it takes six new entries for each
 * bucket of the old one to fill it.
 */
#include "aggregator/counter_index.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define FIRST_BUCKETS   64
#define MOVE_BUCKETS    4
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

static size_t table_bytes(const struct counter_table *table)
{
    return ((size_t)table->mask + 1) * sizeof(struct counter_bucket);
}

static int table_init(struct counter_table *table, uint32_t mask)
{
    void *buckets;

    *table = (struct counter_table){.mask = mask};
    buckets =
        mmap(NULL, table_bytes(table), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buckets == MAP_FAILED)
        return -ENOMEM;
    if (table_bytes(table) >= HUGE_PAGE_BYTES)
        madvise(buckets, table_bytes(table), MADV_HUGEPAGE); /* random reads: spares TLB misses */
    table->buckets = buckets;
    return 0;
}

static void table_fini(struct counter_table *table)
{
    if (table->buckets)
        munmap(table->buckets, table_bytes(table));
    table->buckets = NULL;
}

int counter_index_init(struct counter_index *index)
{
    *index = (struct counter_index){0};
    return table_init(&index->table, FIRST_BUCKETS - 1);
}

void counter_index_fini(struct counter_index *index)
{
    table_fini(&index->table);
    table_fini(&index->old);
}

size_t counter_index_bytes(const struct counter_index *index)
{
    return table_bytes(&index->table) + (index->old.buckets ? table_bytes(&index->old) : 0);
}

/* The bucket in which a tag may stand, `step` after its home. */
static struct counter_bucket *bucket_of(const struct counter_table *table, uint32_t tag,
                                        uint32_t step)
{
    return &table->buckets[(tag + step) & table->mask];
}

/* The tag's slot in a bucket, or the first free one, or COUNTER_INDEX_SLOTS when it is full. */
static uint32_t slot_of(const struct counter_bucket *bucket, uint32_t tag)
{
    uint32_t slot = 0;

    while (slot < COUNTER_INDEX_SLOTS && bucket->refs[slot] && bucket->tags[slot] != tag)
        slot++;
    return slot;
}

static uint32_t table_next(const struct counter_table *table, uint32_t tag, uint32_t *step)
{
    while (*step <= table->mask) {
        const struct counter_bucket *bucket = bucket_of(table, tag, (*step)++);
        uint32_t slot = slot_of(bucket, tag);

        if (slot < COUNTER_INDEX_SLOTS)
            return bucket->refs[slot]; /* 0 if it is free: then it is nowhere behind it */
    }
    return 0;
}

/* Does nothing if the entry is there. Returns false if the tag stands in every bucket: then the
 * random hash key was not random. */
static bool enter(struct counter_table *table, uint32_t tag, uint32_t ref)
{
    for (uint32_t step = 0; step <= table->mask; step++) {
        struct counter_bucket *bucket = bucket_of(table, tag, step);
        uint32_t slot = slot_of(bucket, tag);

        if (slot == COUNTER_INDEX_SLOTS)
            continue;
        if (bucket->refs[slot] == ref)
            return true;
        if (!bucket->refs[slot]) {
            bucket->tags[slot] = tag;
            bucket->refs[slot] = ref;
            return true;
        }
    }
    return false;
}

/* Moves up to `count` buckets of the old table. */
static void move_buckets(struct counter_index *index, uint32_t count)
{
    for (; index->old.buckets && count > 0; count--) {
        const struct counter_bucket *bucket = &index->old.buckets[index->moved];

        for (int slot = 0; slot < COUNTER_INDEX_SLOTS && bucket->refs[slot]; slot++)
            (void)enter(&index->table, bucket->tags[slot], bucket->refs[slot]); /* has room */
        if (index->moved++ == index->old.mask)
            table_fini(&index->old);
    }
}

static void move_tag(struct counter_index *index, uint32_t tag)
{
    uint32_t step = 0, ref;

    while ((ref = table_next(&index->old, tag, &step)))
        (void)enter(&index->table, tag, ref);
}

uint32_t counter_index_next(struct counter_index *index, uint32_t tag, uint32_t *step)
{
    if (unlikely(index->old.buckets) && *step == 0) {
        move_tag(index, tag);
        move_buckets(index, MOVE_BUCKETS);
    }
    return table_next(&index->table, tag, step);
}

/* Grown when three slots in four are taken: at that load 5 % of the entries stand outside of their
 * home bucket, and between two growths an entry takes 11 to 21 bytes. */
static bool is_crowded(const struct counter_index *index)
{
    return index->entries >= ((size_t)index->table.mask + 1) * COUNTER_INDEX_SLOTS / 4 * 3;
}

static int grow(struct counter_index *index)
{
    struct counter_table grown;

    if (table_init(&grown, index->table.mask * 2 + 1))
        return -ENOMEM;
    move_buckets(index, UINT32_MAX); /* if there are any left, the owner enters without looking */
    index->old = index->table;
    index->table = grown;
    index->moved = 0;
    return 0;
}

int counter_index_put(struct counter_index *index, uint32_t tag, uint32_t ref)
{
    /* Crowded is not full: if memory is short, a few more still find room. */
    if (is_crowded(index) && grow(index) &&
        index->entries >= ((size_t)index->table.mask + 1) * (COUNTER_INDEX_SLOTS - 1))
        return -ENOMEM;
    if (!enter(&index->table, tag, ref))
        return -ENOMEM;
    index->entries++;
    return 0;
}
