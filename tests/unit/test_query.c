/* What may stand behind the question mark of a URL, and what it means. */
#include "common/compiler.h"
#include "http/query.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static const char *const allowed[] = {"n", "id", NULL};

#define BYTES(text) text, sizeof text - 1

/* The value of the first `id` that a text has. */
static const struct {
    const char *text;
    const char *value;
    size_t length;
} accepted[] = {
    {"id=a", BYTES("a")},
    {"id=", BYTES("")},
    {"id", BYTES("")},
    {"id=a=b", BYTES("a=b")},
    {"id=a+b", BYTES("a b")},
    {"id=a%2Bb", BYTES("a+b")},
    {"id=%00", BYTES("\0")},
    {"id=a%00b", BYTES("a\0b")},
    {"id=%26%3d%25", BYTES("&=%")},
    {"id=%e2%82%AC", BYTES("\xe2\x82\xac")},
    {"id=\xc3\xa9", BYTES("\xc3\xa9")},
    {"%69d=a", BYTES("a")},
    {"n=1&id=a", BYTES("a")},
    {"&&id=a&", BYTES("a")},
    {"id=a&id=b", BYTES("a")},
};

static const struct {
    const char *text;
    const char *parameter;
} rejected[] = {
    {"x=1", "x"},         {"id=a&ID=b", "ID"}, {"=a", ""},     {"id%00x=a", "id"},
    {"n=1&idd=2", "idd"}, {"i=1", "i"},        {"id=%", "id"}, {"id=a%4", "id"},
    {"id=a&n=%zz", "n"},  {"id=%%41", "id"},   {"%=1", "%"},   {"i%zzd=1", "i%zzd"},
    {"id%3d=1", "id="},
};

static void accepted_sample_has_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
        const struct query_pair *pair;
        struct query_error error;
        struct query query;

        assert_int_equal(query_parse(&query, accepted[i].text, allowed, &error), 0);
        pair = query_find(&query, "id", NULL);
        assert_non_null(pair);
        if (pair->length != accepted[i].length ||
            memcmp(pair->value, accepted[i].value, pair->length) != 0)
            fail_msg("%s: got %.*s", accepted[i].text, (int)pair->length, pair->value);
        query_free(&query);
    }
}

static void rejected_sample_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rejected); i++) {
        struct query_error error;
        struct query query;

        assert_int_equal(query_parse(&query, rejected[i].text, allowed, &error), -EINVAL);
        assert_string_equal(error.parameter, rejected[i].parameter);
        assert_true(strlen(error.text) > 0);
    }
}

static void no_query_has_no_pairs(void **state)
{
    struct query_error error;
    struct query query;

    (void)state;
    assert_int_equal(query_parse(&query, NULL, NULL, &error), 0);
    assert_null(query_find(&query, "id", NULL));
    query_free(&query);
    assert_int_equal(query_parse(&query, "", NULL, &error), 0);
    assert_int_equal(query.count, 0);
    query_free(&query);
    assert_int_equal(query_parse(&query, "n=1", NULL, &error), -EINVAL);
}

static void repeated_pairs_come_in_order(void **state)
{
    const struct query_pair *pair = NULL;
    struct query_error error;
    struct query query;

    (void)state;
    assert_int_equal(query_parse(&query, "id=a&n=1&id=b&id=c", allowed, &error), 0);
    for (char expected = 'a'; expected <= 'c'; expected++) {
        pair = query_find(&query, "id", pair ? pair + 1 : NULL);
        assert_non_null(pair);
        assert_int_equal(pair->value[0], expected);
    }
    assert_null(query_find(&query, "id", pair + 1));
    assert_int_equal(query_single(&query, "id", &pair, &error), -EINVAL);
    assert_int_equal(query_single(&query, "n", &pair, &error), 0);
    query_free(&query);
}

static void too_many_pairs_are_refused(void **state)
{
    char text[2 * QUERY_MAX_PAIRS + 8];
    struct query_error error;
    struct query query;

    (void)state;
    for (size_t i = 0; i <= QUERY_MAX_PAIRS; i++)
        memcpy(text + 2 * i, "n&", 3);
    text[2 * QUERY_MAX_PAIRS + 1] = '\0';
    assert_int_equal(query_parse(&query, text, allowed, &error), -EINVAL);
    text[2 * QUERY_MAX_PAIRS - 1] = '\0';
    assert_int_equal(query_parse(&query, text, allowed, &error), 0);
    assert_int_equal(query.count, QUERY_MAX_PAIRS);
    query_free(&query);
}

static void number_sample_is_read_or_refused(void **state)
{
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } samples[] = {
        {"n=1", 0, 1},
        {"n=100", 0, 100},
        {"n=007", 0, 7},
        {"", 0, 42},
        {"n=0", -EINVAL, 0},
        {"n=101", -EINVAL, 0},
        {"n=", -EINVAL, 0},
        {"n=-1", -EINVAL, 0},
        {"n=%2b1", -EINVAL, 0},
        {"n=1.0", -EINVAL, 0},
        {"n=1%00", -EINVAL, 0},
        {"n=1&n=1", -EINVAL, 0},
        {"n=+1", -EINVAL, 0},
        {"n=0x10", -EINVAL, 0},
        {"n=99999999999999999999", -EINVAL, 0},
        {"n=18446744073709551617", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        struct query_error error;
        struct query query;
        uint64_t value = 42;

        assert_int_equal(query_parse(&query, samples[i].text, allowed, &error), 0);
        if (query_number(&query, "n", 1, 100, &value, &error) != samples[i].result)
            fail_msg("%s", samples[i].text);
        if (samples[i].result)
            assert_string_equal(error.parameter, "n");
        else
            assert_int_equal(value, samples[i].value);
        query_free(&query);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_sample_has_value),
        cmocka_unit_test(rejected_sample_is_named),
        cmocka_unit_test(no_query_has_no_pairs),
        cmocka_unit_test(repeated_pairs_come_in_order),
        cmocka_unit_test(too_many_pairs_are_refused),
        cmocka_unit_test(number_sample_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
