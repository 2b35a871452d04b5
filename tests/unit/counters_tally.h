/*
 * For test_counters_groups.c: a plain list of ids and of what was counted of each, and the map held
 * to it.
 */
#ifndef TALLYD_TESTS_COUNTERS_TALLY_H
#define TALLYD_TESTS_COUNTERS_TALLY_H

#include "aggregator/counters.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* The ids that a test counts, and what it has counted of each: in both lanes, and whether the id
 * has a counter of its own. */
struct tally {
    struct entry {
        struct packet_id id;
        uint64_t n[COUNTERS_LANES];
        bool known;
    } * entries;
    size_t count, room, known, max_devices;
    uint64_t overflow[COUNTERS_LANES];
};

static struct tally tally_create(size_t room, size_t max_devices)
{
    struct tally tally = {
        .entries = calloc(room, sizeof(struct entry)), .room = room, .max_devices = max_devices};

    assert_non_null(tally.entries);
    return tally;
}

static void tally_destroy(struct tally *tally)
{
    for (size_t i = 0; i < tally->count; i++)
        free((void *)tally->entries[i].id.bytes);
    free(tally->entries);
}

/* Each in a block of its own size, where a sanitizer sees a read past it. */
static void tally_add_id(struct tally *tally, const void *bytes, size_t length)
{
    uint8_t *copy = malloc(length);

    assert_non_null(copy);
    assert_in_range(tally->count, 0, tally->room - 1);
    memcpy(copy, bytes, length);
    tally->entries[tally->count++].id = (struct packet_id){copy, length};
}

static void tally_count(struct tally *tally, unsigned lane, size_t i)
{
    struct entry *entry = &tally->entries[i];

    if (!entry->known && tally->known < tally->max_devices) {
        entry->known = true;
        tally->known++;
    }
    if (entry->known)
        entry->n[lane]++;
    else
        tally->overflow[lane]++;
}

/* Counts a group of ids, named by their places, in the list and in the map: all at once, or one by
 * one. */
static void count_group(struct counters *counters, struct tally *tally, unsigned lane,
                        const size_t *places, size_t count, bool one_by_one)
{
    struct packet_id ids[COUNTERS_GROUP];

    for (size_t i = 0; i < count; i++) {
        ids[i] = tally->entries[places[i]].id;
        tally_count(tally, lane, places[i]);
        if (one_by_one)
            counters_add(counters, lane, ids[i].bytes, ids[i].length, 1);
    }
    if (!one_by_one)
        counters_add_each(counters, lane, ids, count);
}

static int compare_ids(const void *a, const void *b)
{
    const struct packet_id *x = &((const struct entry *)a)->id, *y = &((const struct entry *)b)->id;

    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return memcmp(x->bytes, y->bytes, x->length);
}

/* Takes all off a lane: each counter must be in the list, with its number, and none be missing. */
static void check_lane(struct counters *counters, struct tally *tally, unsigned lane)
{
    struct counter *counter;
    uint64_t n, left = 0;

    while ((counter = counters_pop(counters, lane, &n))) {
        struct entry wanted = {.known = false}, *entry;

        wanted.id.bytes = counter_id(counter, &wanted.id.length);
        entry = bsearch(&wanted, tally->entries, tally->count, sizeof wanted, compare_ids);
        if (counters_is_overflow(counters, counter)) {
            assert_int_equal(n, tally->overflow[lane]);
            tally->overflow[lane] = 0;
        } else {
            assert_non_null(entry);
            assert_true(entry->known);
            assert_int_equal(n, entry->n[lane]);
            entry->n[lane] = 0;
        }
    }
    for (size_t i = 0; i < tally->count; i++)
        left += tally->entries[i].n[lane];
    assert_int_equal(left + tally->overflow[lane], 0);
}

/* Sorts the list: places mean nothing any more. */
static void check_map(struct counters *counters, struct tally *tally)
{
    qsort(tally->entries, tally->count, sizeof *tally->entries, compare_ids);
    for (unsigned lane = 0; lane < COUNTERS_LANES; lane++)
        check_lane(counters, tally, lane);
    assert_int_equal(counters_count(counters), tally->known);
}

#endif
