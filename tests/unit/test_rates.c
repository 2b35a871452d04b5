/* The sampling thread; what is made of its samples is test_series.c's. */
#include "http/rates.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <time.h>

#define WORKERS 3

static struct stats_worker workers[WORKERS];
static struct stats_worker *const list[WORKERS] = {&workers[0], &workers[1], &workers[2]};

static int clear(void **state)
{
    (void)state;
    memset(workers, 0, sizeof workers);
    return 0;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void over_counts_what_arrives_on_all_workers(void **state)
{
    struct rates *rates;

    (void)state;
    stats_set(&workers[0].packets_arrived, 1000000); /* before the start: no part of any rate */
    rates = rates_create(list, WORKERS);
    assert_non_null(rates);
    for (int window = 0; window < RATES_WINDOWS; window++)
        assert_true(rates_over(rates, (enum rates_window)window) == 0);
    for (size_t i = 0; i < WORKERS; i++)
        stats_add(&workers[i].packets_arrived, 1000);
    for (int window = 0; window < RATES_WINDOWS; window++) {
        while (rates_over(rates, (enum rates_window)window) == 0)
            pause_ms(10); /* until the next sample */
        assert_in_range((uintmax_t)rates_over(rates, (enum rates_window)window), 1, 30000);
    }
    rates_destroy(rates);
}

/* Until the first whole second is in the history, however long that takes on a busy machine. */
static void history_holds_all_that_arrived(void **state)
{
    double seconds[RATES_HISTORY_S], sum = 0;
    struct rates *rates = rates_create(list, WORKERS);
    size_t length;

    (void)state;
    assert_non_null(rates);
    stats_set(&workers[1].packets_arrived,
              500); /* arrives in the first second, or in a later one */
    do {
        pause_ms(50);
        length = rates_history(rates, seconds);
        sum = 0;
        for (size_t i = 0; i < length; i++)
            sum += seconds[i];
    } while (sum < 500);
    assert_true(sum == 500);
    assert_in_range(length, 1, RATES_HISTORY_S);
    rates_destroy(rates);
}

static void destroy_at_once_does_not_wait(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        rates_destroy(rates_create(list, WORKERS));
    rates_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(over_counts_what_arrives_on_all_workers, clear),
        cmocka_unit_test_setup(history_holds_all_that_arrived, clear),
        cmocka_unit_test_setup(destroy_at_once_does_not_wait, clear),
    };

    return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
