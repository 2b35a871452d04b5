/* Nobody gets more than he leaves to others, however many come to take what they can. */
#include "server/share.h"
#include "tests/unit/unit.h"

enum { MOST = 65536, CROWD = 100 };

static struct share all, crowd[CROWD];

static int begin(void **state)
{
    (void)state;
    all = (struct share){0};
    for (int i = 0; i < CROWD; i++)
        crowd[i] = all;
    return 0;
}

static size_t take_all(struct share *own)
{
    size_t n = 0;

    while (share_take(&all, own, SHARE_OPEN_CALLS, 1))
        n++;
    return n;
}

static void one_alone_gets_half(void **state)
{
    (void)state;
    assert_int_equal(take_all(&crowd[0]), MOST / 2);
    assert_int_equal(take_all(&crowd[1]), MOST / 4);
    assert_int_equal(take_all(&crowd[0]), 0);
}

static void a_crowd_leaves_as_much_as_each_of_it_has(void **state)
{
    struct share newcomer = {0};
    bool more = true;

    (void)state;
    while (more) {
        more = false;
        for (int i = 0; i < CROWD; i++)
            more |= share_take(&all, &crowd[i], SHARE_OPEN_CALLS, 1);
    }
    for (int i = 0; i < CROWD; i++)
        assert_in_range(crowd[i].held[SHARE_OPEN_CALLS], MOST / CROWD - 10, MOST / CROWD);
    assert_true(take_all(&newcomer) >= MOST / CROWD / 3);
}

static void what_is_given_back_is_there_again(void **state)
{
    (void)state;
    assert_int_equal(take_all(&crowd[0]), MOST / 2);
    share_give(&all, &crowd[0], SHARE_OPEN_CALLS, MOST / 2);
    assert_int_equal(all.held[SHARE_OPEN_CALLS], 0);
    assert_int_equal(take_all(&crowd[1]), MOST / 2);
}

static void one_kind_takes_nothing_of_another(void **state)
{
    (void)state;
    take_all(&crowd[0]);
    assert_true(share_take(&all, &crowd[0], SHARE_INFLATING, 512));
    assert_false(share_take(&all, &crowd[0], SHARE_INFLATING, 1));
    assert_true(share_take(&all, &crowd[0], SHARE_SERVICE_BYTES, 8 << 20));
    assert_false(share_take(&all, &crowd[0], SHARE_SERVICE_BYTES, 4096));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_alone_gets_half, begin),
        cmocka_unit_test_setup(a_crowd_leaves_as_much_as_each_of_it_has, begin),
        cmocka_unit_test_setup(what_is_given_back_is_there_again, begin),
        cmocka_unit_test_setup(one_kind_takes_nothing_of_another, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
