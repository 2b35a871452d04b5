/* Which queries make sense to a listing, and which parameter is named when one does not. */
#include "common/compiler.h"
#include "http/listing.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static const char *const allowed[] = {"prefix", "sort", "limit", "cursor", "device_id", NULL};

/* What listing_parse() says to a query that query_parse() takes. */
static int parse(const char *text, struct query_error *error)
{
    struct listing_query wanted;
    struct query query;
    int result;

    assert_int_equal(query_parse(&query, text, allowed, error), 0);
    result = listing_parse(&query, &wanted, error);
    query_free(&query);
    return result;
}

static const char *const accepted[] = {
    "",
    "prefix=",
    "prefix=a%00b",
    "prefix=%C3%A9",
    "sort=device_id",
    "sort=count",
    "sort=-count",
    "limit=1",
    "limit=1000000",
    "cursor=AWE",
    "cursor=AWE&prefix=a",
    "cursor=AWE&prefix=",
    "cursor=AgAAAAAAAAABYQ&sort=-count",
    "cursor=AwAAAAAAAAABYQ&sort=count&limit=7&prefix=a",
    "device_id=a",
    "device_id=a&device_id=a&device_id=%00",
};

static const struct {
    const char *text;
    const char *parameter;
} rejected[] = {
    {"prefix=a&prefix=a", "prefix"},
    {"prefix=%FF", "prefix"},
    {"sort=", "sort"},
    {"sort=name", "sort"},
    {"sort=+count", "sort"},
    {"sort=count%00", "sort"},
    {"sort=COUNT", "sort"},
    {"sort=count&sort=count", "sort"},
    {"limit=", "limit"},
    {"limit=0", "limit"},
    {"limit=1000001", "limit"},
    {"limit=-1", "limit"},
    {"limit=1.5", "limit"},
    {"limit=1&limit=1", "limit"},
    {"limit=18446744073709551617", "limit"},
    {"cursor=", "cursor"},
    {"cursor=x", "cursor"},
    {"cursor=AWE&cursor=AWE", "cursor"},
    {"cursor=AWE&sort=count", "cursor"},
    {"cursor=AgAAAAAAAAABYQ", "cursor"},
    {"cursor=AgAAAAAAAAABYQ&sort=count", "cursor"},
    {"cursor=AWE&prefix=b", "cursor"},
    {"cursor=AWE&prefix=aa", "cursor"},
    {"device_id=", "device_id"},
    {"device_id=a&device_id=", "device_id"},
    {"device_id=%FF", "device_id"},
    {"device_id=a&limit=1", "limit"},
    {"prefix=a&device_id=a", "prefix"},
    {"device_id=a&sort=count&limit=1", "sort"},
    {"device_id=a&cursor=AWE", "cursor"},
};

static void parse_accepted_sample_succeeds(void **state)
{
    struct query_error error;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(accepted); i++) {
        if (parse(accepted[i], &error))
            fail_msg("%s: %s: %s", accepted[i], error.parameter, error.text);
    }
}

static void parse_rejected_sample_names_its_parameter(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rejected); i++) {
        struct query_error error;

        if (parse(rejected[i].text, &error) != -EINVAL)
            fail_msg("%s was taken", rejected[i].text);
        assert_string_equal(error.parameter, rejected[i].parameter);
        assert_true(error.text[0]);
    }
}

static void parse_counts_the_ids(void **state)
{
    char text[(LISTING_MAX_IDS + 1) * sizeof "device_id=a&" + 1] = "";
    struct query_error error;

    (void)state;
    for (size_t ids = 0; ids < LISTING_MAX_IDS; ids++)
        strcat(text, "device_id=a&");
    assert_int_equal(parse(text, &error), 0);
    strcat(text, "device_id=a&");
    assert_int_equal(parse(text, &error), -EINVAL);
    assert_string_equal(error.parameter, "device_id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_accepted_sample_succeeds),
        cmocka_unit_test(parse_rejected_sample_names_its_parameter),
        cmocka_unit_test(parse_counts_the_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
