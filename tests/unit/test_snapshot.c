/* The snapshot: order, repeated devices, bounds, what it tells beside its devices, and a large one
 * against an independent count. */
#include "common/compiler.h"
#include "http/snapshot.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY     200000
#define ROUNDING (64 * 1024) /* whole pages, and what does not grow with the devices */

struct sample {
    const char *id;
    size_t length;
    int64_t count;
};

#define BYTES(text) text, sizeof text - 1

static struct snapshot *seal_after(const struct snapshot *before, const struct sample *samples,
                                   size_t length)
{
    struct snapshot *snapshot = snapshot_create();

    assert_non_null(snapshot);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(snapshot_add(snapshot, samples[i].id, samples[i].length, samples[i].count),
                         0);
    assert_int_equal(snapshot_seal(snapshot, before), 0);
    return snapshot;
}

static struct snapshot *seal_samples(const struct sample *samples, size_t length)
{
    return seal_after(NULL, samples, length);
}

static void assert_samples(const struct snapshot *snapshot, const struct sample *expected,
                           size_t length)
{
    assert_int_equal(snapshot_length(snapshot), length);
    for (size_t i = 0; i < length; i++) {
        struct snapshot_device device = snapshot_get(snapshot, i);

        assert_int_equal(device.id_length, expected[i].length);
        assert_memory_equal(device.id, expected[i].id, device.id_length);
        assert_int_equal(device.count, expected[i].count);
    }
}

static void assert_prefix(const struct snapshot *snapshot, const char *prefix, size_t length,
                          size_t expected_begin, size_t expected_end)
{
    size_t begin, end;

    snapshot_prefix(snapshot, prefix, length, &begin, &end);
    assert_int_equal(begin, expected_begin);
    assert_int_equal(end, expected_end);
}

static void seal_nothing_is_empty(void **state)
{
    struct snapshot *snapshot = seal_samples(NULL, 0);

    (void)state;
    assert_int_equal(snapshot_length(snapshot), 0);
    assert_int_equal(snapshot_total(snapshot), 0);
    assert_int_equal(snapshot_fastest_length(snapshot), 0);
    assert_int_equal(snapshot_lower_bound(snapshot, "a", 1), 0);
    assert_prefix(snapshot, "", 0, 0, 0);
    snapshot_destroy(snapshot);
    snapshot_destroy(NULL);
}

static void seal_sorts_by_bytes(void **state)
{
    static const struct sample added[] = {
        {BYTES("b"), 1},    {BYTES("\xc3\xa9"), 2}, {BYTES("a\0b"), INT64_MAX},
        {BYTES("a"), 4},    {BYTES("ab"), 5},       {BYTES("a\0"), INT64_MIN},
        {BYTES("\x7f"), 7}, {BYTES("B"), 8},        {BYTES("\0"), 9},
    };
    static const struct sample sorted[] = {
        {BYTES("\0"), 9},           {BYTES("B"), 8},  {BYTES("a"), 4}, {BYTES("a\0"), INT64_MIN},
        {BYTES("a\0b"), INT64_MAX}, {BYTES("ab"), 5}, {BYTES("b"), 1}, {BYTES("\x7f"), 7},
        {BYTES("\xc3\xa9"), 2},
    };
    struct snapshot *snapshot = seal_samples(added, ARRAY_LENGTH(added));

    (void)state;
    assert_samples(snapshot, sorted, ARRAY_LENGTH(sorted));
    snapshot_destroy(snapshot);
}

static void seal_repeated_device_keeps_last_count(void **state)
{
    static const struct sample added[] = {
        {BYTES("x"), 1}, {BYTES("y"), 5}, {BYTES("x"), 3},
        {BYTES("z"), 6}, {BYTES("z"), 7}, {BYTES("x"), 2},
    };
    static const struct sample kept[] = {{BYTES("x"), 2}, {BYTES("y"), 5}, {BYTES("z"), 7}};
    struct snapshot *snapshot = seal_samples(added, ARRAY_LENGTH(added));

    (void)state;
    assert_samples(snapshot, kept, ARRAY_LENGTH(kept));
    snapshot_destroy(snapshot);
}

static void add_empty_or_huge_id_is_refused(void **state)
{
    struct snapshot *snapshot = snapshot_create();
    char *huge = calloc(1, SNAPSHOT_MAX_ID_BYTES + 1);

    (void)state;
    assert_non_null(huge);
    assert_int_equal(snapshot_add(snapshot, "", 0, 1), -EINVAL);
    assert_int_equal(snapshot_add(snapshot, huge, SNAPSHOT_MAX_ID_BYTES + 1, 1), -EINVAL);
    assert_int_equal(snapshot_add(snapshot, huge, SNAPSHOT_MAX_ID_BYTES, 1), 0);
    assert_int_equal(snapshot_seal(snapshot, NULL), 0);
    assert_int_equal(snapshot_length(snapshot), 1);
    assert_int_equal(snapshot_get(snapshot, 0).id_length, SNAPSHOT_MAX_ID_BYTES);
    snapshot_destroy(snapshot);
    free(huge);
}

static void seal_tells_order_by_count_and_total(void **state)
{
    static const struct sample added[] = {
        {BYTES("d"), 5}, {BYTES("a"), -1}, {BYTES("c"), INT64_MAX}, {BYTES("b"), 5},
        {BYTES("f"), 0}, {BYTES("d"), 6},  {BYTES("e"), INT64_MIN}, {BYTES("g"), 6},
    };
    static const size_t order[] = {2, 3, 6, 1, 5, 0, 4}; /* c d g b f a e */
    struct snapshot *snapshot = seal_samples(added, ARRAY_LENGTH(added));

    (void)state;
    assert_int_equal(snapshot_length(snapshot), ARRAY_LENGTH(order));
    for (size_t rank = 0; rank < ARRAY_LENGTH(order); rank++)
        assert_int_equal(snapshot_by_count(snapshot, rank), order[rank]);
    assert_true(snapshot_total(snapshot) == 6 + 6 + 5 + 0 - 1 - 1); /* MAX + MIN is -1 */
    snapshot_destroy(snapshot);
}

static void seal_after_another_tells_gains(void **state)
{
    static const struct sample old[] = {
        {BYTES("a"), 5}, {BYTES("b"), 5},         {BYTES("bb"), 1},        {BYTES("c"), 5},
        {BYTES("e"), 9}, {BYTES("f"), INT64_MIN}, {BYTES("g"), INT64_MAX}, {BYTES("z"), 1},
    };
    static const struct sample new[] = {
        {BYTES("0"), 7}, {BYTES("a"), 8},         {BYTES("b"), 5},         {BYTES("c"), 1},
        {BYTES("d"), 3}, {BYTES("f"), INT64_MAX}, {BYTES("g"), INT64_MIN}, {BYTES("z"), 5},
    };
    static const int64_t gained[] = {0, 3, 0, -4, 0, INT64_MAX, INT64_MIN, 4};
    static const size_t fastest[] = {5, 7, 1};
    struct snapshot *before = seal_samples(old, ARRAY_LENGTH(old));
    struct snapshot *snapshot = seal_after(before, new, ARRAY_LENGTH(new));

    (void)state;
    snapshot_destroy(before);
    assert_samples(snapshot, new, ARRAY_LENGTH(new));
    for (size_t i = 0; i < ARRAY_LENGTH(gained); i++)
        assert_true(snapshot_get(snapshot, i).gained == gained[i]);
    assert_int_equal(snapshot_fastest_length(snapshot), ARRAY_LENGTH(fastest));
    for (size_t rank = 0; rank < ARRAY_LENGTH(fastest); rank++)
        assert_int_equal(snapshot_fastest(snapshot, rank), fastest[rank]);
    snapshot_destroy(snapshot);
}

/* Each list follows the one before it; whether its version stays is told. */
static void version_changes_with_devices_and_counts(void **state)
{
    static const struct {
        struct sample samples[3];
        size_t length;
        bool same;
    } steps[] = {
        {{{BYTES("a"), 1}, {BYTES("b"), 2}}, 2, false},
        {{{BYTES("b"), 2}, {BYTES("a"), 1}}, 2, true}, /* read in another order */
        {{{BYTES("a"), 9}, {BYTES("b"), 2}, {BYTES("a"), 1}}, 3, true},
        {{{BYTES("a"), 1}, {BYTES("b"), 3}}, 2, false},
        {{{BYTES("a"), 1}, {BYTES("c"), 3}}, 2, false},
        {{{BYTES("a"), 1}}, 1, false},
        {{{BYTES("a"), 1}, {BYTES("b"), 0}}, 2, false},
        {{{BYTES("x"), 0}}, 0, false},
        {{{BYTES("x"), 0}}, 0, true},
        {{{BYTES("a"), 1}}, 1, false},
    };
    struct snapshot *before = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        struct snapshot *snapshot = seal_after(before, steps[i].samples, steps[i].length);

        if (before && steps[i].same)
            assert_int_equal(snapshot_version(snapshot), snapshot_version(before));
        else if (before)
            assert_true(snapshot_version(snapshot) > snapshot_version(before));
        snapshot_destroy(before);
        before = snapshot;
    }
    snapshot_destroy(before);
}

/* A reader that gave its snapshot up goes on without one before, and must not repeat a version. */
static void version_without_one_before_is_new(void **state)
{
    static const struct sample sample = {BYTES("a"), 1};
    struct snapshot *first = seal_samples(&sample, 1), *second = seal_samples(&sample, 1);

    (void)state;
    assert_int_not_equal(snapshot_version(first), snapshot_version(second));
    snapshot_destroy(first);
    snapshot_destroy(second);
}

static void bounds_are_those_of_bytes(void **state)
{
    static const struct sample samples[] = {
        {BYTES("a"), 1},   {BYTES("a\0"), 1},   {BYTES("ab"), 1},        {BYTES("abc"), 1},
        {BYTES("abd"), 1}, {BYTES("b\xff"), 1}, {BYTES("b\xff\xff"), 1}, {BYTES("c"), 1},
    };
    struct snapshot *snapshot = seal_samples(samples, ARRAY_LENGTH(samples));

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++)
        assert_int_equal(snapshot_lower_bound(snapshot, samples[i].id, samples[i].length), i);
    assert_int_equal(snapshot_lower_bound(snapshot, "", 0), 0);
    assert_int_equal(snapshot_lower_bound(snapshot, BYTES("a\1")), 2);
    assert_int_equal(snapshot_lower_bound(snapshot, BYTES("abcc")), 4);
    assert_int_equal(snapshot_lower_bound(snapshot, BYTES("d")), 8);

    assert_prefix(snapshot, NULL, 0, 0, 8);
    assert_prefix(snapshot, BYTES("a"), 0, 5);
    assert_prefix(snapshot, BYTES("a\0"), 1, 2);
    assert_prefix(snapshot, BYTES("ab"), 2, 5);
    assert_prefix(snapshot, BYTES("abc"), 3, 4);
    assert_prefix(snapshot, BYTES("abcc"), 4, 4);
    assert_prefix(snapshot, BYTES("b\xff"), 5, 7);
    assert_prefix(snapshot, BYTES("\xff"), 8, 8);
    assert_prefix(snapshot, BYTES("\0"), 0, 0);
    snapshot_destroy(snapshot);
}

/* Devices come in an order far from sorted, every third one twice. */
static void seal_many_devices_keeps_each_once(void **state)
{
    struct snapshot *snapshot = snapshot_create();
    size_t bytes = 0;
    char id[32];

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t number = (uint32_t)((uint64_t)i * 7919 % MANY); /* 7919 is prime: each once */
        size_t length = (size_t)snprintf(id, sizeof id, "device-%08u", number);

        if (number % 3 == 0)
            assert_int_equal(snapshot_add(snapshot, id, length, -1), 0);
        assert_int_equal(snapshot_add(snapshot, id, length, number), 0);
    }
    assert_int_equal(snapshot_seal(snapshot, NULL), 0);
    assert_int_equal(snapshot_length(snapshot), MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        struct snapshot_device device = snapshot_get(snapshot, i);

        snprintf(id, sizeof id, "device-%08u", i);
        assert_int_equal(device.id_length, strlen(id));
        assert_memory_equal(device.id, id, device.id_length);
        assert_int_equal(device.count, i);
        assert_int_equal(snapshot_by_count(snapshot, i), MANY - 1 - i);
        bytes += 28 + device.id_length;
    }
    assert_in_range(snapshot_bytes(snapshot), bytes, bytes + ROUNDING);
    snapshot_destroy(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal_nothing_is_empty),
        cmocka_unit_test(seal_sorts_by_bytes),
        cmocka_unit_test(seal_repeated_device_keeps_last_count),
        cmocka_unit_test(seal_tells_order_by_count_and_total),
        cmocka_unit_test(seal_after_another_tells_gains),
        cmocka_unit_test(version_changes_with_devices_and_counts),
        cmocka_unit_test(version_without_one_before_is_new),
        cmocka_unit_test(bounds_are_those_of_bytes),
        cmocka_unit_test(add_empty_or_huge_id_is_refused),
        cmocka_unit_test(seal_many_devices_keeps_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
