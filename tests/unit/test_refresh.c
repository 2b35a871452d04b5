/* The reader's rule by a clock of the test's own: each bound at its last and at its first ms. */
#include "http/refresh.h"
#include "tests/unit/unit.h"

#define R 500 /* refresh_ms, where a test does not say otherwise */

/* A rule after one reading that began at `began_ms` and took `took_ms`. */
static struct refresh after(uint64_t refresh_ms, uint64_t began_ms, uint64_t took_ms,
                            bool succeeded)
{
    struct refresh refresh;

    refresh_init(&refresh, refresh_ms);
    refresh_begin(&refresh, began_ms);
    assert_false(refresh_may_begin(&refresh, began_ms + took_ms)); /* never two at once */
    refresh_end(&refresh, began_ms + took_ms, succeeded);
    return refresh;
}

static void assert_judged(const struct refresh *refresh, uint64_t kept_ms, uint64_t now_ms,
                          enum refresh_verdict verdict)
{
    assert_int_equal(refresh_judge(refresh, &kept_ms, now_ms), verdict);
}

static void first_request_reads_and_waits(void **state)
{
    struct refresh refresh;

    (void)state;
    refresh_init(&refresh, R);
    assert_true(refresh_may_begin(&refresh, 0));
    assert_int_equal(refresh_judge(&refresh, NULL, 0), REFRESH_WAIT);
}

static void quick_reading_is_made_every_refresh_ms(void **state)
{
    struct refresh refresh = after(R, 1000, 20, true);

    (void)state;
    assert_false(refresh_may_begin(&refresh, 1000 + R - 1));
    assert_true(refresh_may_begin(&refresh, 1000 + R));
}

static void slow_reading_is_followed_by_a_rest_as_long(void **state)
{
    struct refresh refresh = after(R, 1000, 2000, true);

    (void)state;
    assert_false(refresh_may_begin(&refresh, 1000 + 3999));
    assert_true(refresh_may_begin(&refresh, 1000 + 4000));
}

static void quick_snapshot_ages_from_fresh_over_usable_to_old(void **state)
{
    struct refresh refresh = after(R, 1000, 20, true);

    (void)state;
    assert_judged(&refresh, 1000, 1020, REFRESH_FRESH);
    assert_judged(&refresh, 1000, 1000 + R, REFRESH_FRESH);
    assert_judged(&refresh, 1000, 1000 + R + 1, REFRESH_USABLE);
    assert_judged(&refresh, 1000, 1000 + R + 40 + REFRESH_SLACK_MS, REFRESH_USABLE);
    assert_judged(&refresh, 1000, 1000 + R + 41 + REFRESH_SLACK_MS, REFRESH_WAIT);
}

static void slow_snapshot_is_usable_for_longer(void **state)
{
    struct refresh refresh = after(R, 1000, 2000, true);

    (void)state;
    assert_judged(&refresh, 1000, 1000 + 8000 + REFRESH_SLACK_MS, REFRESH_USABLE);
    assert_judged(&refresh, 1000, 1000 + 8001 + REFRESH_SLACK_MS, REFRESH_WAIT);
}

static void requests_all_the_time_never_wait_for_a_reading(void **state)
{
    static const uint64_t took_ms[] = {1500, 1900, 2800, 2000, 900, 1300};
    struct refresh refresh = after(R, 1000, 1500, true);
    uint64_t kept_ms = 1000, ends_ms = 0;
    size_t readings = 0;

    (void)state;
    for (uint64_t now_ms = 2500; readings < sizeof took_ms / sizeof *took_ms; now_ms++) {
        if (refresh.reading && now_ms == ends_ms) {
            refresh_end(&refresh, now_ms, true);
            kept_ms = refresh.began_ms;
        }
        assert_int_not_equal(refresh_judge(&refresh, &kept_ms, now_ms), REFRESH_WAIT);
        if (refresh_may_begin(&refresh, now_ms)) {
            refresh_begin(&refresh, now_ms);
            ends_ms = now_ms + took_ms[readings++];
        }
    }
}

static void nobody_waits_right_after_a_failure(void **state)
{
    struct refresh quick = after(R, 1000, 1, false), shorter = after(10, 1000, 1, false),
                   slow = after(R, 1000, 2000, false);

    (void)state;
    assert_int_equal(refresh_judge(&quick, NULL, 1001), REFRESH_USABLE);
    assert_judged(&quick, 0, 1001 + R - 1, REFRESH_USABLE);
    assert_judged(&quick, 0, 1001 + R, REFRESH_WAIT);
    assert_int_equal(refresh_judge(&shorter, NULL, 1001 + REFRESH_FAILURE_MS - 1), REFRESH_USABLE);
    assert_int_equal(refresh_judge(&shorter, NULL, 1001 + REFRESH_FAILURE_MS), REFRESH_WAIT);

    assert_int_equal(refresh_judge(&slow, NULL, 4999), REFRESH_USABLE); /* none may begin yet */
    assert_false(refresh_may_begin(&slow, 4999));
    assert_int_equal(refresh_judge(&slow, NULL, 5000), REFRESH_WAIT);
    assert_true(refresh_may_begin(&slow, 5000));
}

static void slow_failure_makes_no_snapshot_usable_for_longer(void **state)
{
    struct refresh refresh = after(R, 1000, 20, true);

    (void)state;
    refresh_begin(&refresh, 2000);
    refresh_end(&refresh, 4000, false);
    assert_int_equal(refresh.duration_ms, 20);
    assert_judged(&refresh, 1000, 6000, REFRESH_WAIT);
    refresh_begin(&refresh, 6000);
    refresh_end(&refresh, 6020, true);
    assert_judged(&refresh, 6000, 6000 + R + 41 + REFRESH_SLACK_MS,
                  REFRESH_WAIT); /* the failure is forgotten */
}

static void with_0_everybody_waits_and_no_reading_does(void **state)
{
    struct refresh good = after(0, 1000, 2000, true), bad = after(0, 1000, 2000, false);

    (void)state;
    assert_judged(&good, 1000, 3000, REFRESH_WAIT);
    assert_true(refresh_may_begin(&good, 3000));
    assert_judged(&bad, 1000, 3000, REFRESH_WAIT);
    assert_true(refresh_may_begin(&bad, 3000));
}

static void failure_is_followed_by_a_try_soon_however_seldom_it_is_read(void **state)
{
    struct refresh seldom = after(3600000, 1000, 1, false);

    (void)state;
    assert_false(refresh_may_begin(&seldom, 1000 + REFRESH_RETRY_MS - 1));
    assert_true(refresh_may_begin(&seldom, 1000 + REFRESH_RETRY_MS));
    assert_int_equal(refresh_judge(&seldom, NULL, 1001 + REFRESH_RETRY_MS - 1), REFRESH_USABLE);
    assert_int_equal(refresh_judge(&seldom, NULL, 1001 + REFRESH_RETRY_MS), REFRESH_WAIT);
}

static void what_was_given_up_is_read_again_at_once(void **state)
{
    struct refresh seldom = after(3600000, 1000, 1, true);

    (void)state;
    assert_false(refresh_may_begin(&seldom, 301000));
    refresh_forget(&seldom);
    assert_true(refresh_may_begin(&seldom, 301000));
    assert_int_equal(refresh_judge(&seldom, NULL, 301000), REFRESH_WAIT);
}

static void patience_lasts_for_a_reading_like_the_last(void **state)
{
    struct refresh slow = after(R, 1000, 2000, true), exact = after(0, 1000, 2000, true);

    (void)state;
    assert_int_equal(refresh_patience_ms(&slow), REFRESH_PATIENCE_MS + 4000);
    assert_true(refresh_patience_ms(&exact) == UINT64_MAX);
    refresh_begin(&slow, 6000);
    refresh_end(&slow, 7000, false);
    assert_int_equal(refresh_patience_ms(&slow), REFRESH_PATIENCE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_request_reads_and_waits),
        cmocka_unit_test(quick_reading_is_made_every_refresh_ms),
        cmocka_unit_test(slow_reading_is_followed_by_a_rest_as_long),
        cmocka_unit_test(quick_snapshot_ages_from_fresh_over_usable_to_old),
        cmocka_unit_test(slow_snapshot_is_usable_for_longer),
        cmocka_unit_test(requests_all_the_time_never_wait_for_a_reading),
        cmocka_unit_test(nobody_waits_right_after_a_failure),
        cmocka_unit_test(slow_failure_makes_no_snapshot_usable_for_longer),
        cmocka_unit_test(failure_is_followed_by_a_try_soon_however_seldom_it_is_read),
        cmocka_unit_test(what_was_given_up_is_read_again_at_once),
        cmocka_unit_test(patience_lasts_for_a_reading_like_the_last),
        cmocka_unit_test(with_0_everybody_waits_and_no_reading_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
