/*
 * `number` is stored with release and loaded with acquire: who sees cut n committed sees all that
 * the flusher did before. `failed` is about the exchange that `since` is of: it is cleared before
 * `since` is stored with release, so who loads that with acquire finds no earlier exchange's.
 */
#include "aggregator/commits.h"

#include "common/clock.h"
#include "common/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NEVER_REACHED 1 /* `since` before the first success: as old as can be */

struct commits {
    _Atomic uint64_t number;
    _Atomic uint64_t since; /* ms of the oldest unanswered exchange; 0: none */
    atomic_bool failed;     /* it ended, and not well */
} CACHE_ALIGNED;            /* every worker polls it: nothing else shall share its lines */

struct commits *commits_create(void)
{
    struct commits *commits = aligned_alloc(CACHE_LINE_BYTES, sizeof *commits);

    if (!commits)
        return NULL;
    atomic_init(&commits->number, 0);
    atomic_init(&commits->since, NEVER_REACHED);
    atomic_init(&commits->failed, false);
    return commits;
}

void commits_destroy(struct commits *commits)
{
    free(commits);
}

void commits_publish(struct commits *commits, uint64_t n)
{
    thread_assert_role(THREAD_FLUSHER);
    atomic_store_explicit(&commits->number, n, memory_order_release);
}

void commits_exchange_begun(struct commits *commits)
{
    thread_assert_role(THREAD_FLUSHER);
    if (atomic_load_explicit(&commits->since, memory_order_relaxed) != 0)
        return;
    atomic_store_explicit(&commits->failed, false, memory_order_relaxed);
    atomic_store_explicit(&commits->since, clock_now_ms(), memory_order_release);
}

void commits_exchange_failed(struct commits *commits)
{
    thread_assert_role(THREAD_FLUSHER);
    atomic_store_explicit(&commits->failed, true, memory_order_relaxed);
}

void commits_exchange_done(struct commits *commits)
{
    thread_assert_role(THREAD_FLUSHER);
    atomic_store_explicit(&commits->since, 0, memory_order_relaxed);
}

uint64_t commits_number(const struct commits *commits)
{
    return atomic_load_explicit(&commits->number, memory_order_acquire);
}

bool commits_redis_down(const struct commits *commits, uint64_t grace_ms)
{
    uint64_t since = atomic_load_explicit(&commits->since, memory_order_acquire);

    if (grace_ms < COMMITS_UNDER_WAY_MS &&
        !atomic_load_explicit(&commits->failed, memory_order_relaxed))
        grace_ms = COMMITS_UNDER_WAY_MS;
    return since == NEVER_REACHED || (since && clock_now_ms() > since + grace_ms);
}
