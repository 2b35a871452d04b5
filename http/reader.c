/*
 * Requests join readings. There are at most two at any time: the one that the thread is making,
 * which nobody may join any more, and `next`, which has not started. All fields are guarded by
 * `lock`, except for what a reading found: the thread writes that alone before it sets `done`
 * under the lock, and holders only read it after they saw `done` under the lock.
 *
 * Why this is right:
 *
 *  - Fresh. A request joins `next` under the lock. The thread takes `next` away under the lock and
 *    reads only then. So each reading starts after all who joined it had come, and finds at least
 *    what Redis held when they came.
 *  - Few. One thread makes the readings, one after the other. All who come while one is under way
 *    join the same `next`. So N requests that come at once cost at most two readings: the first may
 *    set one off before the others come, and these share the other.
 *  - Not starved. A request waits for at most the rest of the reading under way and for its own.
 *  - Bounded. A reading goes with its last holder, so there is at most one snapshot for each
 * request being answered and one being made, and none while nobody asks.
 *
 * `lock` is a leaf: nothing else is taken under it.
 */
#include "http/reader.h"

#include "common/thread.h"
#include "http/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

struct reading {
    size_t holders; /* requests that wait for it or use it, and the thread while it reads */
    bool done;
    enum count_source_result result;
    struct snapshot *snapshot; /* with COUNT_SOURCE_OK */
    char error[COUNT_SOURCE_ERROR_BYTES];
};

struct reader {
    reader_read *read;
    void *source;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wanted;   /* `next` was set, or `stopping` */
    pthread_cond_t finished; /* a reading is done, or `stopping` */
    struct reading *next;    /* not started; NULL while nobody waits for one */
    atomic_bool stopping;    /* set under the lock; the thread also polls it while it reads */
};

void reader_release(struct reader *reader, struct reading *reading)
{
    bool last;

    pthread_mutex_lock(&reader->lock);
    last = --reading->holders == 0;
    pthread_mutex_unlock(&reader->lock);
    if (!last)
        return;
    snapshot_destroy(reading->snapshot);
    free(reading);
}

/* Waits until somebody wants a reading, and takes it; NULL to stop. */
static struct reading *take_next(struct reader *reader)
{
    struct reading *reading = NULL;

    pthread_mutex_lock(&reader->lock);
    while (!reader->next && !reader->stopping)
        pthread_cond_wait(&reader->wanted, &reader->lock);
    if (!reader->stopping) {
        reading = reader->next;
        reader->next = NULL;
        reading->holders++;
    }
    pthread_mutex_unlock(&reader->lock);
    return reading;
}

static void *run(void *argument)
{
    struct reader *reader = argument;
    struct reading *reading;

    while ((reading = take_next(reader))) {
        reading->result =
            reader->read(reader->source, &reader->stopping, &reading->snapshot, reading->error);
        pthread_mutex_lock(&reader->lock);
        reading->done = true;
        pthread_cond_broadcast(&reader->finished);
        pthread_mutex_unlock(&reader->lock);
        reader_release(reader, reading);
    }
    return NULL;
}

struct reader *reader_create(reader_read *read, void *source)
{
    struct reader *reader = calloc(1, sizeof *reader);
    int error;

    if (!reader)
        return NULL;
    reader->read = read;
    reader->source = source;
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->wanted, NULL);
    pthread_cond_init(&reader->finished, NULL);
    error = thread_start(&reader->thread, THREAD_HTTP, "http-reader", run, reader);
    if (error) {
        free(reader);
        errno = -error;
        return NULL;
    }
    return reader;
}

/* Joins the reading that has not started, and sets one off if there is none. */
static struct reading *join_next(struct reader *reader)
{
    if (!reader->next) {
        reader->next = calloc(1, sizeof *reader->next);
        if (!reader->next)
            return NULL;
        pthread_cond_signal(&reader->wanted);
    }
    reader->next->holders++;
    return reader->next;
}

struct reading *reader_acquire(struct reader *reader)
{
    struct reading *reading = NULL;
    bool done = false;

    pthread_mutex_lock(&reader->lock);
    if (!reader->stopping)
        reading = join_next(reader);
    while (reading && !reading->done && !reader->stopping)
        pthread_cond_wait(&reader->finished, &reader->lock);
    if (reading)
        done = reading->done;
    pthread_mutex_unlock(&reader->lock);

    if (reading && !done) {
        reader_release(reader, reading);
        return NULL;
    }
    return reading;
}

enum count_source_result reading_result(const struct reading *reading)
{
    return reading->result;
}

const struct snapshot *reading_snapshot(const struct reading *reading)
{
    return reading->snapshot;
}

const char *reading_error(const struct reading *reading)
{
    return reading->error;
}

void reader_stop(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->stopping = true;
    reader->next = NULL; /* those who wait for it hold it, and go */
    pthread_cond_broadcast(&reader->wanted);
    pthread_cond_broadcast(&reader->finished);
    pthread_mutex_unlock(&reader->lock);
}

void reader_destroy(struct reader *reader)
{
    if (!reader)
        return;
    reader_stop(reader);
    pthread_join(reader->thread, NULL);
    pthread_cond_destroy(&reader->finished);
    pthread_cond_destroy(&reader->wanted);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}
