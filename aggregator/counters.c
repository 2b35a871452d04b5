/*
 * Concurrency Kit's ck_hs finds counters by id; the counters themselves stand in an arena of
 * chunks that only grows, so a pointer to one is good for ever and growth of the index never
 * touches what another thread reads.
 *
 * Why two threads may use one map. The owner alone uses the index, the arena, and the lane that
 * it holds. The other thread follows the list of the lane it was handed: heads, links and values
 * of one lane are memory of their own, written only by that lane's holder; ids are written before
 * a counter is first listed. The hand-over itself (cut.c) is a release store and an acquire load
 * in each direction, which orders all of this. tests/unit/test_cut.c tortures it.
 */
#include "aggregator/counters.h"

#include <ck_hs.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INITIAL_CAPACITY  1024
#define FIRST_CHUNK_BYTES ((size_t)64 << 10)
#define MAX_CHUNK_BYTES   ((size_t)4 << 20)

/* What ck_hs compares: a look-up and a counter both start with it. */
struct key {
    const uint8_t *bytes;
    uint32_t length;
    uint32_t hash_high; /* a cheap way to tell most unequal ids apart */
};

struct counter {
    struct key key; /* bytes point behind the struct */
    uint64_t value[COUNTERS_LANES];
    struct counter *next[COUNTERS_LANES];
};

struct chunk {
    struct chunk *next;
    size_t used, size; /* bytes, this header included */
};

struct counters {
    ck_hs_t index;
    struct hash_key hash_key;
    struct chunk *chunks; /* the newest first */
    struct counter *overflow;
    size_t count, max;

    /* A lane's list. Each on its own lines: the two are written by different threads. */
    struct lane {
        struct counter *head;
    } CACHE_ALIGNED lanes[COUNTERS_LANES];
};

static void *index_malloc(size_t bytes)
{
    return malloc(bytes);
}

/* Only the owner reads the index, so nobody can still hold what is freed: `defer` is moot. */
static void index_free(void *memory, size_t bytes, bool defer)
{
    (void)bytes;
    (void)defer;
    free(memory);
}

static struct ck_malloc index_memory = {.malloc = index_malloc, .free = index_free};

static uint64_t hash_of(const struct counters *counters, const uint8_t *id, size_t length)
{
    return hash_bytes(&counters->hash_key, id, length);
}

/* Called when the index grows. Its seed carries the address of our key. */
static unsigned long index_hash(const void *object, unsigned long seed)
{
    const struct key *key = object;

    return hash_bytes((const struct hash_key *)seed, key->bytes, key->length);
}

static bool index_equal(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    return x->hash_high == y->hash_high && x->length == y->length &&
           memcmp(x->bytes, y->bytes, x->length) == 0;
}

static void *arena_take(struct counters *counters, size_t bytes)
{
    struct chunk *chunk = counters->chunks;
    size_t size;
    void *memory;

    bytes = (bytes + 7) & ~(size_t)7;
    if (!chunk || chunk->size - chunk->used < bytes) {
        size = chunk ? chunk->size * 2 : FIRST_CHUNK_BYTES;
        if (size > MAX_CHUNK_BYTES)
            size = MAX_CHUNK_BYTES;
        if (size < sizeof *chunk + bytes)
            size = sizeof *chunk + bytes;
        chunk = malloc(size);
        if (!chunk)
            return NULL;
        *chunk = (struct chunk){.next = counters->chunks, .used = sizeof *chunk, .size = size};
        counters->chunks = chunk;
    }
    memory = (char *)chunk + chunk->used;
    chunk->used += bytes;
    return memory;
}

static struct counter *counter_create(struct counters *counters, const struct key *key,
                                      uint64_t hash)
{
    struct counter *counter = arena_take(counters, sizeof *counter + key->length);
    uint8_t *id;

    if (!counter)
        return NULL;
    id = (uint8_t *)(counter + 1);
    memcpy(id, key->bytes, key->length);
    *counter = (struct counter){.key = {id, key->length, key->hash_high}};
    /* Should this fail, the counter's bytes are lost until the map goes: memory is short anyhow. */
    return ck_hs_put(&counters->index, hash, counter) ? counter : NULL;
}

struct counters *counters_create(const struct hash_key *hash_key, size_t max_devices)
{
    struct counters *counters = aligned_alloc(CACHE_LINE_BYTES, sizeof *counters);
    struct key key = {.bytes = (const uint8_t *)COUNTERS_OVERFLOW_ID,
                      .length = sizeof COUNTERS_OVERFLOW_ID - 1};
    uint64_t hash;

    if (!counters)
        return NULL;
    memset(counters, 0, sizeof *counters);
    counters->hash_key = *hash_key;
    counters->max = max_devices;
    if (!ck_hs_init(&counters->index, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, index_hash, index_equal,
                    &index_memory, INITIAL_CAPACITY, (unsigned long)&counters->hash_key)) {
        free(counters);
        errno = ENOMEM;
        return NULL;
    }
    hash = hash_of(counters, key.bytes, key.length);
    key.hash_high = (uint32_t)(hash >> 32);
    counters->overflow = counter_create(counters, &key, hash);
    if (!counters->overflow) {
        counters_destroy(counters);
        errno = ENOMEM;
        return NULL;
    }
    return counters;
}

void counters_destroy(struct counters *counters)
{
    if (!counters)
        return;
    while (counters->chunks) {
        struct chunk *next = counters->chunks->next;

        free(counters->chunks);
        counters->chunks = next;
    }
    ck_hs_destroy(&counters->index);
    free(counters);
}

struct counter *counters_get(struct counters *counters, const uint8_t *id, size_t length)
{
    uint64_t hash = hash_of(counters, id, length);
    struct key key = {id, (uint32_t)length, (uint32_t)(hash >> 32)};
    struct counter *counter = ck_hs_get(&counters->index, hash, &key);

    if (likely(counter))
        return counter;
    if (counters->count >= counters->max)
        return counters->overflow;
    counter = counter_create(counters, &key, hash);
    if (!counter)
        return counters->overflow;
    counters->count++;
    return counter;
}

void counters_add(struct counters *counters, unsigned lane, struct counter *counter, uint64_t n)
{
    if (counter->value[lane] == 0) {
        counter->next[lane] = counters->lanes[lane].head;
        counters->lanes[lane].head = counter;
    }
    counter->value[lane] += n;
}

struct counter *counters_pop(struct counters *counters, unsigned lane, uint64_t *n)
{
    struct counter *counter = counters->lanes[lane].head;

    if (!counter)
        return NULL;
    counters->lanes[lane].head = counter->next[lane];
    *n = counter->value[lane];
    counter->value[lane] = 0;
    return counter;
}

const uint8_t *counter_id(const struct counter *counter, size_t *length)
{
    *length = counter->key.length;
    return counter->key.bytes;
}

bool counters_is_overflow(const struct counters *counters, const struct counter *counter)
{
    return counter == counters->overflow;
}

size_t counters_count(const struct counters *counters)
{
    return counters->count;
}
