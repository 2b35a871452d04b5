/* The guard: what real clients do passes for ever, and what floods is past the bound soon. */
#include "server/guard.h"
#include "tests/unit/unit.h"

#define NOW     1000000u
#define STREAMS 1024

static uint32_t frames_until_the_bound(struct guard *guard, uint64_t now)
{
    uint32_t n = 0;

    while (n < 1000000 && guard_frame(guard, now))
        n++;
    return n;
}

static void frame_in_a_burst_is_past_the_bound_after_some_thousands(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    assert_in_range(frames_until_the_bound(&guard, NOW), 1000, 5000);
}

static void frame_a_hundred_times_a_second_is_fine_for_ever(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    for (uint64_t now = NOW; now < NOW + 600000; now += 10)
        assert_true(guard_frame(&guard, now));
}

static void frame_after_a_pause_has_a_burst_again(void **state)
{
    struct guard guard;
    uint32_t first;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    first = frames_until_the_bound(&guard, NOW);
    assert_true(frames_until_the_bound(&guard, NOW + 1) < 10);
    assert_in_range(frames_until_the_bound(&guard, NOW + 3600000), first - 1, first);
}

/* Two window updates and a ping for each HEADERS and DATA, however many there are. */
static void frame_that_answers_ours_is_fine_for_ever(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    for (int i = 0; i < 1000000; i++) {
        guard_sent(&guard);
        assert_true(guard_frame(&guard, NOW));
        assert_true(guard_frame(&guard, NOW));
        assert_int_equal(guard_ping(&guard, NOW), GUARD_PING_FINE);
    }
}

static void settings_weigh_more_than_other_frames(void **state)
{
    struct guard guard;
    uint32_t n = 0;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    while (n < 1000000 && guard_settings(&guard, 6, NOW))
        n++;
    assert_in_range(n, 20, 200);
}

static void ping_once_an_interval_or_a_bit_early_is_fine_for_ever(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(guard_ping(&guard, NOW + i * 9900), GUARD_PING_FINE);
}

static void ping_too_often_has_two_strikes(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    assert_int_equal(guard_ping(&guard, NOW), GUARD_PING_FINE);
    assert_int_equal(guard_ping(&guard, NOW + 100), GUARD_PING_FINE);
    assert_int_equal(guard_ping(&guard, NOW + 200), GUARD_PING_FINE);
    assert_int_equal(guard_ping(&guard, NOW + 300), GUARD_PING_TOO_OFTEN);
}

static void ping_after_an_answer_of_ours_starts_anew(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    for (uint64_t i = 0; i < 1000; i++) {
        guard_sent(&guard);
        assert_int_equal(guard_ping(&guard, NOW + i), GUARD_PING_FINE);
        assert_int_equal(guard_ping(&guard, NOW + i), GUARD_PING_FINE);
    }
}

static void ping_without_an_interval_is_only_a_frame(void **state)
{
    struct guard guard;
    int n = 0;

    (void)state;
    guard_init(&guard, STREAMS, 0);
    while (n < 1000000 && guard_ping(&guard, NOW) == GUARD_PING_FINE)
        n++;
    assert_in_range(n, 1000, 5000);
    assert_int_equal(guard_ping(&guard, NOW), GUARD_PING_FLOOD);
}

static void reset_of_all_streams_twice_is_fine(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    for (int i = 0; i < 2 * STREAMS; i++)
        assert_true(guard_reset(&guard, 0, NOW));
    assert_false(guard_reset(&guard, 0, NOW));
}

static void reset_of_streams_that_lived_is_fine_for_ever(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, STREAMS, 10000);
    for (int i = 0; i < 1000000; i++)
        assert_true(guard_reset(&guard, 1000, NOW));
}

static void reset_where_few_streams_are_allowed_has_a_burst_too(void **state)
{
    struct guard guard;

    (void)state;
    guard_init(&guard, 1, 10000);
    for (int i = 0; i < 100; i++)
        assert_true(guard_reset(&guard, 0, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_in_a_burst_is_past_the_bound_after_some_thousands),
        cmocka_unit_test(frame_a_hundred_times_a_second_is_fine_for_ever),
        cmocka_unit_test(frame_after_a_pause_has_a_burst_again),
        cmocka_unit_test(frame_that_answers_ours_is_fine_for_ever),
        cmocka_unit_test(settings_weigh_more_than_other_frames),
        cmocka_unit_test(ping_once_an_interval_or_a_bit_early_is_fine_for_ever),
        cmocka_unit_test(ping_too_often_has_two_strikes),
        cmocka_unit_test(ping_after_an_answer_of_ours_starts_anew),
        cmocka_unit_test(ping_without_an_interval_is_only_a_frame),
        cmocka_unit_test(reset_of_all_streams_twice_is_fine),
        cmocka_unit_test(reset_of_streams_that_lived_is_fine_for_ever),
        cmocka_unit_test(reset_where_few_streams_are_allowed_has_a_burst_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
