/* Dates against libc's: every day of four centuries, and every second of some days. */
#include "http/date.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void assert_as_libc(uint64_t ms)
{
    char http[DATE_HTTP_BYTES], rfc_3339[DATE_RFC_3339_BYTES], expected[64];
    time_t seconds = (time_t)(ms / 1000);
    size_t length;
    struct tm utc;

    gmtime_r(&seconds, &utc);
    strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    assert_string_equal(date_http(ms, http), expected);
    length = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(expected + length, sizeof expected - length, ".%03uZ", (unsigned)(ms % 1000));
    assert_string_equal(date_rfc_3339(ms, rfc_3339), expected);
}

static void every_day_of_four_centuries_is_as_libc_says(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 146097 + 366; day++)
        assert_as_libc(day * 86400000 + day % 86400 * 1000 + day % 1000);
}

static void every_second_of_a_day_is_as_libc_says(void **state)
{
    (void)state;
    for (uint64_t second = 0; second <= 86400; second++)
        assert_as_libc(UINT64_C(1709164800000) + second * 1000); /* 2024-02-29 */
}

static void last_day_is_as_libc_says_and_the_last_one(void **state)
{
    char text[DATE_RFC_3339_BYTES];

    (void)state;
    assert_as_libc(DATE_MAX_MS);
    assert_string_equal(date_rfc_3339(DATE_MAX_MS + 1, text), "9999-12-31T23:59:59.999Z");
    assert_string_equal(date_rfc_3339(UINT64_MAX, text), "9999-12-31T23:59:59.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_four_centuries_is_as_libc_says),
        cmocka_unit_test(every_second_of_a_day_is_as_libc_says),
        cmocka_unit_test(last_day_is_as_libc_says_and_the_last_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
