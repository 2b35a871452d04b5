/*
 * The index of a counter map, against a plain list of what was put into it: every entry is found,
 * nothing else is, and a peek never mixes two of them.
 */
#include "aggregator/counter_index.h"
#include "common/compiler.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define SEED 0x696e6465u

/* All that was put in, in that order. An entry's reference is its place here and a half of ones
 * above it, so that two of them or-ed together are neither. */
struct oracle {
    struct counter_index index;
    uint32_t *tags;
    size_t count, room;
};

static uint32_t ref_of(size_t place)
{
    uint32_t low = (uint32_t)place + 1;

    return low | (~low & 0xfff) << 20;
}

static struct oracle oracle_create(size_t room)
{
    struct oracle oracle = {.tags = calloc(room, sizeof(uint32_t)), .room = room};

    assert_non_null(oracle.tags);
    assert_int_equal(counter_index_init(&oracle.index), 0);
    return oracle;
}

static void oracle_destroy(struct oracle *oracle)
{
    counter_index_fini(&oracle->index);
    free(oracle->tags);
}

static void put(struct oracle *oracle, uint32_t tag)
{
    assert_in_range(oracle->count, 0, oracle->room - 1);
    oracle->tags[oracle->count] = tag;
    assert_int_equal(counter_index_put(&oracle->index, tag, ref_of(oracle->count)), 0);
    oracle->count++;
    assert_int_equal(oracle->index.entries, oracle->count);
}

static uint32_t buckets_of(const struct oracle *oracle)
{
    return oracle->index.table.mask + 1;
}

/* What counter_index_peek() must return. */
static uint32_t peek_slowly(const struct counter_index *index, uint32_t tag)
{
    const struct counter_bucket *home = counter_index_home(index, tag);

    for (size_t slot = 0; slot < COUNTER_INDEX_SLOTS; slot++) {
        if (home->refs[slot] && home->tags[slot] == tag)
            return home->refs[slot];
    }
    return 0;
}

static size_t entries_of(const struct oracle *oracle, uint32_t tag)
{
    size_t count = 0;

    for (size_t i = 0; i < oracle->count; i++)
        count += oracle->tags[i] == tag;
    return count;
}

/* After a whole look-up that found something, a peek does too, if the home bucket has room. */
static void check_peek_after(const struct oracle *oracle, uint32_t tag)
{
    const struct counter_index *index = &oracle->index;
    bool is_full = counter_index_home(index, tag)->refs[COUNTER_INDEX_SLOTS - 1];

    assert_int_equal(counter_index_peek(index, tag), peek_slowly(index, tag));
    assert_true(is_full || counter_index_peek(index, tag));
}

/* Every entry of `tag` is found, each once, and no other; what is peeked is one of them. */
static void check_tag(struct oracle *oracle, uint32_t tag)
{
    uint8_t *seen = calloc(oracle->count + 1, 1);
    uint32_t peeked = counter_index_peek(&oracle->index, tag), step = 0, ref;
    bool is_one = peeked == 0;
    size_t found = 0;

    assert_non_null(seen);
    assert_int_equal(peeked, peek_slowly(&oracle->index, tag));
    while ((ref = counter_index_next(&oracle->index, tag, &step))) {
        size_t place = (ref & 0xfffff) - 1;

        if (place >= oracle->count || ref != ref_of(place) || oracle->tags[place] != tag ||
            seen[place]++)
            fail_msg("tag %#x: %#x is no entry of it, or was found twice", tag, ref);
        is_one |= ref == peeked;
        found++;
    }
    assert_int_equal(found, entries_of(oracle, tag));
    assert_true(is_one);
    if (found > 0)
        check_peek_after(oracle, tag);
    free(seen);
}

/* For an entry whose tag is its own: without a look at all the others. */
static void check_distinct(struct oracle *oracle, size_t i)
{
    uint32_t step = 0, tag = oracle->tags[i], peeked = counter_index_peek(&oracle->index, tag);

    if ((peeked && peeked != ref_of(i)) ||
        counter_index_next(&oracle->index, tag, &step) != ref_of(i) ||
        counter_index_next(&oracle->index, tag, &step) != 0)
        fail_msg("entry %zu of %zu, tag %#x", i, oracle->count, tag);
    check_peek_after(oracle, tag);
}

static void check_all_distinct(struct oracle *oracle)
{
    for (size_t i = 0; i < oracle->count; i++)
        check_distinct(oracle, i);
}

/* ---- Cases -------------------------------------------------------------------------------- */

static void tag_is_upper_half_of_hash(void **state)
{
    (void)state;
    assert_int_equal(counter_index_tag(0x123456789abcdef0u), 0x12345678);
}

static void peek_empty_index_finds_nothing(void **state)
{
    static const uint32_t tags[] = {0, 1, 63, 64, 0x80000000, UINT32_MAX};
    struct oracle oracle = oracle_create(1);

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(tags); i++)
        check_tag(&oracle, tags[i]);
    oracle_destroy(&oracle);
}

/* A free slot holds tag 0 as well. */
static void put_tag_0_is_found(void **state)
{
    struct oracle oracle = oracle_create(2);

    (void)state;
    put(&oracle, buckets_of(&oracle)); /* before it in the same bucket */
    check_tag(&oracle, 0);
    put(&oracle, 0);
    check_tag(&oracle, 0);
    assert_int_equal(counter_index_peek(&oracle.index, 0), ref_of(1));
    oracle_destroy(&oracle);
}

static void put_largest_tag_and_ref_are_found(void **state)
{
    struct counter_index index;
    uint32_t step = 0;

    (void)state;
    assert_int_equal(counter_index_init(&index), 0);
    assert_int_equal(counter_index_put(&index, UINT32_MAX, UINT32_MAX), 0);
    assert_int_equal(counter_index_peek(&index, UINT32_MAX), UINT32_MAX);
    assert_int_equal(counter_index_next(&index, UINT32_MAX, &step), UINT32_MAX);
    assert_int_equal(counter_index_next(&index, UINT32_MAX, &step), 0);
    counter_index_fini(&index);
}

/* Every slot of a bucket, and what comes after them; from the bucket in the middle, and from the
 * last one, behind which is the first. */
static void put_full_bucket_spills_to_the_next(void **state)
{
    const uint32_t homes[] = {17, 62, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(homes); i++) {
        struct oracle oracle = oracle_create(4 * COUNTER_INDEX_SLOTS);
        uint32_t buckets = buckets_of(&oracle), home = homes[i] & oracle.index.table.mask;

        for (uint32_t n = 0; n < 3 * COUNTER_INDEX_SLOTS; n++) {
            put(&oracle, home + n * buckets);
            assert_int_equal(counter_index_peek(&oracle.index, home + n * buckets),
                             n < COUNTER_INDEX_SLOTS ? ref_of(n) : 0);
            for (uint32_t m = 0; m <= n + 1; m++) /* and one that is not there */
                check_tag(&oracle, home + m * buckets);
        }
        /* One whose home was filled by others. */
        put(&oracle, home + 1);
        check_tag(&oracle, home + 1);
        oracle_destroy(&oracle);
    }
}

/* Fewer than there are buckets, since a bucket holds one of them: alone, and with others among
 * them, that fill buckets on their way. */
static void put_equal_tags_finds_each(void **state)
{
    static const uint32_t tags[] = {0, 5, 63, 0xffffffff};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(tags); i++) {
        struct oracle oracle = oracle_create(400);
        uint32_t tag = tags[i / 2], buckets = buckets_of(&oracle), peeked;

        put(&oracle, tag);
        peeked = counter_index_peek(&oracle.index, tag);
        assert_int_equal(peeked, ref_of(0));
        for (uint32_t n = 1; n < buckets - 1; n++) {
            put(&oracle, tag);
            for (uint32_t other = 1; i % 2 && other < 4; other++)
                put(&oracle, tag + n + other * buckets);
            check_tag(&oracle, tag);
            check_tag(&oracle, tag + n + buckets);
            check_tag(&oracle, tag + buckets);
        }
        oracle_destroy(&oracle);
    }
}

/* The i-th of many tags, each of which comes once. */
static uint32_t distinct_tag(uint32_t i)
{
    return i * 0x9e3779b1u; /* odd */
}

/* Growth goes on with look-ups: so all are looked up after each growth; or some now and then, there
 * or not; or none before the end. */
static void put_many_survives_each_growth(void **state)
{
    enum { N = 300000 };
    enum looks { ALL, SOME, NONE };
    uint64_t random = SEED;

    (void)state;
    for (enum looks looks = ALL; looks <= NONE; looks++) {
        struct oracle oracle = oracle_create(N);
        unsigned growths = 0;

        for (uint32_t i = 0; i < N; i++) {
            uint32_t buckets = buckets_of(&oracle), step = 0;

            put(&oracle, distinct_tag(i));
            if (looks == SOME && random_below(&random, 32) == 0) {
                check_distinct(&oracle, random_below(&random, oracle.count));
                assert_int_equal(counter_index_next(&oracle.index, distinct_tag(N + i), &step), 0);
            }
            if (buckets_of(&oracle) == buckets)
                continue;
            assert_int_equal(buckets_of(&oracle), 2 * buckets);
            growths++;
            if (looks == ALL)
                check_all_distinct(&oracle);
        }
        assert_in_range(growths, 8, 16);
        check_all_distinct(&oracle);
        oracle_destroy(&oracle);
    }
}

/* Fewer look-ups than the old table has buckets, of any tags, there or not. */
static void next_some_times_ends_growth(void **state)
{
    struct oracle oracle = oracle_create(1000);
    uint32_t before = buckets_of(&oracle);

    (void)state;
    for (uint32_t i = 0; buckets_of(&oracle) == before; i++)
        put(&oracle, distinct_tag(i));
    assert_non_null(oracle.index.old.buckets);
    for (uint32_t i = 0, step = 0; i < before; i++, step = 0)
        assert_int_equal(counter_index_next(&oracle.index, distinct_tag(1000 + i), &step), 0);
    assert_null(oracle.index.old.buckets);
    check_all_distinct(&oracle);
    oracle_destroy(&oracle);
}

static bool is_mapped(void *page)
{
    unsigned char resident;

    return mincore(page, 1, &resident) == 0;
}

/* What a growth has not moved yet goes with the index. */
static void fini_amid_growth_frees_both_tables(void **state)
{
    struct oracle oracle = oracle_create(1000);
    uint32_t before = buckets_of(&oracle);
    void *old, *grown;

    (void)state;
    for (uint32_t i = 0; buckets_of(&oracle) == before; i++)
        put(&oracle, distinct_tag(i));
    check_distinct(&oracle, 0);
    old = oracle.index.old.buckets;
    grown = oracle.index.table.buckets;
    assert_true(is_mapped(old) && is_mapped(grown));
    oracle_destroy(&oracle);
    assert_false(is_mapped(old) || is_mapped(grown));
}

/* Tags of a few homes and few values, so that equal ones, full buckets and long ways are the rule;
 * the homes lie at the end, so that ways lead around it. */
static void put_colliding_tags_agrees_with_oracle(void **state)
{
    enum { ROUNDS = 12, N = 3000 };
    uint64_t random = SEED;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct oracle oracle = oracle_create(N);
        uint32_t values = 1u << (5 + round % 4), buckets = buckets_of(&oracle);
        size_t n = N / (1 + round);

        for (size_t i = 0; i < n; i++) {
            uint32_t value = (uint32_t)random_below(&random, values);
            uint32_t tag = (value >> 3) << 16 | 0xfff8 | (value & 7);

            put(&oracle, tag);
            if (random_below(&random, 4) == 0)
                check_tag(&oracle, tag);
            if (i % 250 && (buckets_of(&oracle) == buckets || round % 2))
                continue;
            buckets = buckets_of(&oracle);
            for (value = 0; value < values + 8; value++)
                check_tag(&oracle, (value >> 3) << 16 | 0xfff8 | (value & 7));
        }
        oracle_destroy(&oracle);
    }
}

/* With no more address space the index fills up past where it would grow, says so, and loses
 * nothing; with memory again it goes on. */
static void put_without_memory_fills_up_and_fails(void **state)
{
    enum { N = 100000 };
    struct oracle oracle = oracle_create(N);
    struct rlimit before, none;
    uint32_t mask;
    size_t entries;
    int result = 0;

    (void)state;
    for (uint32_t i = 0; i < 500; i++)
        put(&oracle, distinct_tag(i));
    mask = oracle.index.table.mask;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
    for (; oracle.count < N && result == 0; oracle.count += result == 0) {
        oracle.tags[oracle.count] = distinct_tag((uint32_t)oracle.count);
        result = counter_index_put(&oracle.index, oracle.tags[oracle.count], ref_of(oracle.count));
    }
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);

    assert_int_equal(result, -ENOMEM);
    assert_int_equal(oracle.index.table.mask, mask);
    entries = ((size_t)mask + 1) * COUNTER_INDEX_SLOTS;
    assert_in_range(oracle.count, entries / 4 * 3 + 1, entries - 1); /* past where it grows */
    assert_int_equal(oracle.index.entries, oracle.count);
    check_all_distinct(&oracle);
    put(&oracle, distinct_tag((uint32_t)oracle.count));
    assert_int_equal(oracle.index.table.mask, 2 * mask + 1);
    check_all_distinct(&oracle);
    oracle_destroy(&oracle);
}

/* Found as a hang: a tag for which every bucket had been taken was looked for without an end. */
static void put_tag_in_every_bucket_fails(void **state)
{
    struct counter_index index;
    uint32_t puts = 0, found = 0, step = 0;

    (void)state;
    assert_int_equal(counter_index_init(&index), 0);
    while (counter_index_put(&index, 7, puts + 1) == 0)
        puts++;
    assert_int_equal(puts, index.table.mask + 1);
    while (counter_index_next(&index, 7, &step))
        found++;
    assert_int_equal(found, puts);
    counter_index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tag_is_upper_half_of_hash),
        cmocka_unit_test(peek_empty_index_finds_nothing),
        cmocka_unit_test(put_tag_0_is_found),
        cmocka_unit_test(put_largest_tag_and_ref_are_found),
        cmocka_unit_test(put_full_bucket_spills_to_the_next),
        cmocka_unit_test(put_equal_tags_finds_each),
        cmocka_unit_test(put_many_survives_each_growth),
        cmocka_unit_test(next_some_times_ends_growth),
        cmocka_unit_test(fini_amid_growth_frees_both_tables),
        cmocka_unit_test(put_colliding_tags_agrees_with_oracle),
        cmocka_unit_test(put_without_memory_fills_up_and_fails),
        cmocka_unit_test(put_tag_in_every_bucket_fails),
    };

    return cmocka_run_group_tests_name("counter_index", tests, NULL, NULL);
}
