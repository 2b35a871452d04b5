/*
 * For the tests of the shared reader: a source that they hold up and let go, so that what requests
 * share does not hang on timing, and requests that run in threads of their own.
 */
#ifndef TALLYD_TESTS_READER_SOURCE_H
#define TALLYD_TESTS_READER_SOURCE_H

#include "common/thread.h"
#include "http/reader.h"
#include "http/snapshot.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
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
    atomic_int compared; /* readings that were given a snapshot before */
    atomic_bool held;    /* each reading posts `entered`, then waits for `leave` */
    sem_t entered, leave;
    atomic_int result; /* of all readings: an enum count_source_result */
};

struct request {
    struct reader *reader;
    struct source *source;
    pthread_t thread;
    int found;  /* the value read; -1 for an error */
    bool stale; /* as the answer said */
    int wrong;  /* answers that were not what the storm promises */
};

static inline enum count_source_result read_source(void *argument, const atomic_bool *stop,
                                                   const struct snapshot *before,
                                                   struct snapshot **snapshot,
                                                   char error[ERROR_BYTES])
{
    struct source *source = argument;
    int value = atomic_load(&source->value);
    enum count_source_result result = (enum count_source_result)atomic_load(&source->result);

    (void)stop;
    atomic_fetch_add(&source->overlaps, atomic_fetch_add(&source->at_once, 1));
    atomic_fetch_add(&source->readings, 1);
    atomic_fetch_add(&source->compared, before != NULL);
    if (source->held) {
        sem_post(&source->entered);
        sem_wait(&source->leave);
    }
    if (result == COUNT_SOURCE_OK) {
        *snapshot = snapshot_create();
        if (!*snapshot || snapshot_add(*snapshot, "value", 5, value) ||
            snapshot_seal(*snapshot, before))
            abort();
    } else {
        snprintf(error, ERROR_BYTES, "as the test wants it");
    }
    atomic_fetch_sub(&source->at_once, 1);
    return result;
}

static inline struct reader *start(struct source *source, uint64_t refresh_ms)
{
    struct reader *reader;

    *source = (struct source){.result = COUNT_SOURCE_OK};
    sem_init(&source->entered, 0, 0);
    sem_init(&source->leave, 0, 0);
    reader = reader_create(read_source, source, refresh_ms);
    assert_non_null(reader);
    return reader;
}

static inline void *ask(void *argument)
{
    struct request *request = argument;
    struct reader_answer answer;

    reader_acquire(request->reader, &answer);
    request->found = -1;
    request->stale = answer.stale;
    if (answer.result != COUNT_SOURCE_OK)
        return NULL;
    request->found = (int)snapshot_get(reading_snapshot(answer.reading), 0).count;
    reading_release(answer.reading);
    return NULL;
}

/* Asks from this thread, and checks the answer. */
static inline void assert_found(struct reader *reader, int value, bool stale)
{
    struct request request = {.reader = reader};

    ask(&request);
    assert_int_equal(request.found, value);
    assert_int_equal(request.stale, stale);
}

/* The same for an error. */
static inline void assert_refused(struct reader *reader, enum count_source_result result)
{
    struct reader_answer answer;

    reader_acquire(reader, &answer);
    assert_int_equal(answer.result, result);
    assert_null(answer.reading);
    assert_string_equal(answer.error, "as the test wants it");
}

static inline void start_requests(struct request *requests, size_t length, struct reader *reader,
                                  struct source *source, void *(*run)(void *))
{
    for (size_t i = 0; i < length; i++) {
        requests[i] = (struct request){.reader = reader, .source = source};
        assert_int_equal(thread_start(&requests[i].thread, THREAD_HTTP, "http", run, &requests[i]),
                         0);
    }
}

static inline void join_requests(struct request *requests, size_t length)
{
    for (size_t i = 0; i < length; i++)
        pthread_join(requests[i].thread, NULL);
}

static inline void pause_ms(uint64_t ms)
{
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

#endif
