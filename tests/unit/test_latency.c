/* Latency percentiles: exact ranks, values within the promised error. */
#include "client/latency.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

static struct latency *new_latency(void)
{
    struct latency *latency = calloc(1, sizeof *latency);

    assert_non_null(latency);
    return latency;
}

static void percentile_without_values_is_zero(void **state)
{
    struct latency *latency = new_latency();

    (void)state;
    assert_int_equal(latency_percentile(latency, 50), 0);
    assert_int_equal(latency_percentile(latency, 100), 0);
    free(latency);
}

static void percentile_any_value_within_resolution(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int offset = -1; offset <= 1; offset++) {
            struct latency *latency = new_latency();
            uint64_t value = (1ull << bit) + (uint64_t)offset, found;

            latency_add(latency, value);
            found = latency_percentile(latency, 50);
            assert_true((found > value ? found - value : value - found) <= value / 256);
            latency_add(latency, UINT64_MAX); /* so that the maximum bounds nothing */
            found = latency_percentile(latency, 50);
            assert_true((found > value ? found - value : value - found) <= value / 256);
            assert_true(latency->max_ns == UINT64_MAX);
            free(latency);
        }
    }
}

static void percentile_known_values_has_known_rank(void **state)
{
    struct latency *latency = new_latency();

    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        latency_add(latency, i);
    assert_int_equal(latency_percentile(latency, 1), 1);
    assert_int_equal(latency_percentile(latency, 50), 50);
    assert_int_equal(latency_percentile(latency, 90), 90);
    assert_int_equal(latency_percentile(latency, 99), 99);
    assert_int_equal(latency_percentile(latency, 100), 100);
    assert_int_equal(latency->max_ns, 100);
    assert_int_equal(latency->count, 100);
    free(latency);
}

/* Of 990 short values and 10 long ones, exactly the last hundredth is long. */
static void percentile_two_groups_parts_at_their_border(void **state)
{
    struct latency *latency = new_latency();
    uint64_t found;

    (void)state;
    for (int i = 0; i < 1000; i++)
        latency_add(latency, i < 990 ? 1000000 : 2000000000);
    found = latency_percentile(latency, 99);
    assert_in_range(found, 1000000 - 1000000 / 256, 1000000 + 1000000 / 256);
    found = latency_percentile(latency, 99.1);
    assert_in_range(found, 2000000000 - 2000000000 / 256, 2000000000);
    free(latency);
}

static void percentile_any_two_values_keep_their_order(void **state)
{
    (void)state;
    for (uint64_t value = 1; value < UINT64_MAX / 3; value += value / 5 + 1) {
        struct latency *latency = new_latency();

        latency_add(latency, value + value / 100);
        latency_add(latency, value);
        assert_true(latency_percentile(latency, 50) <= latency_percentile(latency, 100));
        assert_true(latency_percentile(latency, 100) <= latency->max_ns);
        free(latency);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentile_without_values_is_zero),
        cmocka_unit_test(percentile_any_value_within_resolution),
        cmocka_unit_test(percentile_known_values_has_known_rank),
        cmocka_unit_test(percentile_two_groups_parts_at_their_border),
        cmocka_unit_test(percentile_any_two_values_keep_their_order),
    };

    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
