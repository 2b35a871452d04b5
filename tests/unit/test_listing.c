/*
 * What a query lists, against a model that sorts and filters all devices by itself; and that
 * whoever walks all pages misses nobody, also while counts change.
 */
#include "common/compiler.h"
#include "http/listing.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEVICES 200
#define MAX_ID      8
#define ROUNDS      400

static const char *const allowed[] = {"prefix", "sort", "limit", "cursor", "device_id", NULL};

/* A query with what was read from it. */
struct parsed {
    struct query query;
    struct listing_query wanted;
};

static struct parsed *parse(const char *text)
{
    struct parsed *parsed = malloc(sizeof *parsed);
    struct query_error error;

    assert_non_null(parsed);
    assert_int_equal(query_parse(&parsed->query, text, allowed, &error), 0);
    if (listing_parse(&parsed->query, &parsed->wanted, &error))
        fail_msg("%s: %s: %s", text, error.parameter, error.text);
    return parsed;
}

static void release(struct parsed *parsed)
{
    query_free(&parsed->query);
    free(parsed);
}

/* ---- The model ------------------------------------------------------------------------------ */

struct device {
    char id[MAX_ID + 1]; /* no NULs here: test_snapshot.c has those */
    int64_t count;
};

struct world {
    struct device devices[MAX_DEVICES]; /* any order, no id twice */
    size_t length;
};

/* Ids of few letters, so that prefixes meet many, and counts of few values, so that many are
 * equal. */
static void make_world(struct world *world, uint64_t *seed, size_t length)
{
    world->length = 0;
    while (world->length < length) {
        struct device *device = &world->devices[world->length];
        size_t letters = 1 + random_below(seed, MAX_ID), known = 0;

        for (size_t i = 0; i < letters; i++)
            device->id[i] = "abc~"[random_below(seed, 4)];
        device->id[letters] = '\0';
        device->count = (int64_t)random_below(seed, 9) - 2;
        while (strcmp(world->devices[known].id, device->id) != 0)
            known++;
        world->length += known == world->length;
    }
}

static struct snapshot *snapshot_of(const struct world *world)
{
    struct snapshot *snapshot = snapshot_create();

    assert_non_null(snapshot);
    for (size_t i = 0; i < world->length; i++) {
        const struct device *device = &world->devices[i];

        assert_int_equal(snapshot_add(snapshot, device->id, strlen(device->id), device->count), 0);
    }
    assert_int_equal(snapshot_seal(snapshot, NULL), 0);
    return snapshot;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct device *)a)->id, ((const struct device *)b)->id);
}

static int by_count_down(const void *a, const void *b)
{
    const struct device *left = a, *right = b;

    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return by_id(a, b);
}

static int by_count_up(const void *a, const void *b)
{
    return by_count_down(b, a);
}

static const struct {
    const char *name;
    int (*compare)(const void *a, const void *b);
} orders[] = {{"device_id", by_id}, {"count", by_count_up}, {"-count", by_count_down}};

/* What the model lists. */
static void model(const struct world *world, size_t order, const char *prefix, struct world *out)
{
    out->length = 0;
    for (size_t i = 0; i < world->length; i++)
        if (!strncmp(world->devices[i].id, prefix, strlen(prefix)))
            out->devices[out->length++] = world->devices[i];
    qsort(out->devices, out->length, sizeof *out->devices, orders[order].compare);
}

/* ---- Listings ------------------------------------------------------------------------------- */

/* Appends what the query lists, in groups of `room`. Returns whether there is more, and then puts
 * the cursor into `cursor`. */
static bool list(const struct snapshot *snapshot, const char *text, size_t room, struct world *out,
                 char cursor[CURSOR_TEXT_BYTES])
{
    struct parsed *parsed = parse(text);
    struct snapshot_device group[16];
    struct listing listing;
    struct cursor next;
    size_t length;
    bool more = false;

    assert_int_equal(listing_start(&listing, snapshot, &parsed->wanted), 0);
    if (parsed->wanted.limit)
        more = listing_limit(&listing, parsed->wanted.limit, &next);
    if (more)
        cursor_encode(&next, cursor);
    while ((length = listing_next(&listing, group, room)) > 0) {
        for (size_t i = 0; i < length; i++) {
            struct device *device = &out->devices[out->length++];

            assert_true(out->length <= MAX_DEVICES);
            snprintf(device->id, sizeof device->id, "%.*s", (int)group[i].id_length,
                     (const char *)group[i].id);
            device->count = group[i].count;
        }
    }
    listing_end(&listing);
    release(parsed);
    return more;
}

static void assert_same(const struct world *found, const struct world *expected)
{
    assert_int_equal(found->length, expected->length);
    for (size_t i = 0; i < found->length; i++) {
        assert_string_equal(found->devices[i].id, expected->devices[i].id);
        assert_int_equal(found->devices[i].count, expected->devices[i].count);
    }
}

static void list_any_query_gives_what_the_model_gives(void **state)
{
    static const char *const prefixes[] = {"", "a", "c", "~~", "ab", "abcabc", "zz", "!"};
    char text[128], cursor[CURSOR_TEXT_BYTES];
    uint64_t seed = 11;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t order = round % ARRAY_LENGTH(orders), room = 1 + random_below(&seed, 16);
        const char *prefix = prefixes[random_below(&seed, ARRAY_LENGTH(prefixes))];
        struct world world, expected, found = {.length = 0};
        struct snapshot *snapshot;

        make_world(&world, &seed, random_below(&seed, MAX_DEVICES));
        model(&world, order, prefix, &expected);
        snapshot = snapshot_of(&world);
        snprintf(text, sizeof text, "sort=%s&prefix=%s", orders[order].name, prefix);
        assert_false(list(snapshot, text, room, &found, cursor));
        assert_same(&found, &expected);
        snapshot_destroy(snapshot);
    }
}

static void walk_all_pages_gives_the_whole(void **state)
{
    uint64_t seed = 12;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t order = round % ARRAY_LENGTH(orders), pages = 0;
        size_t limit = 1 + random_below(&seed, 40);
        const char *prefix = round % 2 ? "a" : "";
        struct world world, expected, found = {.length = 0};
        char text[512], cursor[CURSOR_TEXT_BYTES];
        struct snapshot *snapshot;
        bool more;

        make_world(&world, &seed, random_below(&seed, MAX_DEVICES));
        model(&world, order, prefix, &expected);
        snapshot = snapshot_of(&world);
        do {
            int used = snprintf(text, sizeof text, "sort=%s&prefix=%s&limit=%zu",
                                orders[order].name, prefix, limit);

            if (pages++)
                snprintf(text + used, sizeof text - (size_t)used, "&cursor=%s", cursor);
            more = list(snapshot, text, 16, &found, cursor);
            assert_int_equal(found.length, more ? pages * limit : expected.length);
        } while (more);
        assert_same(&found, &expected);
        snapshot_destroy(snapshot);
    }
}

/* How often a device was found. */
static size_t times_found(const struct world *found, const char *id)
{
    size_t times = 0;

    for (size_t i = 0; i < found->length; i++)
        times += !strcmp(found->devices[i].id, id);
    return times;
}

/* Between two pages counts change, devices come and devices go: the last half of the world stays.
 */
static void walk_by_id_in_a_changing_world_finds_who_stays_once(void **state)
{
    uint64_t seed = 13;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct world world, found = {.length = 0};
        char text[512], cursor[CURSOR_TEXT_BYTES] = "";
        bool more;

        make_world(&world, &seed, MAX_DEVICES / 2);
        do {
            size_t gone = random_below(&seed, world.length / 2);
            struct snapshot *snapshot;
            struct world now = world;

            memmove(now.devices, now.devices + gone, (now.length - gone) * sizeof *now.devices);
            now.length -= gone;
            for (size_t i = 0; i < now.length; i++)
                now.devices[i].count = (int64_t)random_below(&seed, 100);
            snapshot = snapshot_of(&now);
            snprintf(text, sizeof text, "limit=7%s%s", *cursor ? "&cursor=" : "", cursor);
            more = list(snapshot, text, 16, &found, cursor);
            snapshot_destroy(snapshot);
        } while (more);
        for (size_t i = 0; i < world.length; i++) {
            size_t times = times_found(&found, world.devices[i].id);

            assert_true(times == 1 || (times == 0 && i < world.length / 2));
        }
    }
}

/* Counts only grow. Who looks from the smallest up misses nobody, and may find one again that has
 * grown; who looks from the largest down finds nobody twice. */
static void walk_by_count_while_counts_grow(void **state)
{
    uint64_t seed = 14;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        bool up = round % 2;
        struct world world, found = {.length = 0};
        char text[512], cursor[CURSOR_TEXT_BYTES] = "";
        bool more;

        make_world(&world, &seed, MAX_DEVICES / 4);
        do {
            struct snapshot *snapshot = snapshot_of(&world);

            snprintf(text, sizeof text, "limit=10&sort=%s%s%s", up ? "count" : "-count",
                     *cursor ? "&cursor=" : "", cursor);
            more = list(snapshot, text, 16, &found, cursor);
            snapshot_destroy(snapshot);
            if (found.length > MAX_DEVICES - 10)
                break;
            world.devices[random_below(&seed, world.length)].count += 3;
        } while (more);
        for (size_t i = 0; i < world.length && !more; i++) {
            size_t times = times_found(&found, world.devices[i].id);

            assert_true(up ? times >= 1 : times <= 1);
        }
    }
}

static void list_ids_gives_those_that_are_there_once(void **state)
{
    struct world world = {.devices = {{"b", 2}, {"a", 1}, {"ab", 5}, {"c", 3}}, .length = 4};
    struct world expected = {.devices = {{"a", 1}, {"ab", 5}, {"c", 3}}, .length = 3};
    struct world none = {.length = 0}, found = {.length = 0};
    struct snapshot *snapshot = snapshot_of(&world), *empty = snapshot_of(&none);
    char cursor[CURSOR_TEXT_BYTES];

    (void)state;
    assert_false(list(snapshot,
                      "device_id=c&device_id=ab&device_id=zz&device_id=a&device_id=c&device_id=bb"
                      "&device_id=c%00",
                      2, &found, cursor));
    assert_same(&found, &expected);
    found.length = 0;
    assert_false(list(snapshot, "device_id=nobody", 2, &found, cursor));
    assert_same(&found, &none);
    assert_false(list(empty, "device_id=a", 2, &found, cursor));
    assert_same(&found, &none);
    snapshot_destroy(snapshot);
    snapshot_destroy(empty);
}

/* A page does not end behind an id that no cursor can hold. */
static void limit_goes_on_past_ids_that_are_too_long(void **state)
{
    static const size_t lengths[] = {CURSOR_MAX_ID_BYTES + 1, CURSOR_MAX_ID_BYTES + 5,
                                     CURSOR_MAX_ID_BYTES, 3, CURSOR_MAX_ID_BYTES + 9};
    struct snapshot *snapshot = snapshot_create();
    char id[CURSOR_MAX_ID_BYTES + 16];
    struct snapshot_device group[8];
    struct listing_query wanted = {.order = CURSOR_BY_ID};
    struct listing listing;

    (void)state;
    assert_non_null(snapshot);
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        memset(id, 'a' + (int)i, sizeof id);
        assert_int_equal(snapshot_add(snapshot, id, lengths[i], 1), 0);
    }
    assert_int_equal(snapshot_seal(snapshot, NULL), 0);

    assert_int_equal(listing_start(&listing, snapshot, &wanted), 0);
    assert_true(listing_limit(&listing, 1, &wanted.after));
    assert_int_equal(listing_next(&listing, group, 8), 3);
    assert_int_equal(wanted.after.id_length, CURSOR_MAX_ID_BYTES);
    assert_int_equal(wanted.after.id[0], 'c');
    listing_end(&listing);

    wanted.resumed = true;
    assert_int_equal(listing_start(&listing, snapshot, &wanted), 0);
    assert_true(listing_limit(&listing, 1, &wanted.after));
    assert_int_equal(listing_next(&listing, group, 8), 1);
    listing_end(&listing);

    assert_int_equal(listing_start(&listing, snapshot, &wanted), 0);
    assert_false(listing_limit(&listing, 1, &wanted.after));
    assert_int_equal(listing_next(&listing, group, 8), 1);
    assert_int_equal(group[0].id_length, CURSOR_MAX_ID_BYTES + 9);
    listing_end(&listing);
    snapshot_destroy(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_any_query_gives_what_the_model_gives),
        cmocka_unit_test(walk_all_pages_gives_the_whole),
        cmocka_unit_test(walk_by_id_in_a_changing_world_finds_who_stays_once),
        cmocka_unit_test(walk_by_count_while_counts_grow),
        cmocka_unit_test(list_ids_gives_those_that_are_there_once),
        cmocka_unit_test(limit_goes_on_past_ids_that_are_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
