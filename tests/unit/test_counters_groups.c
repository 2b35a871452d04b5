/*
 * The counter map, whole groups of ids at once, against a plain list of what was counted: at
 * random, over the growth of the index, at the cap, with ids of one hash, and past many chunks.
 */
#include "aggregator/counters.h"
#include "common/compiler.h"
#include "tests/unit/counters_tally.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED    0x636f756eu
#define LONGEST 300 /* bytes of an id, but for the few that are larger */

static const struct hash_key key = {1, 2};

/* Random ids of 1 to LONGEST bytes, most of them short, in random order; no two are the same. */
static void add_random_ids(struct tally *tally, uint64_t *random, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        size_t length = 1 + random_below(random, random_below(random, 4) ? 24 : LONGEST);
        uint8_t id[LONGEST];

        for (size_t at = 0; at < length; at++)
            id[at] = (uint8_t)random_next(random);
        tally_add_id(tally, id, length);
    }
    qsort(tally->entries, tally->count, sizeof *tally->entries, compare_ids);
    for (size_t i = 0; i < tally->count; i++) {
        size_t place = random_below(random, kept + 1);
        struct entry entry = tally->entries[i];

        if (i + 1 < tally->count && compare_ids(&entry, &tally->entries[i + 1]) == 0) {
            free((void *)entry.id.bytes);
            continue;
        }
        tally->entries[kept] = tally->entries[place];
        tally->entries[place] = entry;
        kept++;
    }
    tally->count = kept;
}

/* Groups of any size, of ids that are often new and often twice in a group, past many growths of
 * the index and, if `max_devices` is less than `ids`, past the cap. */
static void count_at_random(size_t ids, size_t max_devices, bool one_by_one)
{
    struct counters *counters = counters_create(&key, max_devices);
    struct tally tally = tally_create(ids, max_devices);
    uint64_t random = SEED;

    add_random_ids(&tally, &random, ids);
    for (size_t seen = COUNTERS_GROUP; seen < tally.count; seen += random_below(&random, 24)) {
        size_t places[COUNTERS_GROUP], count = random_below(&random, COUNTERS_GROUP + 1);

        for (size_t i = 0; i < count; i++) {
            bool recent = random_below(&random, 2);

            places[i] = recent ? seen - 1 - random_below(&random, COUNTERS_GROUP)
                               : random_below(&random, seen);
        }
        count_group(counters, &tally, random_below(&random, COUNTERS_LANES), places, count,
                    one_by_one);
    }
    check_map(counters, &tally);
    counters_destroy(counters);
    tally_destroy(&tally);
}

static void add_each_random_groups_equals_one_by_one(void **state)
{
    (void)state;
    for (int one_by_one = 0; one_by_one <= 1; one_by_one++) {
        count_at_random(5000, 5000, one_by_one);
        count_at_random(5000, 700, one_by_one); /* the cap */
        count_at_random(200, 0, one_by_one);
    }
}

static void add_each_new_ids_twice_in_group_makes_one_counter(void **state)
{
    struct counters *counters = counters_create(&key, 10);
    struct tally tally = tally_create(2, 10);
    const size_t places[] = {0, 1, 0, 0, 1};

    (void)state;
    tally_add_id(&tally, "pump-1", 6);
    tally_add_id(&tally, "pump-2", 6);
    count_group(counters, &tally, 1, places, ARRAY_LENGTH(places), false);
    assert_int_equal(counters_count(counters), 2);
    check_map(counters, &tally);
    count_group(counters, &tally, 0, places, 0, false); /* an empty group does nothing */
    check_map(counters, &tally);
    counters_destroy(counters);
    tally_destroy(&tally);
}

/* New ids only, in full groups shifted by 0 to 31: so the index grows at each place of a group. */
static void add_each_growth_within_group_loses_nothing(void **state)
{
    enum { N = 2000 };

    (void)state;
    for (size_t shift = 0; shift < COUNTERS_GROUP; shift++) {
        struct counters *counters = counters_create(&key, N);
        struct tally tally = tally_create(N, N);
        size_t size = shift, places[COUNTERS_GROUP];

        for (unsigned i = 0; i < N; i++) {
            char id[16];

            tally_add_id(&tally, id, (size_t)snprintf(id, sizeof id, "device-%04u", i));
        }
        for (size_t at = 0; at < N; at += size, size = COUNTERS_GROUP) {
            size = size < N - at ? size : N - at;
            for (size_t i = 0; i < size; i++)
                places[i] = at + i;
            count_group(counters, &tally, shift % COUNTERS_LANES, places, size, false);
        }
        check_map(counters, &tally);
        counters_destroy(counters);
        tally_destroy(&tally);
    }
}

static void add_each_cap_within_group_goes_to_overflow(void **state)
{
    (void)state;
    for (size_t cap = 0; cap <= COUNTERS_GROUP + 1; cap++) {
        struct counters *counters = counters_create(&key, cap);
        struct tally tally = tally_create(COUNTERS_GROUP, cap);
        size_t places[COUNTERS_GROUP];

        for (size_t i = 0; i < COUNTERS_GROUP; i++) {
            tally_add_id(&tally, &(uint8_t){(uint8_t)i}, 1);
            places[i] = i;
        }
        count_group(counters, &tally, 0, places, COUNTERS_GROUP, false);
        count_group(counters, &tally, 1, places, COUNTERS_GROUP, false);
        check_map(counters, &tally);
        counters_destroy(counters);
        tally_destroy(&tally);
    }
}

/* ---- Ids with one hash ---------------------------------------------------------------------- */

/* What hash_bytes() mixes into the two words that it multiplies at last. A key that makes one word
 * of a product 0 hides the other, and then ids that differ in it have one hash. */
#define HASH_LOW  0x9e3779b97f4a7c15u
#define HASH_HIGH 0x6a09e667f3bcc909u

/* Finds a key under which the hash of this id does not depend on its byte at `at`. Returns false
 * if there is none for that place. */
static bool find_blind_key(const uint8_t *id, size_t length, size_t at, struct hash_key *blind)
{
    size_t last = (length - 1) / 16 * 16, left = length - last;
    size_t word = left >= 8 ? 8 : left >= 4 ? 4 : 0;
    uint64_t high = word == 8   ? load_u64(id + length - 8)
                    : word == 4 ? load_u32(id + length - 4)
                                : 0;

    if (last > 0 && at < 16) { /* of the first block, one word hides the other */
        *blind = at < 8 ? (struct hash_key){length ^ load_u64(id + 8), 2}
                        : (struct hash_key){1, load_u64(id)};
        return true;
    }
    if (word == 8 && (at < last || at >= last + 8)) {
        *blind = (struct hash_key){1, load_u64(id + last) ^ HASH_LOW};
        return true;
    }
    *blind = (struct hash_key){length ^ high ^ HASH_HIGH, 2};
    return last == 0 && at < length - word;
}

/* Counts ids that have one hash under `blind`: nothing but their comparison keeps them apart. */
static void check_colliding(struct tally *tally, const struct hash_key *blind)
{
    struct counters *counters = counters_create(blind, tally->max_devices);
    const struct packet_id *first = &tally->entries[0].id;
    uint64_t hash = hash_bytes(blind, first->bytes, first->length);

    for (size_t i = 0; i < 4 * tally->count; i++) {
        const struct packet_id *id = &tally->entries[i % tally->count].id;
        size_t places[] = {i % tally->count, 0, i % tally->count, tally->count - 1};

        /* Else hash_bytes() has changed, and find_blind_key() must. */
        assert_int_equal(hash_bytes(blind, id->bytes, id->length), hash);
        count_group(counters, tally, i % COUNTERS_LANES, places, ARRAY_LENGTH(places), i % 3 == 2);
    }
    assert_int_equal(tally->known, tally->count);
    check_map(counters, tally);
    counters_destroy(counters);
}

static void add_each_ids_equal_but_for_one_byte_stay_apart(void **state)
{
    static const size_t lengths[] = {1,  2,  3,  5,  6,  7,  9,  10, 12, 15, 16, 17, 18,  20,
                                     23, 24, 25, 31, 32, 40, 44, 48, 63, 64, 72, 76, 128, LONGEST};
    size_t checked = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        for (size_t at = 0; at < lengths[i]; at++) {
            struct tally tally = tally_create(4, 4);
            struct hash_key blind;
            uint8_t id[LONGEST];

            for (size_t byte = 0; byte < lengths[i]; byte++)
                id[byte] = (uint8_t)('a' + byte % 23);
            if (find_blind_key(id, lengths[i], at, &blind)) {
                for (unsigned change = 0; change < 4; change++) {
                    id[at] = (uint8_t)("\x00\x01\x7f\x80"[change] ^ ('a' + at % 23));
                    tally_add_id(&tally, id, lengths[i]);
                }
                check_colliding(&tally, &blind);
                checked++;
            }
            tally_destroy(&tally);
        }
    }
    assert_in_range(checked, 750, 1100);
}

/* Each is the start of the next, and what comes on is zeros. */
static void add_each_ids_equal_but_for_length_stay_apart(void **state)
{
    const uint8_t id[16] = "pump-001";
    struct tally tally = tally_create(9, 9);
    struct hash_key blind;

    (void)state;
    for (size_t length = 8; length <= sizeof id; length++)
        tally_add_id(&tally, id, length);
    assert_true(find_blind_key(id, sizeof id, 8, &blind));
    check_colliding(&tally, &blind);
    tally_destroy(&tally);
}

/* ---- The arena ------------------------------------------------------------------------------ */

/* Enough for several of its chunks of 4 MiB, with ids now and then that do not fit into what is
 * left of one. */
static void add_each_past_many_chunks_loses_nothing(void **state)
{
    enum { N = 40000, LARGE = 65535 };
    struct counters *counters = counters_create(&key, N);
    struct tally tally = tally_create(N, N);
    uint8_t *id = calloc(1, LARGE);
    struct counter *first;

    (void)state;
    assert_non_null(id);
    for (uint32_t i = 0; i < N; i++) {
        memcpy(id, &i, sizeof i);
        memcpy(id + LONGEST - sizeof i, &i, sizeof i);
        tally_add_id(&tally, id, i % 256 == 255 ? LARGE : LONGEST);
    }
    memset(id, 0, LARGE); /* what is now the first id */
    first = counters_add(counters, 0, id, LONGEST, 1);
    tally_count(&tally, 0, 0);
    for (unsigned lane = 0; lane < COUNTERS_LANES; lane++) {
        for (size_t at = 0; at < N; at += COUNTERS_GROUP) {
            size_t places[COUNTERS_GROUP];

            for (size_t i = 0; i < COUNTERS_GROUP; i++)
                places[i] = lane == 0 ? at + i : (at + i) * 7919 % N;
            count_group(counters, &tally, lane, places, COUNTERS_GROUP, false);
        }
    }
    assert_ptr_equal(counters_add(counters, 0, id, LONGEST, 1), first);
    tally_count(&tally, 0, 0);
    check_map(counters, &tally);
    assert_ptr_equal(counters_add(counters, 0, id, LONGEST, 1), first);
    free(id);
    counters_destroy(counters);
    tally_destroy(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_each_random_groups_equals_one_by_one),
        cmocka_unit_test(add_each_new_ids_twice_in_group_makes_one_counter),
        cmocka_unit_test(add_each_growth_within_group_loses_nothing),
        cmocka_unit_test(add_each_cap_within_group_goes_to_overflow),
        cmocka_unit_test(add_each_ids_equal_but_for_one_byte_stay_apart),
        cmocka_unit_test(add_each_ids_equal_but_for_length_stay_apart),
        cmocka_unit_test(add_each_past_many_chunks_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
