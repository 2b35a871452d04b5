/*
 * The counters stand in an arena of chunks that only grows, so that a pointer to one is good for
 * ever; aggregator/counter_index.h finds them. Whatever points to a counter from inside a map is a
 * reference of 32 bits: its place in the arena in units of 8 bytes, which makes for 32 GiB. A
 * counter takes 34 bytes, its id, and what rounds the two up.
 *
 * Why two threads may use one map. The owner alone uses the index, the arena, and the lane that
 * it holds. The other thread follows the list of the lane it was handed, or takes from a counter
 * of it that it knows: heads, links and values of one lane are memory of their own, written only by
 * that lane's holder; ids, and the chunk that a counter is in, are written before it is first
 * listed, and `chunks` and `overflow` never change. The hand-over itself (cut.c) is a release store
 * and an acquire load in each direction, which orders all of this.
 * `twin` is the owner's until counters_take_new() has given the counter away, and the flusher's
 * from then on. tests/unit/test_cut.c tortures all this.
 */
#include "aggregator/counters.h"

#include "aggregator/counter_index.h"
#include "common/allowance.h"
#include "common/pressure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define UNIT_BYTES  8
#define CHUNK_BYTES ((size_t)4 << 20)
#define CHUNK_UNITS ((uint32_t)(CHUNK_BYTES / UNIT_BYTES))
#define MAX_CHUNKS  (UINT32_MAX / CHUNK_UNITS)
#define LISTS       8 /* of a lane; see counters_pop() */

struct counter {
    uint64_t value[COUNTERS_LANES];
    uint32_t next[COUNTERS_LANES]; /* references; 0 ends the list */
    struct counter *twin;          /* the next new one; then the flusher's */
    uint16_t length;
    uint8_t id[];
};

struct counters {
    struct counter_index index;
    struct hash_key hash_key;
    uint32_t overflow;      /* a reference */
    struct counter *newest; /* made since counters_take_new(), chained by `twin` */
    size_t count, max;
    struct allowance *allowance; /* of whoever is counting now */
    const struct pressure *pressure;

    uint8_t **chunks; /* MAX_CHUNKS of them, NULL from `chunk_count` on */
    uint32_t chunk_count;
    uint32_t used; /* units of the last chunk */

    /* A lane's lists, which take turns. Each lane on its own lines: the two are written by
     * different threads. */
    struct lane {
        uint32_t heads[LISTS];
        uint32_t turn;
    } CACHE_ALIGNED lanes[COUNTERS_LANES];
};

/* ---- The arena ------------------------------------------------------------------------------ */

static inline struct counter *counter_at(const struct counters *counters, uint32_t ref)
{
    return (struct counter *)(counters->chunks[ref / CHUNK_UNITS] +
                              (size_t)(ref % CHUNK_UNITS) * UNIT_BYTES);
}

/* Huge pages, because counters are read all over the arena: they spare TLB misses. The first chunk
 * goes without, so that few devices take little memory. */
static bool add_chunk(struct counters *counters)
{
    uint8_t *chunk;

    if (counters->chunk_count == MAX_CHUNKS)
        return false;
    chunk = aligned_alloc(CHUNK_BYTES / 2, CHUNK_BYTES);
    if (!chunk)
        return false;
    if (counters->chunk_count > 0)
        madvise(chunk, CHUNK_BYTES, MADV_HUGEPAGE);
    counters->chunks[counters->chunk_count++] = chunk;
    return true;
}

/* Returns a reference to room for a counter, 0 when there is none. Reference 0 itself is never
 * given out: the arena starts behind it. */
static uint32_t arena_take(struct counters *counters, size_t bytes)
{
    size_t units = (bytes + UNIT_BYTES - 1) / UNIT_BYTES;
    uint32_t ref;

    if (units > CHUNK_UNITS - 1)
        return 0;
    if (counters->chunk_count == 0 || CHUNK_UNITS - counters->used < units) {
        if (!add_chunk(counters))
            return 0;
        counters->used = counters->chunk_count == 1 ? 1 : 0;
    }
    ref = (counters->chunk_count - 1) * CHUNK_UNITS + counters->used;
    counters->used += (uint32_t)units;
    return ref;
}

/* ---- Look-up -------------------------------------------------------------------------------- */

static inline uint32_t tag_of(const struct counters *counters, const uint8_t *id, size_t length)
{
    return counter_index_tag(hash_bytes(&counters->hash_key, id, length));
}

static inline bool is_id(const struct counter *counter, const uint8_t *id, size_t length)
{
    if (counter->length != length)
        return false;
    if (length < 8 || length > 16)
        return memcmp(counter->id, id, length) == 0;
    return load_u64(counter->id) == load_u64(id) &&
           load_u64(counter->id + length - 8) == load_u64(id + length - 8);
}

/* Returns a reference to a new counter that nothing finds yet, 0 when memory is short or the id too
 * long. */
static uint32_t counter_create(struct counters *counters, const uint8_t *id, size_t length)
{
    uint32_t ref =
        length <= UINT16_MAX ? arena_take(counters, offsetof(struct counter, id) + length) : 0;
    struct counter *counter;

    if (!ref)
        return 0;
    counter = counter_at(counters, ref);
    *counter = (struct counter){.length = (uint16_t)length};
    memcpy(counter->id, id, length);
    return ref;
}

/* The same, for the index to find and the flusher to hear of. */
static uint32_t counter_enter(struct counters *counters, const uint8_t *id, size_t length,
                              uint32_t tag)
{
    uint32_t ref = counter_create(counters, id, length);
    struct counter *counter;

    if (!ref)
        return 0;
    if (counter_index_put(&counters->index, tag, ref)) {
        counters->used = ref % CHUNK_UNITS; /* gives the room back */
        return 0;
    }
    counter = counter_at(counters, ref);
    counter->twin = counters->newest;
    counters->newest = counter;
    return ref;
}

/* Whether whoever counts now may have a counter made. All workers hash alike. */
static bool is_allowed(const struct counters *counters, const uint8_t *id, size_t length)
{
    return !counters->allowance ||
           allowance_take(counters->allowance, hash_bytes(&counters->hash_key, id, length));
}

/* The look-up that nothing escapes; makes the counter if there is none. Never 0. */
static uint32_t find_or_create(struct counters *counters, const uint8_t *id, size_t length,
                               uint32_t tag)
{
    uint32_t step = 0, ref;

    while ((ref = counter_index_next(&counters->index, tag, &step))) {
        if (is_id(counter_at(counters, ref), id, length))
            return ref;
    }
    if (counters->count >= counters->max || pressure_level(counters->pressure) == PRESSURE_FULL ||
        !is_allowed(counters, id, length))
        return counters->overflow;
    ref = counter_enter(counters, id, length, tag);
    if (!ref)
        return counters->overflow;
    counters->count++;
    return ref;
}

/* ---- Create and destroy --------------------------------------------------------------------- */

struct counters *counters_create(const struct hash_key *hash_key, size_t max_devices)
{
    static const uint8_t overflow_id[] = COUNTERS_OVERFLOW_ID;
    struct counters *counters = aligned_alloc(CACHE_LINE_BYTES, sizeof *counters);

    if (!counters)
        return NULL;
    memset(counters, 0, sizeof *counters);
    counters->hash_key = *hash_key;
    counters->max = max_devices;
    counters->chunks = calloc(MAX_CHUNKS, sizeof counters->chunks[0]);
    if (!counters->chunks || counter_index_init(&counters->index))
        goto err;
    counters->overflow = counter_create(counters, overflow_id, sizeof overflow_id - 1);
    if (!counters->overflow)
        goto err;
    return counters;

err:
    counters_destroy(counters);
    errno = ENOMEM;
    return NULL;
}

void counters_destroy(struct counters *counters)
{
    if (!counters)
        return;
    for (uint32_t i = 0; i < counters->chunk_count; i++)
        free(counters->chunks[i]); /* NOLINT(clang-analyzer-core.NullDereference): with a count */
    free(counters->chunks);
    counter_index_fini(&counters->index);
    free(counters);
}

/* ---- Lanes ---------------------------------------------------------------------------------- */

/* The list whose turn it is. */
static inline uint32_t *next_head(struct counters *counters, unsigned lane)
{
    struct lane *lists = &counters->lanes[lane];

    return &lists->heads[lists->turn++ % LISTS];
}

/* `ref` is the counter's. */
static inline void add(struct counters *counters, unsigned lane, uint32_t ref,
                       struct counter *counter, uint64_t n)
{
    if (unlikely(counter->value[lane] == 0)) {
        uint32_t *head = next_head(counters, lane);

        counter->next[lane] = *head;
        *head = ref;
    }
    counter->value[lane] += n;
}

struct counter *counters_add(struct counters *counters, unsigned lane, const uint8_t *id,
                             size_t length, uint64_t n)
{
    uint32_t ref = find_or_create(counters, id, length, tag_of(counters, id, length));
    struct counter *counter = counter_at(counters, ref);

    add(counters, lane, ref, counter, n);
    return counter;
}

/*
 * Three passes, so that what one pass fetches has come when the next one wants it: the buckets of
 * all ids, then the counters that these name, then the additions. A counter made in the last pass
 * moves nothing that the passes before have found.
 */
void counters_add_each(struct counters *counters, unsigned lane, const struct packet_id *ids,
                       size_t count)
{
    uint32_t tags[COUNTERS_GROUP], refs[COUNTERS_GROUP];
    struct counter *found[COUNTERS_GROUP];

    for (size_t i = 0; i < count; i++) {
        tags[i] = tag_of(counters, ids[i].bytes, ids[i].length);
        __builtin_prefetch(counter_index_home(&counters->index, tags[i]));
    }
    for (size_t i = 0; i < count; i++) {
        refs[i] = counter_index_peek(&counters->index, tags[i]);
        found[i] = counter_at(counters, refs[i]);
        __builtin_prefetch(found[i], 1);
        __builtin_prefetch(found[i]->id + 8, 0); /* half of them reach into a second line */
    }
    for (size_t i = 0; i < count; i++) {
        if (unlikely(!refs[i] || !is_id(found[i], ids[i].bytes, ids[i].length))) {
            refs[i] = find_or_create(counters, ids[i].bytes, ids[i].length, tags[i]);
            found[i] = counter_at(counters, refs[i]);
        }
        add(counters, lane, refs[i], found[i], 1);
    }
}

void counters_allow(struct counters *counters, struct allowance *allowance)
{
    counters->allowance = allowance;
}

void counters_heed(struct counters *counters, const struct pressure *pressure)
{
    counters->pressure = pressure;
}

/*
 * A list alone would be followed one miss at a time: a counter must have come from memory before
 * the next one is known. Eight lists in turn have eight of them on their way.
 */
struct counter *counters_pop(struct counters *counters, unsigned lane, uint64_t *n)
{
    for (int empty = 0; empty < LISTS;) {
        uint32_t *head = next_head(counters, lane);
        struct counter *counter = counter_at(counters, *head);

        if (!*head) {
            empty++;
            continue;
        }
        empty = 0;
        *head = counter->next[lane];
        __builtin_prefetch(counter_at(counters, *head), 1);
        *n = counter_take(counter, lane);
        if (*n)
            return counter;
    }
    return NULL;
}

uint64_t counter_take(struct counter *counter, unsigned lane)
{
    uint64_t n = counter->value[lane];

    counter->value[lane] = 0;
    return n;
}

struct counter *counters_take_new(struct counters *counters)
{
    struct counter *first = counters->newest;

    counters->newest = NULL;
    return first;
}

struct counter *counter_twin(const struct counter *counter)
{
    return counter->twin;
}

void counter_set_twin(struct counter *counter, struct counter *twin)
{
    counter->twin = twin;
}

const uint8_t *counter_id(const struct counter *counter, size_t *length)
{
    *length = counter->length;
    return counter->id;
}

bool counters_is_overflow(const struct counters *counters, const struct counter *counter)
{
    return counter == counter_at(counters, counters->overflow);
}

size_t counters_count(const struct counters *counters)
{
    return counters->count;
}

size_t counters_bytes(const struct counters *counters)
{
    size_t units = (size_t)(counters->chunk_count - 1) * CHUNK_UNITS + counters->used;

    return sizeof *counters + units * UNIT_BYTES + counter_index_bytes(&counters->index);
}
