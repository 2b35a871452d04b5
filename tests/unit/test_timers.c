/* Timers: they come due in order, whatever was set, set anew and cancelled before. */
#include "server/timers.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdbool.h>

#define TIMERS 500

static void take_due_of_none_gives_null(void **state)
{
    struct timers *timers = timers_create();

    (void)state;
    assert_non_null(timers);
    assert_null(timers_take_due(timers, UINT64_MAX));
    assert_true(timers_next_ms(timers) == UINT64_MAX);
    timers_destroy(timers);
}

static void take_due_before_the_time_gives_null(void **state)
{
    struct timers *timers = timers_create();
    struct timer timer = {.kind = TIMER_CALL};

    (void)state;
    assert_int_equal(timers_set(timers, &timer, 100), 0);
    assert_int_equal(timers_next_ms(timers), 100);
    assert_null(timers_take_due(timers, 99));
    assert_ptr_equal(timers_take_due(timers, 100), &timer);
    assert_int_equal(timer.place, 0);
    timers_destroy(timers);
}

static void cancel_of_an_unset_timer_changes_nothing(void **state)
{
    struct timers *timers = timers_create();
    struct timer set = {.kind = TIMER_CALL}, unset = {.kind = TIMER_CALL};

    (void)state;
    assert_int_equal(timers_set(timers, &set, 5), 0);
    timers_cancel(timers, &unset);
    assert_int_equal(timers_next_ms(timers), 5);
    timers_destroy(timers);
}

/* The heap against the plainest thing that does the same: a look at all of them. */
static void random_changes_keep_the_order(void **state)
{
    static struct timer all[TIMERS];
    struct timers *timers = timers_create();
    uint64_t random = 1, now_ms = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct timer *timer = &all[random_below(&random, TIMERS)], *due;
        uint64_t next_ms = UINT64_MAX;

        if (random_below(&random, 4) == 0)
            timers_cancel(timers, timer);
        else
            assert_int_equal(timers_set(timers, timer, now_ms + random_below(&random, 300)), 0);
        for (size_t i = 0; i < TIMERS; i++) {
            if (all[i].place && all[i].due_ms < next_ms)
                next_ms = all[i].due_ms;
        }
        assert_true(timers_next_ms(timers) == next_ms);
        now_ms += random_below(&random, 2);
        while ((due = timers_take_due(timers, now_ms))) {
            assert_true(due->due_ms <= now_ms);
            assert_int_equal(due->place, 0);
        }
        assert_true(timers_next_ms(timers) > now_ms);
    }
    timers_destroy(timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_due_of_none_gives_null),
        cmocka_unit_test(take_due_before_the_time_gives_null),
        cmocka_unit_test(cancel_of_an_unset_timer_changes_nothing),
        cmocka_unit_test(random_changes_keep_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
