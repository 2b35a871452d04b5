/* Memory pressure: levels by percent of the limit, left a bit below where they were entered. */
#include "common/pressure.h"
#include "tests/unit/unit.h"

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
    struct pressure pressure = {0};

    (void)state;
    assert_int_equal(pressure_sample(&pressure, 0), PRESSURE_NONE);
    assert_int_equal(pressure_sample(&pressure, 4096), PRESSURE_FULL);
    assert_int_equal(pressure_level(&pressure), PRESSURE_FULL);
    assert_int_equal(pressure_sample(&pressure, UINT64_C(1) << 50), PRESSURE_NONE);
    assert_int_equal(pressure_level(NULL), PRESSURE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge_follows_the_table),
        cmocka_unit_test(sample_measures_this_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
