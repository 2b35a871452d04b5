/* Freezing pending: every delta is in its lane or in the batch, never in both. */
#include "aggregator/batch.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hash_key hash_key = {1, 2};

struct fixture {
    struct counters *pending;
    struct batch batch;
};

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    f->pending = counters_create(&hash_key, 100000);
    *state = f;
    return f->pending ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *f = *state;

    counters_destroy(f->pending);
    free(f);
    return 0;
}

static void add(struct fixture *f, unsigned lane, const char *id, uint64_t delta)
{
    counters_add(f->pending, lane, counters_get(f->pending, (const uint8_t *)id, strlen(id)),
                 delta);
}

/* Adds 1 to each of `count` devices whose ids are `width` bytes long. */
static void add_devices(struct fixture *f, size_t count, int width)
{
    char *id = malloc((size_t)width + 1);

    assert_non_null(id);
    for (size_t i = 0; i < count; i++) {
        snprintf(id, (size_t)width + 1, "%0*zu", width, i);
        add(f, LANE_COUNTS, id, 1);
    }
    free(id);
}

/* The delta that the batch has for a device; 0 when it has none. */
static uint64_t delta_of(const struct batch *batch, const char *id)
{
    for (size_t i = 0; i < batch->count; i++) {
        size_t length;
        const uint8_t *bytes = counter_id(batch->entries[i].counter, &length);

        if (length == strlen(id) && memcmp(bytes, id, length) == 0)
            return batch->entries[i].delta;
    }
    return 0;
}

static void fill_empty_lane_gives_nothing(void **state)
{
    struct fixture *f = *state;

    add(f, LANE_QUARANTINE, "a", 1);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 0);
    assert_int_equal(f->batch.count, 0);
    assert_int_equal(batch_packets(&f->batch), 0);
}

static void fill_takes_each_device_with_its_sum(void **state)
{
    struct fixture *f = *state;

    add(f, LANE_COUNTS, "a", 1);
    add(f, LANE_COUNTS, "b", 20);
    add(f, LANE_COUNTS, "a", 300);
    add(f, LANE_QUARANTINE, "b", 4000);
    f->batch.entries[0].refused = true; /* left from before */
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 2);
    assert_int_equal(f->batch.lane, LANE_COUNTS);
    assert_int_equal(delta_of(&f->batch, "a"), 301);
    assert_int_equal(delta_of(&f->batch, "b"), 20);
    assert_int_equal(batch_packets(&f->batch), 321);
    assert_false(f->batch.entries[0].refused);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 0);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_QUARANTINE), 1);
    assert_int_equal(delta_of(&f->batch, "b"), 4000);
}

static void fill_is_not_changed_by_later_additions(void **state)
{
    struct fixture *f = *state;

    add(f, LANE_COUNTS, "a", 1);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 1);
    add(f, LANE_COUNTS, "a", 10);
    assert_int_equal(batch_packets(&f->batch), 1);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 1);
    assert_int_equal(batch_packets(&f->batch), 10);
}

static void fill_many_devices_stops_at_the_limit(void **state)
{
    struct fixture *f = *state;

    add_devices(f, BATCH_MAX + 1, 8);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), BATCH_MAX);
    assert_int_equal(batch_packets(&f->batch), BATCH_MAX);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 1);
    assert_int_equal(batch_packets(&f->batch), 1);
}

static void fill_long_ids_stops_at_their_bytes(void **state)
{
    enum { WIDTH = 4096, FIT = BATCH_MAX_ID_BYTES / WIDTH };
    struct fixture *f = *state;

    add_devices(f, FIT + 3, WIDTH);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), FIT);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 3);
}

/* Else pending could never be emptied. */
static void fill_one_id_over_the_bytes_goes_alone(void **state)
{
    struct fixture *f = *state;

    add_devices(f, 2, BATCH_MAX_ID_BYTES + 1);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 1);
    assert_int_equal(batch_fill(&f->batch, f->pending, LANE_COUNTS), 1);
}

static void return_puts_deltas_back_where_they_came_from(void **state)
{
    struct fixture *f = *state;

    for (unsigned lane = LANE_COUNTS; lane <= LANE_QUARANTINE; lane++) {
        add(f, lane, "a", 1);
        add(f, lane, "b", 20);
        assert_int_equal(batch_fill(&f->batch, f->pending, lane), 2);
        add(f, lane, "b", 300);
        batch_return(&f->batch, f->pending);
        assert_int_equal(f->batch.count, 0);
        assert_int_equal(batch_fill(&f->batch, f->pending, !lane), 0);
        assert_int_equal(batch_fill(&f->batch, f->pending, lane), 2);
        assert_int_equal(delta_of(&f->batch, "a"), 1);
        assert_int_equal(delta_of(&f->batch, "b"), 320);
    }
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(fill_empty_lane_gives_nothing),
        RUN(fill_takes_each_device_with_its_sum),
        RUN(fill_is_not_changed_by_later_additions),
        RUN(fill_many_devices_stops_at_the_limit),
        RUN(fill_long_ids_stops_at_their_bytes),
        RUN(fill_one_id_over_the_bytes_goes_alone),
        RUN(return_puts_deltas_back_where_they_came_from),
    };

    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
