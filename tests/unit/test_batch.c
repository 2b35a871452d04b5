/* What one transaction may carry. */
#include "aggregator/batch.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hash_key hash_key = {1, 2};

struct fixture {
    struct counters *counters;
    struct batch batch;
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    f->counters = counters_create(&hash_key, 100000);
    *state = f;
    return f->counters ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *f = *state;

    counters_destroy(f->counters);
    free(f);
    return 0;
}

/* Adds devices whose ids are `width` bytes long until the batch is full; returns how many. */
static size_t add_until_full(struct fixture *f, int width)
{
    char *id = malloc((size_t)width + 1);
    size_t count = 0;

    assert_non_null(id);
    batch_begin(&f->batch, false);
    for (; !batch_is_full(&f->batch) && count < 100000; count++) {
        snprintf(id, (size_t)width + 1, "%0*zu", width, count);
        batch_add(&f->batch, counters_add(f->counters, 0, (uint8_t *)id, (size_t)width, 1), 1);
    }
    free(id);
    assert_int_equal(f->batch.count, count);
    assert_int_equal(batch_packets(&f->batch), count);
    return count;
}

static void begin_empties_it(void **state)
{
    struct fixture *f = *state;

    batch_add(&f->batch, counters_add(f->counters, 0, (const uint8_t *)"a", 1, 1), 5);
    f->batch.entries[0].refused = true;
    batch_begin(&f->batch, true);
    assert_true(f->batch.quarantine);
    assert_int_equal(f->batch.count, 0);
    assert_int_equal(batch_packets(&f->batch), 0);
    assert_false(batch_is_full(&f->batch));
    batch_add(&f->batch, counters_add(f->counters, 0, (const uint8_t *)"b", 1, 1), 7);
    batch_add(&f->batch, counters_add(f->counters, 0, (const uint8_t *)"c", 1, 1), 10);
    assert_false(f->batch.entries[0].refused);
    assert_int_equal(batch_packets(&f->batch), 17);
}

static void add_many_devices_is_full_at_the_limit(void **state)
{
    assert_int_equal(add_until_full(*state, 8), BATCH_MAX);
}

static void add_long_ids_is_full_at_their_bytes(void **state)
{
    assert_int_equal(add_until_full(*state, 4096), BATCH_MAX_ID_BYTES / 4096);
    assert_int_equal(add_until_full(*state, 8), BATCH_MAX); /* the bytes were forgotten */
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(begin_empties_it),
        RUN(add_many_devices_is_full_at_the_limit),
        RUN(add_long_ids_is_full_at_their_bytes),
    };

    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
