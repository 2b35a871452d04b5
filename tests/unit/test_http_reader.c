/*
 * The shared reader with a source that the tests hold up and let go, so that what requests share
 * does not hang on timing; and a storm in which every request checks that its reading is fresh.
 */
#include "common/thread.h"
#include "http/reader.h"
#include "http/snapshot.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUESTS     16
#define STORM_ROUNDS 500

/* Stands for Redis: `value` only grows, and each reading finds what it is when the reading starts.
 */
struct source {
    atomic_int value;
    atomic_int readings;
    atomic_int at_once;  /* readings under way */
    atomic_int overlaps; /* readings that started while another was under way */
    bool held;           /* each reading posts `entered`, then waits for `leave` */
    sem_t entered, leave;
    enum count_source_result result;
};

struct request {
    struct reader *reader;
    struct source *source;
    pthread_t thread;
    int found; /* the value read; -1 when the reader was stopped */
    int stale; /* values found that were older than the request */
};

static enum count_source_result read_source(void *argument, const atomic_bool *stop,
                                            struct snapshot **snapshot,
                                            char error[COUNT_SOURCE_ERROR_BYTES])
{
    struct source *source = argument;
    int value = atomic_load(&source->value);

    (void)stop;
    atomic_fetch_add(&source->overlaps, atomic_fetch_add(&source->at_once, 1));
    atomic_fetch_add(&source->readings, 1);
    if (source->held) {
        sem_post(&source->entered);
        sem_wait(&source->leave);
    }
    *snapshot = NULL;
    if (source->result == COUNT_SOURCE_OK) {
        *snapshot = snapshot_create();
        if (!*snapshot || snapshot_add(*snapshot, "value", 5, value))
            abort();
        snapshot_seal(*snapshot);
    } else {
        snprintf(error, COUNT_SOURCE_ERROR_BYTES, "as the test wants it");
    }
    atomic_fetch_sub(&source->at_once, 1);
    return source->result;
}

static struct reader *start(struct source *source, bool held)
{
    struct reader *reader;

    *source = (struct source){.held = held, .result = COUNT_SOURCE_OK};
    sem_init(&source->entered, 0, 0);
    sem_init(&source->leave, 0, 0);
    reader = reader_create(read_source, source);
    assert_non_null(reader);
    return reader;
}

static void *ask(void *argument)
{
    struct request *request = argument;
    struct reading *reading = reader_acquire(request->reader);

    request->found = -1;
    if (!reading)
        return NULL;
    request->found = (int)snapshot_get(reading_snapshot(reading), 0).count;
    reader_release(request->reader, reading);
    return NULL;
}

static void start_requests(struct request *requests, size_t length, struct reader *reader,
                           struct source *source, void *(*run)(void *))
{
    for (size_t i = 0; i < length; i++) {
        requests[i] = (struct request){.reader = reader, .source = source};
        assert_int_equal(thread_start(&requests[i].thread, THREAD_HTTP, "http", run, &requests[i]),
                         0);
    }
}

static void join_requests(struct request *requests, size_t length)
{
    for (size_t i = 0; i < length; i++)
        pthread_join(requests[i].thread, NULL);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void acquire_alone_reads_once_each_time(void **state)
{
    struct source source;
    struct reader *reader = start(&source, false);
    struct request request = {.reader = reader, .source = &source};

    (void)state;
    for (int i = 1; i <= 3; i++) {
        atomic_store(&source.value, i);
        ask(&request);
        assert_int_equal(request.found, i);
        assert_int_equal(source.readings, i);
    }
    reader_destroy(reader);
}

/* The pause is for the late ones to come while the first reading is under way, as nearly all do;
 * the result may not depend on it. */
static void acquire_during_a_reading_waits_for_the_next(void **state)
{
    struct source source;
    struct reader *reader = start(&source, true);
    struct request first[1], late[REQUESTS];

    (void)state;
    start_requests(first, 1, reader, &source, ask);
    sem_wait(&source.entered);
    atomic_store(&source.value, 1);
    start_requests(late, REQUESTS, reader, &source, ask);
    pause_ms(100);
    source.held = false; /* seen by the reader through the semaphore */
    sem_post(&source.leave);
    join_requests(first, 1);
    join_requests(late, REQUESTS);
    assert_int_equal(first[0].found, 0);
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(late[i].found, 1);
    assert_in_range(source.readings, 2, 1 + REQUESTS);
    reader_destroy(reader);
}

static void acquire_hands_on_the_error(void **state)
{
    struct source source;
    struct reader *reader = start(&source, false);
    struct reading *reading;

    (void)state;
    source.result = COUNT_SOURCE_UNAVAILABLE;
    reading = reader_acquire(reader);
    assert_non_null(reading);
    assert_int_equal(reading_result(reading), COUNT_SOURCE_UNAVAILABLE);
    assert_null(reading_snapshot(reading));
    assert_string_equal(reading_error(reading), "as the test wants it");
    reader_release(reader, reading);
    reader_destroy(reader);
}

static void stop_wakes_all_who_wait(void **state)
{
    struct source source;
    struct reader *reader = start(&source, true);
    struct request first[1], late[REQUESTS];

    (void)state;
    start_requests(first, 1, reader, &source, ask);
    sem_wait(&source.entered);
    start_requests(late, REQUESTS, reader, &source, ask);
    reader_stop(reader);
    join_requests(first, 1); /* although the reading is still held up */
    join_requests(late, REQUESTS);
    assert_int_equal(first[0].found, -1);
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(late[i].found, -1);
    assert_null(reader_acquire(reader));
    sem_post(&source.leave);
    reader_destroy(reader);
    reader_destroy(NULL);
}

static void *storm(void *argument)
{
    struct request *request = argument; /* its thread must not assert: cmocka jumps */

    for (int i = 0; i < STORM_ROUNDS; i++) {
        int before = atomic_fetch_add(&request->source->value, 1) + 1;

        ask(request);
        request->stale += request->found < before;
    }
    return NULL;
}

static void storm_finds_fresh_values_in_few_readings(void **state)
{
    struct source source;
    struct reader *reader = start(&source, false);
    struct request requests[REQUESTS];

    (void)state;
    start_requests(requests, REQUESTS, reader, &source, storm);
    join_requests(requests, REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++)
        assert_int_equal(requests[i].stale, 0);
    assert_int_equal(source.overlaps, 0);
    assert_int_equal(source.value, REQUESTS * STORM_ROUNDS);
    assert_in_range(source.readings, 1, REQUESTS * STORM_ROUNDS);
    reader_destroy(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acquire_alone_reads_once_each_time),
        cmocka_unit_test(acquire_during_a_reading_waits_for_the_next),
        cmocka_unit_test(acquire_hands_on_the_error),
        cmocka_unit_test(stop_wakes_all_who_wait),
        cmocka_unit_test(storm_finds_fresh_values_in_few_readings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
