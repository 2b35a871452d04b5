/*
 * Why the hand-over is correct.
 *
 * Each cut has two lanes of counters and two blocks of totals; `lane` is the worker's. Ownership of
 * the other one, and of the counters made since the cut before, goes to and fro with two numbers,
 * each with one writer:
 *
 *   requested  flusher writes n (release)  -- pairs with the worker's acquire in cut_asked()
 *   answered   worker writes n (release)   -- pairs with the flusher's acquire in cut_answered()
 *
 * While requested == answered the flusher owns the other lane (it was handed over for cut n, or
 * is still empty); while requested == answered + 1 nobody touches it. The flusher writes a new
 * request only after it has emptied the lane, and the worker begins to use that lane only after
 * it has read the request: its stores come after the flusher's. The worker writes the answer
 * after its last store into the lane that it leaves, and the flusher reads the lane after the
 * answer. Hence no lane has two users at a time, and each sees the other's stores.
 *
 * The same two numbers make a cut consistent: a packet is counted, and a stream ends, wholly
 * before or wholly after a swap, since the worker calls cut_answer() between packets only.
 *
 * Wake-ups are eventfds: a write is never lost, and reading one empty before looking at the
 * numbers means that a later change will make it readable again.
 *
 * `hurry` is set by the worker (release) and cleared by the flusher before it asks for a cut; a
 * stream that ended before the worker's answer is in that cut, and one that ended after it sets
 * `hurry` again. The worker's test-and-set may find it set and skip the wake-up only if the
 * flusher has not yet cleared it, and then the flusher has yet to ask for the cut that will hold
 * this stream, or the worker has not yet answered it.
 */
#include "aggregator/cut.h"

#include "aggregator/counters.h"
#include "common/thread.h"
#include "common/wake.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cut {
    struct counters *counters;
    int worker_fd, flusher_fd;

    /* Writer: worker. */
    struct {
        _Atomic uint64_t answered;
        unsigned lane;
        struct cut_totals totals[COUNTERS_LANES];
        uint64_t arrived;     /* packets of all lanes handed over so far */
        struct counter *made; /* goes with the lane handed over */
    } CACHE_ALIGNED w;

    /* Writer: flusher. */
    struct {
        _Atomic uint64_t requested;
    } CACHE_ALIGNED f;

    /* Writers: both. */
    struct {
        atomic_bool hurry;
    } CACHE_ALIGNED both;
};

struct cut *cut_create(const struct hash_key *hash_key, size_t max_devices, int flusher_fd)
{
    struct cut *cut = aligned_alloc(CACHE_LINE_BYTES, sizeof *cut);
    int error;

    if (!cut)
        return NULL;
    memset(cut, 0, sizeof *cut);
    cut->flusher_fd = flusher_fd;
    cut->worker_fd = wake_create();
    if (cut->worker_fd < 0)
        goto err;
    cut->counters = counters_create(hash_key, max_devices);
    if (!cut->counters)
        goto err;
    return cut;

err:
    error = errno;
    cut_destroy(cut);
    errno = error;
    return NULL;
}

void cut_destroy(struct cut *cut)
{
    if (!cut)
        return;
    counters_destroy(cut->counters);
    if (cut->worker_fd >= 0)
        close(cut->worker_fd);
    free(cut);
}

void cut_count(struct cut *cut, const uint8_t *id, size_t length)
{
    cut->w.totals[cut->w.lane].received++;
    counters_add(cut->counters, cut->w.lane, id, length, 1);
}

void cut_count_each(struct cut *cut, const struct packet_id *ids, size_t count)
{
    cut->w.totals[cut->w.lane].received += count;
    counters_add_each(cut->counters, cut->w.lane, ids, count);
}

void cut_allow(struct cut *cut, struct allowance *allowance)
{
    counters_allow(cut->counters, allowance);
}

void cut_heed(struct cut *cut, const struct pressure *pressure)
{
    counters_heed(cut->counters, pressure);
}

void cut_reject(struct cut *cut, size_t reason)
{
    struct cut_totals *totals = &cut->w.totals[cut->w.lane];

    thread_assert_role(THREAD_WORKER);
    totals->received++;
    ++*(uint64_t *)((char *)&totals->rejected + reason);
}

bool cut_asked(const struct cut *cut)
{
    thread_assert_role(THREAD_WORKER);
    return atomic_load_explicit(&cut->f.requested, memory_order_acquire) !=
           atomic_load_explicit(&cut->w.answered, memory_order_relaxed);
}

void cut_answer(struct cut *cut)
{
    if (!cut_asked(cut))
        return;
    cut->w.arrived = cut_arrived(cut);
    cut->w.lane ^= 1;
    cut->w.made = counters_take_new(cut->counters);
    /* Nobody else asks meanwhile: the flusher waits for this answer before its next request. */
    atomic_store_explicit(&cut->w.answered,
                          atomic_load_explicit(&cut->f.requested, memory_order_relaxed),
                          memory_order_release);
    wake_send(cut->flusher_fd);
}

uint64_t cut_number(const struct cut *cut)
{
    thread_assert_role(THREAD_WORKER);
    return atomic_load_explicit(&cut->w.answered, memory_order_relaxed) + 1;
}

uint64_t cut_arrived(const struct cut *cut)
{
    thread_assert_role(THREAD_WORKER);
    return cut->w.arrived + cut->w.totals[cut->w.lane].received;
}

size_t cut_counter_bytes(const struct cut *cut)
{
    thread_assert_role(THREAD_WORKER);
    return counters_bytes(cut->counters);
}

void cut_hurry(struct cut *cut)
{
    thread_assert_role(THREAD_WORKER);
    if (!atomic_exchange_explicit(&cut->both.hurry, true, memory_order_acq_rel))
        wake_send(cut->flusher_fd);
}

int cut_worker_fd(const struct cut *cut)
{
    return cut->worker_fd;
}

void cut_request(struct cut *cut, uint64_t n)
{
    thread_assert_role(THREAD_FLUSHER);
    atomic_store_explicit(&cut->both.hurry, false, memory_order_release);
    atomic_store_explicit(&cut->f.requested, n, memory_order_release);
    wake_send(cut->worker_fd);
}

bool cut_answered(const struct cut *cut, uint64_t n)
{
    thread_assert_role(THREAD_FLUSHER);
    return atomic_load_explicit(&cut->w.answered, memory_order_acquire) == n;
}

struct cut_lane cut_take(struct cut *cut, struct cut_totals *totals)
{
    /* The worker starts on lane 0 and swaps once a cut, so cut n leaves lane (n - 1) & 1. */
    uint64_t n = atomic_load_explicit(&cut->f.requested, memory_order_relaxed);
    unsigned lane = (unsigned)((n - 1) & 1);
    struct cut_totals *handed = &cut->w.totals[lane];

    thread_assert_role(THREAD_FLUSHER);
    totals->received += handed->received;
#define TAKE(name, help) totals->rejected.name += handed->rejected.name;
    BALANCE_REJECTED(TAKE)
#undef TAKE
    *handed = (struct cut_totals){0};
    return (struct cut_lane){cut->counters, lane, cut->w.made};
}

bool cut_hurried(const struct cut *cut)
{
    thread_assert_role(THREAD_FLUSHER);
    return atomic_load_explicit(&cut->both.hurry, memory_order_acquire);
}

void cut_wake_worker(struct cut *cut)
{
    wake_send(cut->worker_fd);
}
