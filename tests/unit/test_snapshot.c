/* The snapshot: order, repeated devices, bounds, and a large one against an independent count. */
#include "common/compiler.h"
#include "http/snapshot.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 200000

struct sample {
    const char *id;
    size_t length;
    int64_t count;
};

#define BYTES(text) text, sizeof text - 1

static struct snapshot *seal_samples(const struct sample *samples, size_t length)
{
    struct snapshot *snapshot = snapshot_create();

    assert_non_null(snapshot);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(snapshot_add(snapshot, samples[i].id, samples[i].length, samples[i].count),
                         0);
    snapshot_seal(snapshot);
    return snapshot;
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

static void seal_nothing_is_empty(void **state)
{
    struct snapshot *snapshot = seal_samples(NULL, 0);

    (void)state;
    assert_int_equal(snapshot_length(snapshot), 0);
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
    snapshot_seal(snapshot);
    assert_int_equal(snapshot_length(snapshot), 1);
    assert_int_equal(snapshot_get(snapshot, 0).id_length, SNAPSHOT_MAX_ID_BYTES);
    snapshot_destroy(snapshot);
    free(huge);
}

/* Devices come in an order far from sorted, every third one twice. */
static void seal_many_devices_keeps_each_once(void **state)
{
    struct snapshot *snapshot = snapshot_create();
    char id[32];

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t number = (uint32_t)((uint64_t)i * 7919 % MANY); /* 7919 is prime: each once */
        size_t length = (size_t)snprintf(id, sizeof id, "device-%08u", number);

        if (number % 3 == 0)
            assert_int_equal(snapshot_add(snapshot, id, length, -1), 0);
        assert_int_equal(snapshot_add(snapshot, id, length, number), 0);
    }
    snapshot_seal(snapshot);
    assert_int_equal(snapshot_length(snapshot), MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        struct snapshot_device device = snapshot_get(snapshot, i);

        snprintf(id, sizeof id, "device-%08u", i);
        assert_int_equal(device.id_length, strlen(id));
        assert_memory_equal(device.id, id, device.id_length);
        assert_int_equal(device.count, i);
    }
    snapshot_destroy(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal_nothing_is_empty),
        cmocka_unit_test(seal_sorts_by_bytes),
        cmocka_unit_test(seal_repeated_device_keeps_last_count),
        cmocka_unit_test(add_empty_or_huge_id_is_refused),
        cmocka_unit_test(seal_many_devices_keeps_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
