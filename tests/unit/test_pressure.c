/* Memory pressure: levels by percent of the limit, left a bit below where they were entered. */
#include "common/pressure.h"
#include "tests/unit/unit.h"

#include <sys/resource.h>

static void judge_follows_the_table(void **state)
{
    static const struct {
        enum pressure_level before;
        uint64_t bytes;
        enum pressure_level after;
    } cases[] = {
        {PRESSURE_NONE, 0, PRESSURE_NONE},      {PRESSURE_NONE, 8999, PRESSURE_NONE},
        {PRESSURE_NONE, 9000, PRESSURE_TIGHT},  {PRESSURE_NONE, 9999, PRESSURE_TIGHT},
        {PRESSURE_NONE, 10000, PRESSURE_FULL},  {PRESSURE_NONE, 90000, PRESSURE_FULL},
        {PRESSURE_TIGHT, 8700, PRESSURE_TIGHT}, {PRESSURE_TIGHT, 8699, PRESSURE_NONE},
        {PRESSURE_TIGHT, 9999, PRESSURE_TIGHT}, {PRESSURE_TIGHT, 10000, PRESSURE_FULL},
        {PRESSURE_FULL, 9700, PRESSURE_FULL},   {PRESSURE_FULL, 9699, PRESSURE_TIGHT},
        {PRESSURE_FULL, 8700, PRESSURE_TIGHT},  {PRESSURE_FULL, 8000, PRESSURE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pressure_judge(cases[i].before, cases[i].bytes, 10000), cases[i].after);
}

static void sample_measures_this_process(void **state)
{
    struct pressure pressure;

    (void)state;
    assert_int_equal(pressure_init(&pressure), 0);
    assert_int_equal(pressure_sample(&pressure, 0), PRESSURE_NONE);
    assert_int_equal(pressure_sample(&pressure, 4096), PRESSURE_FULL);
    assert_int_equal(pressure_level(&pressure), PRESSURE_FULL);
    assert_int_equal(pressure_sample(&pressure, UINT64_C(1) << 50), PRESSURE_NONE);
    assert_int_equal(pressure_level(NULL), PRESSURE_NONE);
    pressure_fini(&pressure);
}

static void sample_needs_no_descriptor(void **state)
{
    struct pressure pressure;
    struct rlimit before, none;

    (void)state;
    assert_int_equal(pressure_init(&pressure), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(pressure_sample(&pressure, 4096), PRESSURE_FULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    pressure_fini(&pressure);
}

static void sample_keeps_the_level_when_it_cannot_be_told(void **state)
{
    struct pressure pressure;

    (void)state;
    assert_int_equal(pressure_init(&pressure), 0);
    assert_int_equal(pressure_sample(&pressure, 4096), PRESSURE_FULL);
    pressure_fini(&pressure);
    pressure.statm_fd = -1;
    assert_int_equal(pressure_sample(&pressure, 4096), PRESSURE_FULL);
    assert_int_equal(pressure_sample(&pressure, 0), PRESSURE_NONE);
    assert_int_equal(pressure_sample(&pressure, 4096), PRESSURE_NONE);
    pressure_fini(&pressure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge_follows_the_table),
        cmocka_unit_test(sample_measures_this_process),
        cmocka_unit_test(sample_needs_no_descriptor),
        cmocka_unit_test(sample_keeps_the_level_when_it_cannot_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
