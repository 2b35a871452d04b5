/* The shares of descriptors, for limits of all sizes. */
#include "server/descriptors.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/resource.h>

static void share_follows_the_table(void **state)
{
    static const struct {
        uint64_t limit;
        struct descriptors_wanted wanted;
        int result;
        uint64_t connections, http_connections;
    } cases[] = {
        /* enough: both as wanted, and gRPC the rest, for a reload */
        {32768, {4, 16384, 1100, false}, 0, 30484, 1100},
        {32768, {4, 16384, 1100, true}, 0, 26084, 1100},
        {UINT64_MAX, {4, 16384, 1100, true}, 0, UINT64_MAX - 84 - 6600, 1100},
        /* HTTP has what it wants, gRPC what is left */
        {8192, {4, 16384, 1100, false}, 0, 5908, 1100},
        /* HTTP has half */
        {8192, {4, 16384, 1100, true}, 0, 4054, 675},
        {1024, {2, 16384, 1100, false}, 0, 475, 237},
        {1024, {2, 100, 1100, false}, 0, 475, 237},
        {1024, {2, 100, 100, false}, 0, 750, 100},
        /* the least, and less */
        {106, {2, 16384, 1100, false}, 0, 16, 8},
        {105, {2, 16384, 1100, false}, -EMFILE, 0, 0},
        {170, {2, 16384, 1100, true}, 0, 48, 8},
        {169, {2, 16384, 1100, true}, -EMFILE, 0, 0},
        {0, {1, 1, 8, false}, -EMFILE, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct descriptors shares;

        assert_int_equal(descriptors_share(cases[i].limit, &cases[i].wanted, &shares),
                         cases[i].result);
        assert_int_equal(shares.connections, cases[i].connections);
        assert_int_equal(shares.http_connections, cases[i].http_connections);
    }
}

static void share_tells_the_least_that_would_do(void **state)
{
    const struct descriptors_wanted wanted = {3, 100, 100, true};
    struct descriptors shares;

    (void)state;
    assert_int_equal(descriptors_share(20, &wanted, &shares), -EMFILE);
    assert_int_equal(descriptors_share(shares.limit, &wanted, &shares), 0);
}

static void raise_limit_goes_to_the_hard_one(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 20;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max == RLIM_INFINITY)
        assert_true(descriptors_raise_limit() > 20);
    else
        assert_int_equal(descriptors_raise_limit(), limit.rlim_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share_follows_the_table),
        cmocka_unit_test(share_tells_the_least_that_would_do),
        cmocka_unit_test(raise_limit_goes_to_the_hard_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
