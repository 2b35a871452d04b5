/*
 * The shared reader with refresh_ms 0, where every request waits for a reading that began after it
 * came, a storm in which every request checks that, and the reader's end.
 * test_http_reader_refresh.c has the rest.
 */
#include "tests/unit/reader_source.h"

static void acquire_alone_reads_once_each_time(void **state)
{
    struct source source;
    struct reader *reader = start(&source, 0);

    (void)state;
    for (int i = 1; i <= 3; i++) {
        atomic_store(&source.value, i);
        assert_found(reader, i, false);
        assert_int_equal(source.readings, i);
    }
    reader_destroy(reader);
}

/* The pause is for the late ones to come while the first reading is under way, as nearly all do;
 * the result may not depend on it. */
static void acquire_during_a_reading_waits_for_the_next(void **state)
{
    struct source source;
    struct reader *reader = start(&source, 0);
    struct request first[1], late[REQUESTS];

    (void)state;
    source.held = true;
    start_requests(first, 1, reader, &source, ask);
    sem_wait(&source.entered);
    atomic_store(&source.value, 1);
    start_requests(late, REQUESTS, reader, &source, ask);
    pause_ms(100);
    source.held = false;
    sem_post(&source.leave);
    join_requests(first, 1);
    join_requests(late, REQUESTS);
    assert_in_range(first[0].found, 0, 1); /* 1 if it woke up after the next reading */
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(late[i].found, 1);
    assert_in_range(source.readings, 2, 1 + REQUESTS);
    reader_destroy(reader);
}

static void acquire_after_a_failure_falls_back(void **state)
{
    struct source source;
    struct reader *reader = start(&source, 0);

    (void)state;
    source.result = COUNT_SOURCE_UNAVAILABLE;
    assert_refused(reader, COUNT_SOURCE_UNAVAILABLE);
    source.result = COUNT_SOURCE_OK;
    assert_found(reader, 0, false); /* at once: nobody may take what is from before */
    source.result = COUNT_SOURCE_UNAVAILABLE;
    source.value = 1;
    assert_found(reader, 0, true);
    source.result = COUNT_SOURCE_OK;
    assert_found(reader, 1, false);
    assert_int_equal(source.readings, 4);
    reader_destroy(reader);
}

static void *storm(void *argument)
{
    struct request *request = argument; /* its thread must not assert: cmocka jumps */

    for (int i = 0; i < STORM_ROUNDS; i++) {
        int before = atomic_fetch_add(&request->source->value, 1) + 1;

        ask(request);
        request->wrong += request->found < before || request->stale;
    }
    return NULL;
}

static void storm_finds_fresh_values_in_few_readings(void **state)
{
    struct source source;
    struct reader *reader = start(&source, 0);
    struct request requests[REQUESTS];

    (void)state;
    start_requests(requests, REQUESTS, reader, &source, storm);
    join_requests(requests, REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(requests[i].wrong, 0);
    assert_int_equal(source.overlaps, 0);
    assert_int_equal(source.value, REQUESTS * STORM_ROUNDS);
    assert_in_range(source.readings, 1, REQUESTS * STORM_ROUNDS);
    reader_destroy(reader);
}

static void stop_wakes_all_who_wait(void **state)
{
    struct source source;
    struct reader *reader = start(&source, 0);
    struct request first[1], late[REQUESTS];
    struct reader_answer answer;

    (void)state;
    source.held = true;
    start_requests(first, 1, reader, &source, ask);
    sem_wait(&source.entered);
    start_requests(late, REQUESTS, reader, &source, ask);
    reader_stop(reader);
    join_requests(first, 1); /* although the reading is still held up */
    join_requests(late, REQUESTS);
    assert_int_equal(first[0].found, -1);
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(late[i].found, -1);
    reader_acquire(reader, &answer);
    assert_int_equal(answer.result, COUNT_SOURCE_UNAVAILABLE);
    reader_glance(reader, &answer);
    assert_int_equal(answer.result, COUNT_SOURCE_UNAVAILABLE);
    sem_post(&source.leave);
    reader_destroy(reader);
    reader_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acquire_alone_reads_once_each_time),
        cmocka_unit_test(acquire_during_a_reading_waits_for_the_next),
        cmocka_unit_test(acquire_after_a_failure_falls_back),
        cmocka_unit_test(storm_finds_fresh_values_in_few_readings),
        cmocka_unit_test(stop_wakes_all_who_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
