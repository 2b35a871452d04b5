/* The list of public paths: which entries name which paths. */
#include "http/auth.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static const char *const known[] = {"/metrics", "/metrics/prom", "/devices/", "/healthz"};

static void read_of_a_good_list_gives_its_paths(void **state)
{
    static const struct {
        const char *list;
        uint64_t set;
    } good[] = {
        {"", 0},
        {"/metrics", 1},
        {"/metrics/prom", 2},
        {"/devices/*", 4},
        {"/healthz,/metrics", 9},
        {"/metrics,/metrics", 1},
        {"/metrics,", 1},
        {"/*", 15},
        {"/healthz,/*", 15},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        char error[ERROR_BYTES] = "";
        uint64_t set;

        if (auth_read_public(good[i].list, known, ARRAY_LENGTH(known), &set, error))
            fail_msg("\"%s\": %s", good[i].list, error);
        assert_int_equal(set, good[i].set);
    }
}

static void read_of_a_bad_list_names_the_bad_entry(void **state)
{
    static const struct {
        const char *list, *entry;
    } bad[] = {
        {"metrics", "\"metrics\""},
        {"/metric", "\"/metric\""},
        {"/metrics/", "\"/metrics/\""},
        {"/metrics/*", "\"/metrics/*\""},
        {"/devices/", "\"/devices/\""},
        {"/devices/x", "\"/devices/x\""},
        {"/devices", "\"/devices\""},
        {"*", "\"*\""},
        {"/", "\"/\""},
        {"/healthz, /metrics", "\" /metrics\""},
        {",/healthz", "\"\""},
        {"/healthz,,/metrics", "\"\""},
        {"/-/reload", "\"/-/reload\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char error[ERROR_BYTES] = "";
        uint64_t set;

        if (auth_read_public(bad[i].list, known, ARRAY_LENGTH(known), &set, error) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i].list);
        if (!strstr(error, bad[i].entry))
            fail_msg("\"%s\": %s", bad[i].list, error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_of_a_good_list_gives_its_paths),
        cmocka_unit_test(read_of_a_bad_list_names_the_bad_entry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
