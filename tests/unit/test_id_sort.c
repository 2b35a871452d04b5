/* The sort by id against qsort() over whole ids, on ids that are alike in many ways. */
#include "common/compiler.h"
#include "http/id_sort.h"
#include "http/snapshot_entry.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST       5000
#define ID_ROOM    400
#define ROUNDS     60
#define DEEP_BYTES 200000

static uint8_t ids[MOST * ID_ROOM + 2 * DEEP_BYTES * 40];

static int compare(const void *a, const void *b)
{
    const struct snapshot_entry *left = a, *right = b;
    size_t common = left->length < right->length ? left->length : right->length;
    int order = memcmp(ids + left->offset, ids + right->offset, common);

    return order ? order : (left->length > right->length) - (left->length < right->length);
}

/* Makes one id at `id` and returns its length. A kind is a way of being alike. */
typedef size_t make_id(uint8_t *id, uint64_t *random);

static size_t make_numbered(uint8_t *id, uint64_t *random)
{
    return (size_t)sprintf((char *)id, "device-%07zu", random_below(random, 2 * MOST));
}

static size_t make_number(uint8_t *id, uint64_t *random)
{
    return (size_t)sprintf((char *)id, "%zu", random_below(random, 2 * MOST));
}

/* Few different bytes, NUL and 0xff among them: most ids begin another one, or are equal. */
static size_t make_few_bytes(uint8_t *id, uint64_t *random)
{
    size_t length = 1 + random_below(random, 20);

    for (size_t i = 0; i < length; i++)
        id[i] = (uint8_t) "\0\0\0\1\xff"[random_below(random, 5)];
    return length;
}

/* One byte repeated: ids differ in their lengths only. */
static size_t make_repeated(uint8_t *id, uint64_t *random)
{
    size_t length = 1 + random_below(random, ID_ROOM);

    memset(id, 0, length);
    return length;
}

/* The same long beginning for all, and a short end. */
static size_t make_long(uint8_t *id, uint64_t *random)
{
    size_t length = 290 + random_below(random, 10);

    memset(id, 'x', length);
    id[length++] = (uint8_t)random_next(random);
    id[length++] = (uint8_t)random_next(random);
    return length;
}

static size_t make_random(uint8_t *id, uint64_t *random)
{
    size_t length = 1 + random_below(random, 40);

    for (size_t i = 0; i < length; i++)
        id[i] = (uint8_t)random_next(random);
    return length;
}

static make_id *const kinds[] = {make_numbered, make_number, make_few_bytes,
                                 make_repeated, make_long,   make_random};

/* Sorts both ways. Equal ids may come in any order, so it is ids that are compared; by their
 * counts, which tell them apart, no entry may be lost. */
static void assert_sorted(struct snapshot_entry *entries, size_t length)
{
    static struct snapshot_entry expected[MOST];
    bool seen[MOST] = {false};

    for (size_t i = 0; i < length; i++)
        entries[i].count = (int64_t)i;
    memcpy(expected, entries, length * sizeof *entries);
    qsort(expected, length, sizeof *expected, compare);
    assert_int_equal(id_sort(entries, length, ids), 0);
    for (size_t i = 0; i < length; i++) {
        if (compare(&entries[i], &expected[i]) != 0)
            fail_msg("entry %zu of %zu is not the one expected", i, length);
        assert_false(seen[entries[i].count]);
        seen[entries[i].count] = true;
    }
}

static void sort_random_ids_agrees_with_qsort(void **state)
{
    static struct snapshot_entry entries[MOST];
    uint64_t random = 7;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t length = random_below(&random, round % 2 ? MOST : 100), used = 0;

        for (size_t i = 0; i < length; i++) {
            make_id *make = kinds[round % 3 ? (size_t)round % ARRAY_LENGTH(kinds)
                                            : random_below(&random, ARRAY_LENGTH(kinds))];

            entries[i] = (struct snapshot_entry){.offset = used};
            entries[i].length = make(ids + used, &random);
            used += entries[i].length;
        }
        assert_sorted(entries, length);
    }
}

/* Each id begins the next longer one, far past any stack that a recursion would have. */
static void sort_deep_ids_agrees_with_qsort(void **state)
{
    static struct snapshot_entry entries[80];
    size_t used = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(entries); i++) {
        size_t length = DEEP_BYTES - 8 * (i * 37 % ARRAY_LENGTH(entries));

        memset(ids + used, 'x', length);
        ids[used + length - 1] = (uint8_t)(i % 3);
        entries[i] = (struct snapshot_entry){.offset = used, .length = length};
        used += length;
    }
    assert_sorted(entries, ARRAY_LENGTH(entries));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sort_random_ids_agrees_with_qsort),
        cmocka_unit_test(sort_deep_ids_agrees_with_qsort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
