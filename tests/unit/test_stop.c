/* The flusher's stop: waits end when they are to, and a request brings its deadline. */
#include "aggregator/stop.h"
#include "common/clock.h"
#include "common/wake.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <unistd.h>

#define LONG_MS 60000 /* a wait that would make the test time out */

static int wake_fd;

static int open_wake(void **state)
{
    (void)state;
    wake_fd = wake_create();
    return wake_fd < 0;
}

static int close_wake(void **state)
{
    (void)state;
    return close(wake_fd);
}

static void request_brings_its_deadline(void **state)
{
    struct stop stop;

    (void)state;
    stop_init(&stop, wake_fd);
    assert_false(stop_requested(&stop));
    assert_false(stop_overdue(&stop)); /* no request, no deadline */
    stop_request(&stop, clock_now_ms() + LONG_MS);
    assert_true(stop_requested(&stop));
    assert_false(stop_overdue(&stop));
    stop_request(&stop, clock_now_ms());
    assert_true(stop_overdue(&stop));
    wake_clear(wake_fd);
}

static void nap_ends_by_its_time_or_a_wake_up(void **state)
{
    uint64_t begun_ms = clock_now_ms();
    struct stop stop;

    (void)state;
    stop_init(&stop, wake_fd);
    stop_nap(&stop, 20);
    assert_true(clock_now_ms() >= begun_ms + 19);
    assert_true(stop_alive_ms(&stop) >= begun_ms);
    wake_send(wake_fd); /* before the nap: it is not lost */
    stop_nap(&stop, LONG_MS);
    begun_ms = clock_now_ms();
    stop_nap(&stop, 20); /* and it was read */
    assert_true(clock_now_ms() >= begun_ms + 19);
}

static void *request_later(void *argument)
{
    usleep(20000);
    stop_request(argument, 0);
    return NULL;
}

static void pause_outlasts_wake_ups_and_ends_with_a_stop(void **state)
{
    uint64_t begun_ms = clock_now_ms();
    struct stop stop;
    pthread_t thread;

    (void)state;
    stop_init(&stop, wake_fd);
    wake_send(wake_fd);
    stop_pause(&stop, 20);
    assert_true(clock_now_ms() >= begun_ms + 20);
    assert_int_equal(pthread_create(&thread, NULL, request_later, &stop), 0);
    stop_pause(&stop, LONG_MS);
    assert_true(stop_requested(&stop));
    stop_pause(&stop, LONG_MS); /* none any more */
    pthread_join(thread, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_brings_its_deadline),
        cmocka_unit_test(nap_ends_by_its_time_or_a_wake_up),
        cmocka_unit_test(pause_outlasts_wake_ups_and_ends_with_a_stop),
    };

    return cmocka_run_group_tests(tests, open_wake, close_wake);
}
