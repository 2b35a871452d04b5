/* Which texts are counts. Redis itself is asked in the integration tests. */
#include "common/compiler.h"
#include "http/count_source.h"
#include "tests/unit/unit.h"

#include <string.h>

#define BYTES(text) text, sizeof text - 1

static const struct {
    const char *text;
    size_t length;
    int64_t count;
} accepted[] = {
    {BYTES("0"), 0},
    {BYTES("7"), 7},
    {BYTES("10"), 10},
    {BYTES("-1"), -1},
    {BYTES("-10"), -10},
    {BYTES("9007199254740993"), 9007199254740993},
    {BYTES("9223372036854775806"), INT64_MAX - 1},
    {BYTES("9223372036854775807"), INT64_MAX},
    {BYTES("-9223372036854775807"), INT64_MIN + 1},
    {BYTES("-9223372036854775808"), INT64_MIN},
};

static const struct {
    const char *text;
    size_t length;
} rejected[] = {
    {BYTES("")},
    {BYTES("-")},
    {BYTES("+1")},
    {BYTES("-0")},
    {BYTES("00")},
    {BYTES("007")},
    {BYTES("-07")},
    {BYTES("--1")},
    {BYTES(" 1")},
    {BYTES("1 ")},
    {BYTES("1\0")},
    {BYTES("1.0")},
    {BYTES("1e3")},
    {BYTES("0x10")},
    {BYTES("abc")},
    {BYTES("1/")},
    {BYTES("1:")},
    {BYTES("\xb1")},
    {BYTES("9223372036854775808")},
    {BYTES("-9223372036854775809")},
    {BYTES("9223372036854775810")},
    {BYTES("18446744073709551616")},
    {BYTES("18446744073709551617")},
    {BYTES("99999999999999999999")},
    {BYTES("100000000000000000000000000000000000000")},
};

static void parse_count_gives_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
        int64_t count = 42;

        if (!count_source_parse(accepted[i].text, accepted[i].length, &count))
            fail_msg("%s was refused", accepted[i].text);
        assert_int_equal(count, accepted[i].count);
    }
}

static void parse_anything_else_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rejected); i++) {
        int64_t count;

        if (count_source_parse(rejected[i].text, rejected[i].length, &count))
            fail_msg("%s was accepted", rejected[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_count_gives_value),
        cmocka_unit_test(parse_anything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
