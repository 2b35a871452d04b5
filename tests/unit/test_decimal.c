/* Decimal digits, against printf(). */
#include "common/decimal.h"
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void check(uint64_t number)
{
    char text[DECIMAL_BYTES + 1], expected[DECIMAL_BYTES + 1];

    memset(text, 'x', sizeof text);
    text[DECIMAL_BYTES] = '\0';
    snprintf(expected, sizeof expected, "%" PRIu64, number);
    assert_string_equal(decimal_write(number, text + DECIMAL_BYTES), expected);
}

static void write_around_every_power_of_ten_matches_printf(void **state)
{
    uint64_t power = 1;

    (void)state;
    for (int digits = 1; digits <= 20; digits++, power *= 10) {
        check(power - 1);
        check(power);
        check(power + 1);
    }
    check(UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_around_every_power_of_ten_matches_printf),
    };

    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
