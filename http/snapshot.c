/*
 * Two blocks: the ids one after the other as they were read, and an array of entries that point
 * to them by offset. Both grow by doubling and live in mappings of their own: mremap() moves pages
 * instead of copying bytes, pages never written take no memory, and what is freed goes back to the
 * system at once, so that a million devices cost memory only while somebody asks for them.
 *
 * No id is empty, so offsets grow in reading order: of two entries with equal ids the one with the
 * larger offset was read last. The sort breaks ties by it, which puts the last count of an id at
 * the end of its run.
 */
#include "http/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_BLOCK_BYTES (64 * 1024)
#define OFFSET_BITS       40 /* a terabyte of ids */
#define LENGTH_BITS       24

struct entry {
    uint64_t offset : OFFSET_BITS; /* of the id in `ids` */
    uint64_t length : LENGTH_BITS;
    int64_t count;
};

struct block {
    void *bytes;
    size_t used, size;
};

struct snapshot {
    struct block ids;
    struct block entries; /* of struct entry */
};

/* Makes room for `more` bytes. Returns 0 or -ENOMEM. */
static int block_reserve(struct block *block, size_t more)
{
    size_t size = block->size ? block->size : FIRST_BLOCK_BYTES;
    void *bytes;

    if (more <= block->size - block->used)
        return 0;
    while (more > size - block->used)
        size *= 2;
    if (block->bytes)
        bytes = mremap(block->bytes, block->size, size, MREMAP_MAYMOVE);
    else
        bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return -ENOMEM;
    block->bytes = bytes;
    block->size = size;
    return 0;
}

/* Copies bytes into room that was reserved. */
static void block_append(struct block *block, const void *bytes, size_t length)
{
    memcpy((uint8_t *)block->bytes + block->used, bytes, length);
    block->used += length;
}

static void block_free(struct block *block)
{
    if (block->bytes)
        munmap(block->bytes, block->size);
}

struct snapshot *snapshot_create(void)
{
    return calloc(1, sizeof(struct snapshot));
}

void snapshot_destroy(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    block_free(&snapshot->ids);
    block_free(&snapshot->entries);
    free(snapshot);
}

int snapshot_add(struct snapshot *snapshot, const void *id, size_t id_length, int64_t count)
{
    struct entry entry;

    if (id_length == 0 || id_length > SNAPSHOT_MAX_ID_BYTES)
        return -EINVAL;
    if (snapshot->ids.used >> OFFSET_BITS)
        return -ENOMEM;
    if (block_reserve(&snapshot->ids, id_length) || block_reserve(&snapshot->entries, sizeof entry))
        return -ENOMEM;
    entry = (struct entry){.offset = snapshot->ids.used, .length = id_length, .count = count};
    block_append(&snapshot->ids, id, id_length);
    block_append(&snapshot->entries, &entry, sizeof entry);
    return 0;
}

static int compare_ids(const uint8_t *ids, const struct entry *a, const struct entry *b)
{
    size_t common = a->length < b->length ? a->length : b->length;
    int order = memcmp(ids + a->offset, ids + b->offset, common);

    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_entries(const void *a, const void *b, void *ids)
{
    const struct entry *left = a, *right = b;
    int order = compare_ids(ids, left, right);

    return order ? order : (left->offset > right->offset) - (left->offset < right->offset);
}

void snapshot_seal(struct snapshot *snapshot)
{
    struct entry *entries = snapshot->entries.bytes;
    size_t length = snapshot_length(snapshot), kept = 0;

    if (length == 0)
        return;
    qsort_r(entries, length, sizeof *entries, compare_entries, snapshot->ids.bytes);
    for (size_t i = 1; i < length; i++) {
        if (compare_ids(snapshot->ids.bytes, &entries[kept], &entries[i]) != 0)
            kept++;
        entries[kept] = entries[i];
    }
    snapshot->entries.used = (kept + 1) * sizeof *entries;
}

size_t snapshot_length(const struct snapshot *snapshot)
{
    return snapshot->entries.used / sizeof(struct entry);
}

struct snapshot_device snapshot_get(const struct snapshot *snapshot, size_t index)
{
    const struct entry *entry = (const struct entry *)snapshot->entries.bytes + index;
    const uint8_t *ids = snapshot->ids.bytes;

    return (struct snapshot_device){ids + entry->offset, entry->length, entry->count};
}
