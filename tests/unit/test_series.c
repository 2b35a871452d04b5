/* The series against counters whose values at every time are known. */
#include "http/series.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define START  (UINT64_C(7) << 52) /* far beyond what a double holds exactly */

static int create(void **state)
{
    *state = calloc(1, sizeof(struct series));
    return *state ? 0 : -1;
}

static int destroy(void **state)
{
    free(*state);
    return 0;
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 0.01)
        fail_msg("%f, not %f", value, expected);
}

static void rate_right_at_the_start_is_zero(void **state)
{
    struct series *series = *state;

    series_start(series, START, 42);
    assert_near(series_rate(series, START, 42, SECOND), 0);
    assert_near(series_rate(series, START, 4242, SECOND), 0);
}

static void rate_of_a_young_series_is_over_its_life(void **state)
{
    struct series *series = *state;

    series_start(series, START, 100);
    assert_near(series_rate(series, START + SECOND / 2, 150, 60 * SECOND), 100);
    series_add(series, START + SECOND, 200);
    assert_near(series_rate(series, START + 2 * SECOND, 200, 60 * SECOND), 50);
}

/* 1000 a second, then nothing: what each window sees of it. */
static void rate_looks_back_no_further_than_its_window(void **state)
{
    struct series *series = *state;

    series_start(series, START, 0);
    for (uint64_t i = 1; i <= 100; i++)
        series_add(series, START + i * SECOND / 5, i <= 50 ? i * 200 : 10000);
    assert_near(series_rate(series, START + 20 * SECOND, 10000, SECOND), 0);
    assert_near(series_rate(series, START + 20 * SECOND, 10000, 10 * SECOND), 0);
    assert_near(series_rate(series, START + 20 * SECOND, 10000, 15 * SECOND), 5000.0 / 15);
    assert_near(series_rate(series, START + 20 * SECOND, 10000, 60 * SECOND), 500);
}

/* The last sample is older than the window: the sampler was held up. */
static void rate_beyond_the_last_sample_is_on_the_line_to_now(void **state)
{
    struct series *series = *state;

    series_start(series, START, 0);
    series_add(series, START + SECOND, 1000);
    assert_near(series_rate(series, START + 11 * SECOND, 6000, SECOND), 500);
    assert_near(series_rate(series, START + 11 * SECOND, 6000, 11 * SECOND), 6000.0 / 11);
}

static void seconds_tell_what_grew_in_each(void **state)
{
    struct series *series = *state;
    double rates[4];

    series_start(series, START, 5);
    assert_int_equal(series_seconds(series, rates, 4), 0);
    series_add(series, START + SECOND / 2, 105); /* 200 a second */
    assert_int_equal(series_seconds(series, rates, 4), 0);
    series_add(series, START + SECOND, 205);
    assert_int_equal(series_seconds(series, rates, 4), 1);
    assert_near(rates[0], 200);
    series_add(series, START + 5 * SECOND / 2, 505);
    assert_int_equal(series_seconds(series, rates, 4), 2);
    assert_near(rates[0], 200);
    assert_near(rates[1], 200);
    series_add(series, START + 8 * SECOND, 505);
    assert_int_equal(series_seconds(series, rates, 4), 4);
    for (size_t i = 0; i < 4; i++)
        assert_near(rates[i], 0);
}

/* Samples come at any time; the counter grows by a known function of it. A ring's worth of them
 * and more, so that the oldest are overwritten. */
static uint64_t grown(uint64_t time_ns)
{
    uint64_t ms = (time_ns - START) / 1000000;

    return UINT64_MAX / 4 + ms * 3 + (ms > 60000 ? (ms - 60000) * 50 : 0);
}

static void any_samples_give_the_rates_of_a_steady_counter(void **state)
{
    struct series *series = *state;
    uint64_t random = 4;
    uint64_t now = START;
    double rates[300];

    series_start(series, START, grown(START));
    for (int i = 0; i < 3 * SERIES_SAMPLES; i++) {
        size_t seconds;

        now += (1 + random_below(&random, 450)) * 1000000;
        series_add(series, now, grown(now));
        if (i % 50)
            continue;
        seconds = series_seconds(series, rates, 300);
        assert_true(seconds <= (now - START) / SECOND);
        assert_true(seconds == 300 || i < 2 * SERIES_SAMPLES);
        if (now - START < 59 * SECOND)
            assert_near(series_rate(series, now, grown(now), SECOND), 3000);
        if (now - START > 140 * SECOND)
            assert_near(series_rate(series, now, grown(now), 60 * SECOND), 53000);
        if (now - START > 400 * SECOND)
            for (size_t k = 0; k < seconds; k++)
                assert_near(rates[k], 53000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rate_right_at_the_start_is_zero, create, destroy),
        cmocka_unit_test_setup_teardown(rate_of_a_young_series_is_over_its_life, create, destroy),
        cmocka_unit_test_setup_teardown(rate_looks_back_no_further_than_its_window, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(rate_beyond_the_last_sample_is_on_the_line_to_now, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(seconds_tell_what_grew_in_each, create, destroy),
        cmocka_unit_test_setup_teardown(any_samples_give_the_rates_of_a_steady_counter, create,
                                        destroy),
    };

    return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}
