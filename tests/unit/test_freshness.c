/* Times of day against a table. The headers are test_summary_top.py's. */
#include "common/compiler.h"
#include "http/freshness.h"
#include "tests/unit/unit.h"

#include <string.h>

static const struct {
    uint64_t wall_ms;
    const char *text;
} samples[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {1, "1970-01-01T00:00:00.001Z"},
    {999, "1970-01-01T00:00:00.999Z"},
    {951782400000, "2000-02-29T00:00:00.000Z"},
    {1767323045678, "2026-01-02T03:04:05.678Z"},
    {4102444799099, "2099-12-31T23:59:59.099Z"},
    {253402300799999, "9999-12-31T23:59:59.999Z"},
    {253402300800000, "9999-12-31T23:59:59.999Z"},
    {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
};

static void text_sample_is_utc_with_milliseconds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        char text[FRESHNESS_TEXT_BYTES];

        assert_ptr_equal(freshness_text(samples[i].wall_ms, text), text);
        assert_string_equal(text, samples[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_sample_is_utc_with_milliseconds),
    };

    return cmocka_run_group_tests_name("freshness", tests, NULL, NULL);
}
