/*
 * The shared reader with refresh_ms above 0. What the clock decides has its own test,
 * test_refresh.c; here refresh_ms is so short or so long that it does not matter how fast the
 * machine is.
 */
#include "common/clock.h"
#include "http/refresh.h"
#include "tests/unit/reader_source.h"

#include <string.h>

#define NEVER_MS  3600000 /* longer than any test */
#define ALWAYS_MS 1       /* a snapshot is old after let_it_age() */
#define PAUSE_MS  150     /* a failure is forgotten then, too */

/* Waits until the kept snapshot is too old to be served. */
static void let_it_age(struct reader *reader)
{
    pause_ms(PAUSE_MS + 4 * reader_figures(reader).duration_ms);
}

static void requests_within_refresh_ms_share_a_reading(void **state)
{
    struct source source;
    struct reader *reader = start(&source, NEVER_MS);
    struct request requests[REQUESTS];

    (void)state;
    start_requests(requests, REQUESTS, reader, &source, ask);
    join_requests(requests, REQUESTS);
    source.value = 1;
    assert_found(reader, 0, false);
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(requests[i].found, 0);
    assert_int_equal(source.readings, 1);
    reader_destroy(reader);
}

static void request_after_refresh_ms_gets_a_newer_one(void **state)
{
    struct source source;
    struct reader *reader = start(&source, ALWAYS_MS);

    (void)state;
    for (int i = 0; i < 3; i++) {
        source.value = i;
        assert_found(reader, i, false);
        let_it_age(reader);
    }
    assert_int_equal(source.readings, 3);
    reader_destroy(reader);
}

static void first_request_waits_for_as_long_as_it_takes(void **state)
{
    struct source source;
    struct reader *reader = start(&source, NEVER_MS);
    struct request request[1];

    (void)state;
    source.held = true;
    start_requests(request, 1, reader, &source, ask);
    sem_wait(&source.entered);
    pause_ms(REFRESH_PATIENCE_MS + PAUSE_MS);
    sem_post(&source.leave);
    join_requests(request, 1);
    assert_int_equal(request[0].found, 0);
    assert_false(request[0].stale);
    reader_destroy(reader);
}

static void slow_reading_leaves_requests_with_the_last_one(void **state)
{
    struct source source;
    struct reader *reader = start(&source, ALWAYS_MS);

    (void)state;
    assert_found(reader, 0, false);
    source.value = 1;
    source.held = true;
    let_it_age(reader);
    assert_found(reader, 0, true); /* comes back although the reading is still held up */
    source.held = false;
    sem_post(&source.leave);
    source.value = 2;
    for (struct request request = {.reader = reader}; request.found < 2; ask(&request))
        pause_ms(10); /* the reading took long, so what it found may be served for a while */
    reader_destroy(reader);
}

static void failure_leaves_requests_with_the_last_one(void **state)
{
    struct source source;
    struct reader *reader = start(&source, ALWAYS_MS);

    (void)state;
    source.result = COUNT_SOURCE_UNAVAILABLE;
    assert_refused(reader, COUNT_SOURCE_UNAVAILABLE);
    source.result = COUNT_SOURCE_OK;
    let_it_age(reader);
    assert_found(reader, 0, false);
    source.result = COUNT_SOURCE_UNAVAILABLE;
    source.value = 1;
    let_it_age(reader);
    assert_found(reader, 0, true);
    assert_found(reader, 0, true);
    assert_int_equal(reader_figures(reader).devices, 1);
    source.result = COUNT_SOURCE_OK;
    let_it_age(reader);
    assert_found(reader, 1, false);
    assert_in_range(reader_figures(reader).failures, 2, 3);
    assert_int_equal(reader_figures(reader).readings, source.readings);
    reader_destroy(reader);
}

static void snapshots_that_are_held_bound_the_readings(void **state)
{
    struct source source;
    struct reader *reader = start(&source, ALWAYS_MS);
    struct reader_answer held[READER_MAX_LIVE];

    (void)state;
    for (int i = 0; i < READER_MAX_LIVE; i++) {
        source.value = i;
        reader_acquire(reader, &held[i]);
        assert_int_equal(held[i].result, COUNT_SOURCE_OK);
        let_it_age(reader);
    }
    assert_int_equal(source.readings, READER_MAX_LIVE);
    source.value = 1000;
    assert_found(reader, READER_MAX_LIVE - 1, true);
    assert_int_equal(source.readings, READER_MAX_LIVE);
    for (int i = 0; i < READER_MAX_LIVE; i++)
        reading_release(held[i].reading);
    for (struct request request = {.reader = reader}; request.found < 1000; ask(&request))
        pause_ms(10);
    reader_destroy(reader);
}

static void what_is_wrong_is_never_hidden(void **state)
{
    struct source source;
    struct reader *reader = start(&source, ALWAYS_MS);

    (void)state;
    assert_found(reader, 0, false);
    source.result = COUNT_SOURCE_WRONG;
    let_it_age(reader);
    assert_refused(reader, COUNT_SOURCE_WRONG);
    assert_refused(reader, COUNT_SOURCE_WRONG);
    assert_int_equal(reader_figures(reader).devices, 0);
    source.result = COUNT_SOURCE_UNAVAILABLE;
    let_it_age(reader);
    assert_refused(reader, COUNT_SOURCE_UNAVAILABLE);
    source.result = COUNT_SOURCE_OK;
    let_it_age(reader);
    assert_found(reader, 0, false);
    reader_destroy(reader);
}

static void glance_never_waits_and_sets_a_reading_off(void **state)
{
    struct source source;
    struct reader *reader = start(&source, NEVER_MS);
    struct reader_answer answer;

    (void)state;
    source.held = true;
    reader_glance(reader, &answer);
    assert_int_equal(answer.result, COUNT_SOURCE_UNAVAILABLE);
    assert_null(answer.reading);
    assert_true(strlen(answer.error) > 0);
    sem_wait(&source.entered);
    reader_glance(reader, &answer); /* the reading is held up */
    assert_int_equal(answer.result, COUNT_SOURCE_UNAVAILABLE);
    sem_post(&source.leave);
    assert_found(reader, 0, false);
    reader_glance(reader, &answer);
    assert_int_equal(answer.result, COUNT_SOURCE_OK);
    assert_false(answer.stale);
    reading_release(answer.reading);
    assert_int_equal(source.readings, 1);
    reader_destroy(reader);
}

static void reading_tells_when_it_was_and_what_it_is_compared_with(void **state)
{
    struct source source;
    struct reader *reader = start(&source, ALWAYS_MS);
    struct reader_answer first, second;
    uint64_t before_ms = clock_now_ms(), wall_ms = clock_wall_ms();

    (void)state;
    reader_acquire(reader, &first);
    assert_int_equal(reading_gained_ms(first.reading), 0);
    assert_int_equal(source.compared, 0);
    assert_in_range(reading_began_ms(first.reading), before_ms, clock_now_ms());
    assert_in_range(reading_wall_ms(first.reading), wall_ms, clock_wall_ms());
    source.value = 7;
    let_it_age(reader);
    reader_acquire(reader, &second); /* while the first is held */
    assert_int_equal(source.compared, 1);
    assert_int_equal(reading_gained_ms(second.reading),
                     reading_began_ms(second.reading) - reading_began_ms(first.reading));
    assert_int_equal(snapshot_get(reading_snapshot(first.reading), 0).count, 0);
    assert_int_equal(snapshot_get(reading_snapshot(second.reading), 0).gained, 7);
    reading_release(first.reading);
    reading_release(second.reading);
    reading_release(NULL);
    reader_destroy(reader);
}

static void *wander(void *argument)
{
    struct request *request = argument;

    for (int i = 0, last = 0; i < STORM_ROUNDS; i++, last = request->found) {
        atomic_fetch_add(&request->source->value, 1);
        ask(request);
        request->wrong += request->found < last;
        if (i % 50 == 0)
            pause_ms(2);
    }
    return NULL;
}

static void values_never_go_back(void **state)
{
    struct source source;
    struct reader *reader = start(&source, ALWAYS_MS);
    struct request requests[REQUESTS];

    (void)state;
    start_requests(requests, REQUESTS, reader, &source, wander);
    join_requests(requests, REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(requests[i].wrong, 0);
    assert_int_equal(source.overlaps, 0);
    reader_destroy(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_within_refresh_ms_share_a_reading),
        cmocka_unit_test(request_after_refresh_ms_gets_a_newer_one),
        cmocka_unit_test(first_request_waits_for_as_long_as_it_takes),
        cmocka_unit_test(slow_reading_leaves_requests_with_the_last_one),
        cmocka_unit_test(failure_leaves_requests_with_the_last_one),
        cmocka_unit_test(snapshots_that_are_held_bound_the_readings),
        cmocka_unit_test(what_is_wrong_is_never_hidden),
        cmocka_unit_test(glance_never_waits_and_sets_a_reading_off),
        cmocka_unit_test(reading_tells_when_it_was_and_what_it_is_compared_with),
        cmocka_unit_test(values_never_go_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
