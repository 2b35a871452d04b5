/*
 * One thread makes all readings, one after the other. A reading has a number, from 1 on; `begun`
 * and `ended` are the numbers of the last that did. The snapshot of the last reading that succeeded
 * is kept, as `kept`. Requests come, and refresh.c judges by the clock what each gets. All fields
 * are guarded by `lock`, unless they say otherwise; a reading is never changed once it is `kept`,
 * so those who hold it read it without. Who holds one got it from `kept`, and the last holder finds
 * it there no more.
 *
 * Why this is right:
 *
 *  - Fresh. With refresh_ms 0 a request waits for the first reading that has not begun when it
 *    comes: number `begun` + 1, both under the lock. So its reading finds at least what Redis held
 *    when the request came. Else a request gets what refresh.c takes for fresh enough, or waits for
 *    the first reading that has not ended, and gets that, or hears that it is stale.
 *  - Few. A reading begins only when `wanted` is set, by a request, and when refresh.c lets it. All
 *    who come while one is under way share it or the next. So N requests that come at once cost one
 *    reading; with refresh_ms 0 two, since the first may set one off before the others come.
 *  - Not starved. Who waits with a snapshot to fall back on waits refresh_patience_ms(). Who has
 *    none waits for the rest of the reading under way, for the rest after it, and for one
 *    reading, each of them bounded by count_source.h's limits; the same holds with refresh_ms 0.
 *  - Bounded. There are at most the kept snapshot, the one being made, and those that requests
 *    still hold, READER_MAX_LIVE in all; a snapshot that nobody asks for is given up after
 *    READER_KEEP_MS.
 *
 * `lock` is a leaf: nothing else is taken under it, and no snapshot is freed under it. It is one
 * that the kernel hands to who waits for it the longest (PTHREAD_PRIO_INHERIT), and each request
 * that need not wait takes it once. That makes it the queue in which a thousand threads of a busy
 * processor stand: with an ordinary mutex, which goes to whoever comes when it is free, and with no
 * lock at all, which leaves it to the scheduler, some waited for seconds while others came and went
 * (wrk -t1 -c1000 on /summary, one processor: p99 0.5 to 1 s, and time-outs; with this one 33 to 57
 * ms).
 */
#include "http/reader.h"

#include "common/clock.h"
#include "common/thread.h"
#include "http/refresh.h"
#include "http/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LIVE_POLL_MS 50 /* between two looks whether fewer snapshots live */

struct reader {
    reader_read *read;
    void *source;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;  /* `wanted` or `stopping` was set */
    pthread_cond_t done;  /* a reading ended, or `stopping` was set */
    atomic_bool stopping; /* set under the lock; the thread also polls it while it reads */
    struct refresh refresh;
    bool wanted;                     /* somebody wants a reading that has not begun */
    uint64_t begun, ended;           /* numbers of readings */
    uint64_t failures;               /* readings that failed */
    atomic_size_t live;              /* readings that are not freed, the one being made too */
    uint64_t asked_ms;               /* when somebody asked last */
    struct reading *kept;            /* NULL: there is none */
    enum count_source_result result; /* of the last reading, with its error */
    char error[ERROR_BYTES];         /* "" before the first */
};

/* Waits until `deadline_ms` by clock_now_ms() at most. Returns whether that has not passed. */
static bool wait_until(struct reader *reader, pthread_cond_t *condition, uint64_t deadline_ms)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ms / 1000),
                                .tv_nsec = (long)(deadline_ms % 1000) * 1000000};

    if (deadline_ms == UINT64_MAX)
        return pthread_cond_wait(condition, &reader->lock) == 0;
    return pthread_cond_timedwait(condition, &reader->lock, &deadline) == 0;
}

/* ---- The reader's thread ---- */

/* There is no reading to speak of: none was made yet, or what was is given up. */
static void forget(struct reader *reader)
{
    reader->kept = NULL;
    reader->result = COUNT_SOURCE_UNAVAILABLE;
    snprintf(reader->error, sizeof reader->error, "the counts are being read: ask again");
}

/* Frees the snapshot that nobody asks for. The lock is held, and let go in between. */
static void give_up_kept(struct reader *reader)
{
    struct reading *kept = reader->kept;

    forget(reader);
    refresh_forget(&reader->refresh);
    pthread_mutex_unlock(&reader->lock);
    reading_release(kept);
    pthread_mutex_lock(&reader->lock);
}

/* Waits, with the lock held, until a reading is wanted and may begin. Returns whether it is to be
 * made; false to stop. */
static bool wait_for_want(struct reader *reader)
{
    while (!reader->stopping) {
        uint64_t now_ms = clock_now_ms();

        if (reader->wanted && reader->live >= READER_MAX_LIVE)
            wait_until(reader, &reader->wake, now_ms + LIVE_POLL_MS);
        else if (reader->wanted && refresh_may_begin(&reader->refresh, now_ms))
            return true;
        else if (reader->wanted)
            wait_until(reader, &reader->wake, reader->refresh.rest_until_ms);
        else if (!reader->kept)
            wait_until(reader, &reader->wake, UINT64_MAX);
        else if (now_ms < reader->asked_ms + READER_KEEP_MS)
            wait_until(reader, &reader->wake, reader->asked_ms + READER_KEEP_MS);
        else
            give_up_kept(reader);
    }
    return false;
}

/* Notes that a reading begins now, and returns it, or NULL when memory is short; `before` becomes
 * the one that it is compared with, which the caller releases, or NULL. The lock is held. */
static struct reading *begin_reading(struct reader *reader, struct reading **before)
{
    uint64_t now_ms = clock_now_ms();
    struct reading *made = reading_create(++reader->begun, now_ms, &reader->live);

    reader->wanted = false;
    refresh_begin(&reader->refresh, now_ms);
    *before = NULL;
    if (made && reader->kept && now_ms - reading_began_ms(reader->kept) <= READER_COMPARE_MS) {
        *before = reading_hold(reader->kept);
        reading_compare(made, *before);
    }
    return made;
}

/* Makes what was read the kept reading, or notes why there is none, and returns what was kept
 * before and is to be released, or NULL. The lock is held. */
static struct reading *end_reading(struct reader *reader, struct reading *made,
                                   enum count_source_result result)
{
    struct reading *old = reader->kept;

    refresh_end(&reader->refresh, clock_now_ms(), made != NULL);
    reader->ended = reader->begun;
    reader->result = result;
    reader->failures += made == NULL;
    pthread_cond_broadcast(&reader->done);
    if (!made && result != COUNT_SOURCE_WRONG)
        return NULL;
    reader->kept = made; /* what is wrong is never hidden behind an old snapshot */
    return old;
}

/* Makes one reading. The lock is held, and let go in between. */
static void make_reading(struct reader *reader)
{
    struct reading *before, *old, *made = begin_reading(reader, &before);
    enum count_source_result result = COUNT_SOURCE_UNAVAILABLE;
    char error[ERROR_BYTES] = "memory is short";
    struct snapshot *snapshot = NULL;

    pthread_mutex_unlock(&reader->lock);
    if (made)
        result = reader->read(reader->source, &reader->stopping,
                              before ? reading_snapshot(before) : NULL, &snapshot, error);
    reading_release(before);
    if (result == COUNT_SOURCE_OK) {
        reading_fill(made, snapshot);
    } else {
        reading_release(made);
        made = NULL;
    }
    pthread_mutex_lock(&reader->lock);
    snprintf(reader->error, sizeof reader->error, "%s", error);
    old = end_reading(reader, made, result);
    pthread_mutex_unlock(&reader->lock);
    reading_release(old);
    pthread_mutex_lock(&reader->lock);
}

static void *run(void *argument)
{
    struct reader *reader = argument;

    pthread_mutex_lock(&reader->lock);
    while (wait_for_want(reader))
        make_reading(reader);
    pthread_mutex_unlock(&reader->lock);
    return NULL;
}

/* ---- Its start and end ---- */

static void init_locks(struct reader *reader)
{
    pthread_mutexattr_t handed_on;
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC); /* clock_now_ms()'s */
    pthread_mutexattr_init(&handed_on);
    pthread_mutexattr_setprotocol(&handed_on, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&reader->lock, &handed_on);
    pthread_mutexattr_destroy(&handed_on);
    pthread_cond_init(&reader->wake, &monotonic);
    pthread_cond_init(&reader->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void fini_locks(struct reader *reader)
{
    pthread_cond_destroy(&reader->done);
    pthread_cond_destroy(&reader->wake);
    pthread_mutex_destroy(&reader->lock);
}

struct reader *reader_create(reader_read *read, void *source, uint64_t refresh_ms)
{
    struct reader *reader = calloc(1, sizeof *reader);
    int error;

    thread_assert_role(THREAD_MAIN);
    if (!reader)
        return NULL;
    reader->read = read;
    reader->source = source;
    forget(reader);
    refresh_init(&reader->refresh, refresh_ms);
    init_locks(reader);
    error = thread_start(&reader->thread, THREAD_HTTP, "http-reader", run, reader);
    if (error) {
        fini_locks(reader);
        free(reader);
        errno = -error;
        return NULL;
    }
    return reader;
}

void reader_stop(struct reader *reader)
{
    thread_assert_role(THREAD_MAIN);
    pthread_mutex_lock(&reader->lock);
    reader->stopping = true;
    pthread_cond_broadcast(&reader->wake);
    pthread_cond_broadcast(&reader->done);
    pthread_mutex_unlock(&reader->lock);
}

void reader_destroy(struct reader *reader)
{
    if (!reader)
        return;
    reader_stop(reader);
    pthread_join(reader->thread, NULL);
    reading_release(reader->kept);
    fini_locks(reader);
    free(reader);
}

/* ---- Requests; the static functions behind the first with the lock held ---- */

static void start_answer(struct reader_answer *answer)
{
    answer->result = COUNT_SOURCE_UNAVAILABLE;
    answer->reading = NULL;
    answer->stale = false;
}

static void want(struct reader *reader)
{
    reader->wanted = true;
    pthread_cond_signal(&reader->wake);
}

static void want_if_due(struct reader *reader)
{
    if (refresh_may_begin(&reader->refresh, reader->asked_ms))
        want(reader);
}

/* Notes that somebody asks, and what he gets. */
static enum refresh_verdict judge(struct reader *reader)
{
    uint64_t kept_ms = reader->kept ? reading_began_ms(reader->kept) : 0;

    reader->asked_ms = clock_now_ms();
    return refresh_judge(&reader->refresh, reader->kept ? &kept_ms : NULL, reader->asked_ms);
}

/* How long a request waits at most; UINT64_MAX: as long as it takes. */
static uint64_t patience_ms(const struct reader *reader)
{
    if (!reader->kept)
        return UINT64_MAX;
    return reader->live < READER_MAX_LIVE ? refresh_patience_ms(&reader->refresh)
                                          : REFRESH_PATIENCE_MS;
}

/* Waits for the reading of that number to end. */
static void wait_for(struct reader *reader, uint64_t number)
{
    uint64_t wait_ms = patience_ms(reader);
    uint64_t deadline_ms = wait_ms == UINT64_MAX ? UINT64_MAX : reader->asked_ms + wait_ms;
    bool in_time = true;

    if (reader->begun < number)
        want(reader);
    while (in_time && reader->ended < number && !reader->stopping)
        in_time = wait_until(reader, &reader->done, deadline_ms);
}

/* Gives what is kept, or the error of the last reading. */
static void give(struct reader *reader, struct reader_answer *answer, bool stale)
{
    if (reader->stopping) {
        snprintf(answer->error, sizeof answer->error, "tallyd is stopping");
    } else if (reader->kept) {
        answer->result = COUNT_SOURCE_OK;
        answer->reading = reading_hold(reader->kept);
        answer->stale = stale;
    } else {
        answer->result = reader->result;
        snprintf(answer->error, sizeof answer->error, "%s", reader->error);
    }
}

void reader_acquire(struct reader *reader, struct reader_answer *answer)
{
    uint64_t number;

    start_answer(answer);
    pthread_mutex_lock(&reader->lock);
    number = 1 + (reader->refresh.refresh_ms ? reader->ended : reader->begun);
    switch (judge(reader)) {
    case REFRESH_FRESH:
        give(reader, answer, false);
        break;
    case REFRESH_USABLE:
        want_if_due(reader);
        give(reader, answer, reader->refresh.failed);
        break;
    case REFRESH_WAIT:
        wait_for(reader, number);
        give(reader, answer, reader->kept && reading_number(reader->kept) < number);
        break;
    }
    pthread_mutex_unlock(&reader->lock);
}

void reader_glance(struct reader *reader, struct reader_answer *answer)
{
    start_answer(answer);
    pthread_mutex_lock(&reader->lock);
    if (judge(reader) != REFRESH_FRESH)
        want_if_due(reader);
    give(reader, answer, reader->refresh.failed);
    pthread_mutex_unlock(&reader->lock);
}

struct reader_figures reader_figures(struct reader *reader)
{
    struct reader_figures figures = {0};
    const struct reading *kept;
    const struct snapshot *snapshot;

    pthread_mutex_lock(&reader->lock);
    kept = reader->kept;
    figures.readings = reader->ended;
    figures.failures = reader->failures;
    figures.duration_ms = reader->refresh.duration_ms;
    if (kept) {
        snapshot = reading_snapshot(kept);
        figures.devices = snapshot_length(snapshot);
        figures.bytes = snapshot_bytes(snapshot);
        figures.age_ms = clock_now_ms() - reading_began_ms(kept);
    }
    pthread_mutex_unlock(&reader->lock);
    return figures;
}
