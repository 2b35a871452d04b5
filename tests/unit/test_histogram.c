/* Histograms: which bucket a value falls into, and that a reader beside the writer sees none fall.
 */
#include "common/histogram.h"
#include "common/thread.h"
#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <stdbool.h>

static const struct histogram_bounds bounds = {.count = 3, .upper = {10, 100, 1000}};

static void read_of_zeroed_memory_is_empty(void **state)
{
    struct histogram histogram = {0};
    struct histogram_values values = histogram_read(&histogram, &bounds);

    (void)state;
    assert_int_equal(values.count, 0);
    assert_int_equal(values.sum, 0);
    for (size_t i = 0; i < bounds.count; i++)
        assert_int_equal(values.up_to[i], 0);
}

static void add_value_counts_up_to_every_bound_it_is_not_over(void **state)
{
    static const struct {
        uint64_t value;
        size_t over; /* so many bounds */
    } rows[] = {{0, 0}, {10, 0}, {11, 1}, {100, 1}, {101, 2}, {1000, 2}, {1001, 3}, {1 << 30, 3}};

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct histogram histogram = {0};
        struct histogram_values values;

        histogram_add(&histogram, &bounds, rows[r].value);
        values = histogram_read(&histogram, &bounds);
        assert_int_equal(values.count, 1);
        assert_int_equal(values.sum, rows[r].value);
        for (size_t i = 0; i < bounds.count; i++)
            assert_int_equal(values.up_to[i], i >= rows[r].over);
    }
}

static void add_with_all_bounds_there_can_be_uses_the_last_bucket(void **state)
{
    struct histogram_bounds most = {.count = HISTOGRAM_MAX_BOUNDS};
    struct histogram histogram = {0};
    struct histogram_values values;

    (void)state;
    for (size_t i = 0; i < most.count; i++)
        most.upper[i] = i;
    for (uint64_t value = 0; value <= HISTOGRAM_MAX_BOUNDS; value++)
        histogram_add(&histogram, &most, value);
    values = histogram_read(&histogram, &most);
    for (size_t i = 0; i < most.count; i++)
        assert_int_equal(values.up_to[i], i + 1);
    assert_int_equal(values.count, HISTOGRAM_MAX_BOUNDS + 1);
}

struct pair {
    struct histogram histogram;
    atomic_bool done;
};

#define ADDED 300000u

static void *add_many(void *argument)
{
    struct pair *pair = argument;

    for (uint64_t i = 0; i < ADDED; i++)
        histogram_add(&pair->histogram, &bounds, i % 2000);
    atomic_store(&pair->done, true);
    return NULL;
}

static void read_beside_the_writer_never_falls_and_agrees_with_itself(void **state)
{
    static struct pair pair;
    struct histogram_values before = {0}, now;
    pthread_t writer;
    bool done;

    (void)state;
    assert_int_equal(thread_start(&writer, THREAD_FLUSHER, "writer", add_many, &pair), 0);
    do {
        done = atomic_load(&pair.done);
        now = histogram_read(&pair.histogram, &bounds);
        assert_true(now.count >= before.count && now.sum >= before.sum);
        for (size_t i = 0; i < bounds.count; i++) {
            assert_true(now.up_to[i] >= before.up_to[i]);
            assert_true(now.up_to[i] <= (i + 1 < bounds.count ? now.up_to[i + 1] : now.count));
        }
        before = now;
    } while (!done);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(now.count, ADDED);
    assert_int_equal(now.up_to[0], ADDED / 2000 * 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_of_zeroed_memory_is_empty),
        cmocka_unit_test(add_value_counts_up_to_every_bound_it_is_not_over),
        cmocka_unit_test(add_with_all_bounds_there_can_be_uses_the_last_bucket),
        cmocka_unit_test(read_beside_the_writer_never_falls_and_agrees_with_itself),
    };

    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
