/* Pending: every delta leaves the lanes once, in one entry a device, whoever counted it. */
#include "aggregator/pending.h"
#include "common/compiler.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 3, LANE = 1, PLENTY = 100000 };

static const struct hash_key hash_key = {1, 2};

struct fixture {
    struct counters *maps[WORKERS];
    struct pending *pending;
    size_t workers;
    struct batch batch;
};

static struct fixture *start(size_t workers, size_t max_devices, size_t max_in_a_map)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->workers = workers;
    f->pending = pending_create(&hash_key, max_devices, workers);
    assert_non_null(f->pending);
    for (size_t i = 0; i < workers; i++) {
        f->maps[i] = counters_create(&hash_key, max_in_a_map);
        assert_non_null(f->maps[i]);
    }
    return f;
}

static void finish(struct fixture *f)
{
    pending_destroy(f->pending);
    for (size_t i = 0; i < f->workers; i++)
        counters_destroy(f->maps[i]);
    free(f);
}

/* A worker counts. */
static void count(struct fixture *f, size_t worker, const char *id, uint64_t n)
{
    struct counters *map = f->maps[worker];

    counters_add(map, LANE, (const uint8_t *)id, strlen(id), n);
}

/* All of them hand over. */
static void cut(struct fixture *f)
{
    for (size_t i = 0; i < f->workers; i++)
        pending_take(f->pending, i,
                     (struct cut_lane){f->maps[i], LANE, counters_take_new(f->maps[i])});
}

static size_t fill(struct fixture *f)
{
    return pending_fill(f->pending, &f->batch);
}

/* Nothing is left, in the lanes either. */
static void assert_empty(struct fixture *f)
{
    uint64_t n;

    assert_int_equal(fill(f), 0);
    for (size_t i = 0; i < f->workers; i++)
        assert_null(counters_pop(f->maps[i], LANE, &n));
}

/* The batch has one entry for this device, with this delta. */
static void assert_entry(const struct fixture *f, const char *id, uint64_t delta)
{
    size_t found = 0, length;

    for (size_t i = 0; i < f->batch.count; i++) {
        const struct batch_entry *entry = &f->batch.entries[i];
        const uint8_t *bytes = counter_id(entry->counter, &length);

        if (length == strlen(id) && memcmp(bytes, id, length) == 0) {
            assert_int_equal(entry->delta, delta);
            found++;
        }
    }
    if (found != 1)
        fail_msg("%s has %zu entries", id, found);
}

static void fill_nothing_taken_gives_nothing(void **state)
{
    struct fixture *f = start(2, PLENTY, PLENTY);

    (void)state;
    assert_int_equal(fill(f), 0);
    count(f, 0, "a", 1); /* not handed over yet */
    assert_int_equal(fill(f), 0);
    cut(f);
    assert_int_equal(fill(f), 1);
    assert_empty(f);
    finish(f);
}

static void fill_one_worker_takes_each_device_with_its_sum(void **state)
{
    struct fixture *f = start(1, PLENTY, PLENTY);

    (void)state;
    for (int round = 0; round < 3; round++) {
        count(f, 0, "a", 1);
        count(f, 0, "b", 20);
        count(f, 0, "a", 300);
        cut(f);
        assert_int_equal(fill(f), 2);
        assert_entry(f, "a", 301);
        assert_entry(f, "b", 20);
        assert_false(f->batch.quarantine);
        assert_int_equal(pending_devices(f->pending), 2);
        assert_empty(f);
    }
    finish(f);
}

static void fill_more_than_a_batch_goes_on_where_it_stopped(void **state)
{
    struct fixture *f = start(2, PLENTY, PLENTY);
    char id[16];

    (void)state;
    for (int i = 0; i < BATCH_MAX + 3; i++) {
        snprintf(id, sizeof id, "d%d", i);
        count(f, (size_t)i % 2, id, 1);
    }
    cut(f);
    assert_int_equal(fill(f), BATCH_MAX);
    assert_int_equal(fill(f), 3);
    assert_empty(f);
    assert_int_equal(pending_devices(f->pending), BATCH_MAX + 3);
    finish(f);
}

/* Makes "a" known from all workers, one after the other. */
static void make_known(struct fixture *f, const char *id)
{
    for (size_t i = 0; i < f->workers; i++) {
        count(f, i, id, 1);
        cut(f);
        assert_int_equal(fill(f), 1);
        assert_entry(f, id, 1);
        assert_empty(f);
    }
}

static void fill_a_device_of_several_workers_gives_one_entry(void **state)
{
    static const uint64_t deltas[][WORKERS] = {
        {1, 20, 300}, {1, 0, 300}, {0, 20, 300}, {1, 20, 0}, {0, 0, 300}, {7, 7, 7},
    };
    struct fixture *f = start(WORKERS, PLENTY, PLENTY);

    (void)state;
    make_known(f, "a");
    make_known(f, "b");
    for (size_t i = 0; i < ARRAY_LENGTH(deltas); i++) {
        uint64_t sum = 0;

        for (size_t w = 0; w < WORKERS; w++) {
            if (deltas[i][w]) {
                count(f, w, "a", deltas[i][w]);
                count(f, WORKERS - 1 - w, "b", 2 * deltas[i][w]);
            }
            sum += deltas[i][w];
        }
        cut(f);
        assert_int_equal(fill(f), 2);
        assert_entry(f, "a", sum);
        assert_entry(f, "b", 2 * sum);
        assert_empty(f);
    }
    assert_int_equal(pending_devices(f->pending), 2);
    finish(f);
}

static void fill_a_new_device_of_several_workers_gives_one_entry(void **state)
{
    struct fixture *f = start(WORKERS, PLENTY, PLENTY);

    (void)state;
    for (size_t w = 0; w < WORKERS; w++)
        count(f, w, "a", 5);
    count(f, 1, "b", 1);
    cut(f);
    assert_int_equal(fill(f), 2);
    assert_entry(f, "a", 15);
    assert_entry(f, "b", 1);
    assert_empty(f);
    assert_int_equal(pending_devices(f->pending), 2);
    finish(f);
}

static void fill_past_the_cap_goes_to_overflow(void **state)
{
    struct fixture *f = start(2, 2, PLENTY);

    (void)state;
    count(f, 0, "a", 1);
    count(f, 0, "b", 1);
    cut(f);
    assert_int_equal(fill(f), 2);
    for (uint64_t round = 1; round <= 2; round++) {
        count(f, 0, "a", 1);
        count(f, 1, "b", 2); /* known, though not from this worker */
        count(f, 0, "c", 30);
        count(f, 1, "c", 400);
        count(f, 1, "d", 5000);
        cut(f);
        assert_int_equal(fill(f), 3);
        assert_entry(f, "a", 1);
        assert_entry(f, "b", 2);
        assert_entry(f, COUNTERS_OVERFLOW_ID, 5430);
        assert_empty(f);
        assert_int_equal(pending_devices(f->pending), 2);
        assert_int_equal(pending_overflowed(f->pending), round * 5430);
    }
    finish(f);
}

static void fill_overflow_of_the_workers_is_one_entry(void **state)
{
    struct fixture *f = start(2, 1, 1);

    (void)state;
    count(f, 0, "a", 1);
    count(f, 1, "a", 1);
    count(f, 0, "b", 20);
    count(f, 1, "c", 300);
    cut(f);
    assert_int_equal(fill(f), 2);
    assert_entry(f, "a", 2);
    assert_entry(f, COUNTERS_OVERFLOW_ID, 320);
    assert_int_equal(pending_overflowed(f->pending), 320);
    assert_int_equal(pending_devices(f->pending), 1);
    assert_empty(f);
    finish(f);
}

static void fill_a_device_of_the_overflow_name_is_no_overflow(void **state)
{
    for (size_t workers = 1; workers <= 2; workers++) {
        struct fixture *f = start(workers, 2, PLENTY);

        (void)state;
        count(f, 0, COUNTERS_OVERFLOW_ID, 5);
        cut(f);
        assert_int_equal(fill(f), 1);
        assert_entry(f, COUNTERS_OVERFLOW_ID, 5);
        assert_empty(f);
        assert_int_equal(pending_overflowed(f->pending), 0);
        assert_int_equal(pending_devices(f->pending), 1);
        finish(f);
    }
}

/* The overflow takes the place of none of them. */
static void refuse_keeps_as_many_names_as_devices_may_have(void **state)
{
    struct fixture *f = start(2, 2, PLENTY);

    (void)state;
    count(f, 0, "a", 1);
    count(f, 0, "b", 10);
    cut(f);
    assert_int_equal(fill(f), 2);
    count(f, 1, "c", 100); /* past the cap */
    cut(f);
    assert_int_equal(fill(f), 1);
    assert_entry(f, COUNTERS_OVERFLOW_ID, 100);
    count(f, 0, "a", 1);
    count(f, 0, "b", 10);
    cut(f);
    assert_int_equal(fill(f), 2);
    for (size_t i = 0; i < 2; i++)
        pending_refuse(f->pending, &f->batch.entries[i]);
    assert_int_equal(fill(f), 2);
    assert_true(f->batch.quarantine);
    assert_entry(f, "a", 1);
    assert_entry(f, "b", 10);
    assert_empty(f);
    finish(f);
}

static void refuse_brings_a_device_into_the_quarantine_once(void **state)
{
    struct fixture *f = start(2, PLENTY, PLENTY);

    (void)state;
    make_known(f, "bad");
    for (int round = 0; round < 2; round++) {
        count(f, 0, "bad", 1);
        count(f, 1, "good", 20);
        cut(f);
        assert_int_equal(fill(f), 2);
        for (size_t i = 0; i < 2; i++) {
            if (f->batch.entries[i].delta == 1)
                pending_refuse(f->pending, &f->batch.entries[i]);
        }
    }
    count(f, 0, "new", 300);
    cut(f);
    assert_int_equal(fill(f), 1); /* counts go first */
    assert_entry(f, "new", 300);
    assert_false(f->batch.quarantine);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fill(f), 1);
        assert_true(f->batch.quarantine);
        assert_entry(f, "bad", 2);
        if (round == 0)
            pending_refuse(f->pending, &f->batch.entries[0]); /* there as well: again */
    }
    assert_empty(f);
    finish(f);
}

static void drop_tells_each_device_once_wherever_it_was(void **state)
{
    struct fixture *f = start(2, PLENTY, PLENTY);
    uint64_t devices;

    (void)state;
    count(f, 0, "a", 1);
    count(f, 0, "b", 1);
    cut(f);
    assert_int_equal(fill(f), 2);
    pending_refuse(f->pending, &(struct batch_entry){f->batch.entries[0].counter, 1, true});
    pending_return(f->pending, &f->batch); /* a batch */
    assert_int_equal(f->batch.count, 0);
    count(f, 0, "a", 10);
    count(f, 1, "c", 10);
    cut(f);
    pending_stow(f->pending); /* a cut */
    count(f, 1, "a", 100);
    count(f, 1, "c", 100);
    cut(f);
    pending_stow(f->pending); /* and one more */
    assert_int_equal(pending_drop(f->pending, &devices), 223);
    assert_int_equal(devices, 3);
    assert_int_equal(pending_drop(f->pending, &devices), 0);
    assert_int_equal(devices, 0);
    assert_empty(f);
    finish(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fill_nothing_taken_gives_nothing),
        cmocka_unit_test(fill_one_worker_takes_each_device_with_its_sum),
        cmocka_unit_test(fill_more_than_a_batch_goes_on_where_it_stopped),
        cmocka_unit_test(fill_a_device_of_several_workers_gives_one_entry),
        cmocka_unit_test(fill_a_new_device_of_several_workers_gives_one_entry),
        cmocka_unit_test(fill_past_the_cap_goes_to_overflow),
        cmocka_unit_test(fill_overflow_of_the_workers_is_one_entry),
        cmocka_unit_test(fill_a_device_of_the_overflow_name_is_no_overflow),
        cmocka_unit_test(refuse_keeps_as_many_names_as_devices_may_have),
        cmocka_unit_test(refuse_brings_a_device_into_the_quarantine_once),
        cmocka_unit_test(drop_tells_each_device_once_wherever_it_was),
    };

    return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
