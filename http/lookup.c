/*
 * One thread at a time has the turn and asks Redis; the lock is not held meanwhile, it only guards
 * who has the turn and how the last question ended.
 *
 * A question that waited its turn while Redis stopped answering would wait for the time-out too,
 * and the next one after it. So a failure answers all who wait, and those who come during the next
 * LOOKUP_FAILURE_MS; after that one of them tries, and while it does, the others still hear of the
 * last failure. The first answer ends that.
 *
 * Whoever gives the turn back wakes one that waits. If a newcomer takes the turn before that one,
 * it waits again, and is woken when the newcomer is done: so there is always somebody to wake it.
 */
#include "http/lookup.h"

#include "common/clock.h"
#include "common/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct lookup {
    struct count_source *source; /* of the one whose turn it is */
    pthread_mutex_t lock;        /* a leaf; guards all below */
    pthread_cond_t done;         /* the turn is free, or a question failed */
    bool taken;                  /* somebody has the turn */
    bool failed;                 /* the last question, with `error` */
    uint64_t failed_until_ms;    /* nobody tries before */
    char error[ERROR_BYTES];
};

struct lookup *lookup_create(const struct redis_options *options)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);

    thread_assert_role(THREAD_MAIN);
    if (!lookup)
        return NULL;
    lookup->source = count_source_create(options);
    if (!lookup->source) {
        free(lookup);
        return NULL;
    }
    pthread_mutex_init(&lookup->lock, NULL);
    pthread_cond_init(&lookup->done, NULL);
    return lookup;
}

void lookup_destroy(struct lookup *lookup)
{
    if (!lookup)
        return;
    count_source_destroy(lookup->source);
    pthread_cond_destroy(&lookup->done);
    pthread_mutex_destroy(&lookup->lock);
    free(lookup);
}

/* Waits for the turn and takes it. False, with `error`, when Redis does not answer now. */
static bool take_turn(struct lookup *lookup, char error[ERROR_BYTES])
{
    bool refused;

    pthread_mutex_lock(&lookup->lock);
    while (lookup->taken && !lookup->failed)
        pthread_cond_wait(&lookup->done, &lookup->lock);
    refused = lookup->failed && (lookup->taken || clock_now_ms() < lookup->failed_until_ms);
    if (refused)
        snprintf(error, ERROR_BYTES, "%s", lookup->error);
    else
        lookup->taken = true;
    pthread_mutex_unlock(&lookup->lock);
    return !refused;
}

static void give_turn_back(struct lookup *lookup, enum count_source_result result,
                           const char *error)
{
    pthread_mutex_lock(&lookup->lock);
    lookup->taken = false;
    lookup->failed = result == COUNT_SOURCE_UNAVAILABLE;
    if (lookup->failed) {
        lookup->failed_until_ms = clock_now_ms() + LOOKUP_FAILURE_MS;
        snprintf(lookup->error, sizeof lookup->error, "%s", error);
        pthread_cond_broadcast(&lookup->done);
    } else {
        pthread_cond_signal(&lookup->done);
    }
    pthread_mutex_unlock(&lookup->lock);
}

enum count_source_result lookup_device(struct lookup *lookup, const void *id, size_t id_length,
                                       int64_t *count, char error[ERROR_BYTES])
{
    enum count_source_result result;

    if (!take_turn(lookup, error))
        return COUNT_SOURCE_UNAVAILABLE;
    result = count_source_get(lookup->source, id, id_length, count, error);
    give_turn_back(lookup, result, error);
    return result;
}

enum count_source_result lookup_ping(struct lookup *lookup, char error[ERROR_BYTES])
{
    enum count_source_result result;

    if (!take_turn(lookup, error))
        return COUNT_SOURCE_UNAVAILABLE;
    result = count_source_ping(lookup->source, error);
    give_turn_back(lookup, result, error);
    return result;
}
