/* What the flusher tells the workers: the committed number, and whether Redis answers. */
#include "aggregator/commits.h"
#include "common/clock.h"
#include "common/thread.h"
#include "tests/unit/unit.h"

#include <unistd.h>

enum { LONG_MS = 1000000 };

/* In contact with Redis. */
static struct commits *start(void)
{
    struct commits *commits = commits_create();

    assert_non_null(commits);
    thread_adopt(THREAD_FLUSHER, "flusher");
    commits_exchange_begun(commits);
    commits_exchange_done(commits);
    return commits;
}

static void sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

static void publish_tells_the_number(void **state)
{
    struct commits *commits = start();

    (void)state;
    assert_int_equal(commits_number(commits), 0);
    commits_publish(commits, 9);
    assert_int_equal(commits_number(commits), 9);
    commits_destroy(commits);
}

static void redis_down_until_it_was_reached(void **state)
{
    struct commits *commits = commits_create();

    (void)state;
    assert_non_null(commits);
    thread_adopt(THREAD_FLUSHER, "flusher");
    assert_true(commits_redis_down(commits, LONG_MS));
    commits_exchange_begun(commits);
    assert_true(commits_redis_down(commits, LONG_MS));
    commits_exchange_failed(commits);
    assert_true(commits_redis_down(commits, LONG_MS));
    commits_exchange_done(commits);
    assert_false(commits_redis_down(commits, 0));
    commits_destroy(commits);
}

/* A commit takes some milliseconds; it is no outage, however short the grace is. */
static void redis_down_is_not_said_of_an_exchange_under_way(void **state)
{
    struct commits *commits = start();
    uint64_t begun_ms = clock_now_ms();
    bool down;

    (void)state;
    commits_exchange_begun(commits);
    sleep_ms(20);
    down = commits_redis_down(commits, 0) || commits_redis_down(commits, 10);
    if (clock_now_ms() < begun_ms + COMMITS_UNDER_WAY_MS) /* this machine did not stand still */
        assert_false(down);
    commits_exchange_done(commits);
    assert_false(commits_redis_down(commits, 0));
    commits_destroy(commits);
}

static void redis_down_is_said_of_one_that_hangs(void **state)
{
    struct commits *commits = start();

    (void)state;
    commits_exchange_begun(commits);
    sleep_ms(COMMITS_UNDER_WAY_MS + 20);
    assert_true(commits_redis_down(commits, 0));
    assert_true(commits_redis_down(commits, COMMITS_UNDER_WAY_MS));
    assert_false(commits_redis_down(commits, LONG_MS));
    commits_destroy(commits);
}

static void redis_down_after_a_failure_counts_from_the_first_beginning(void **state)
{
    struct commits *commits = start();

    (void)state;
    commits_exchange_begun(commits);
    sleep_ms(20);
    commits_exchange_failed(commits);
    commits_exchange_begun(commits); /* and the next one is under way */
    assert_true(commits_redis_down(commits, 0));
    assert_true(commits_redis_down(commits, 10));
    assert_false(commits_redis_down(commits, LONG_MS));
    commits_exchange_failed(commits);
    assert_true(commits_redis_down(commits, 10));

    commits_exchange_done(commits);
    assert_false(commits_redis_down(commits, 0));
    commits_exchange_begun(commits); /* of the failure before nothing is left */
    assert_false(commits_redis_down(commits, COMMITS_UNDER_WAY_MS * 100));
    commits_destroy(commits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_tells_the_number),
        cmocka_unit_test(redis_down_until_it_was_reached),
        cmocka_unit_test(redis_down_is_not_said_of_an_exchange_under_way),
        cmocka_unit_test(redis_down_is_said_of_one_that_hangs),
        cmocka_unit_test(redis_down_after_a_failure_counts_from_the_first_beginning),
    };

    return cmocka_run_group_tests_name("commits", tests, NULL, NULL);
}
