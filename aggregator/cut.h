/*
 * The cut: where a worker hands its deltas to the flusher, and hears what became of them.
 *
 * Cuts are numbered from 1, alike on all workers. What a worker counts, and the streams that end
 * there, belong to cut_number() of that moment. The flusher asks all workers for cut n, takes what
 * each hands over, commits all of it, and only then publishes n as committed; so a stream whose
 * packets were all counted in cuts up to n may be acknowledged.
 *
 *     worker:  cut_count() ... cut_answer() ... cut_count() ...      (two lanes, one swap a cut)
 *     flusher: cut_request(n) -> cut_answered(n)? -> cut_take() ... -> commits_publish(n)
 *
 * There is one `struct cut` for each worker; the way back is aggregator/commits.h.
 */
#ifndef TALLYD_AGGREGATOR_CUT_H
#define TALLYD_AGGREGATOR_CUT_H

#include "common/balance.h"
#include "common/compiler.h"
#include "common/hash.h"
#include "proto/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowance;
struct pressure;
struct counter;
struct counters;
struct cut;

/* `flusher_fd` is an eventfd that wakes the flusher; it is borrowed. Returns NULL with errno.
 * Called by: main, before the worker and the flusher start. */
struct cut *cut_create(const struct hash_key *hash_key, size_t max_devices,
                       int flusher_fd) MUST_CHECK;

/* Called by: main, after both have ended. NULL does nothing. */
void cut_destroy(struct cut *cut);

/* Counts one packet of a device. No lock, no system call. Called by: worker. */
void cut_count(struct cut *cut, const uint8_t *id, size_t length);

/* The same for up to COUNTERS_GROUP packets at once. Called by: worker. */
void cut_count_each(struct cut *cut, const struct packet_id *ids, size_t count);

/* On whose behalf the next packets are counted, as counters_allow() says. Called by: worker. */
void cut_allow(struct cut *cut, struct allowance *allowance);

/* As counters_heed(). Called by: main, before the worker starts. */
void cut_heed(struct cut *cut, const struct pressure *pressure);

/* Counts one packet that was rejected; `reason` is the offset of a field of balance_rejected,
 * from offsetof(). Called by: worker. */
void cut_reject(struct cut *cut, size_t reason);

/* True when the flusher has asked for a cut that is not answered yet. Called by: worker. */
bool cut_asked(const struct cut *cut);

/* Hands over, if the flusher has asked since the last time: swaps the lanes, in constant time. To
 * be called often, always between two packets. Called by: worker. */
void cut_answer(struct cut *cut);

/* The number of the cut that what is counted now will be in. Called by: worker. */
uint64_t cut_number(const struct cut *cut);

/* Packets that arrived whole, ever: what cut_count(), cut_count_each() and cut_reject() counted.
 * Called by: worker. */
uint64_t cut_arrived(const struct cut *cut);

/* Bytes of memory that the worker's counters take, as counters_bytes() says. Called by: worker. */
size_t cut_counter_bytes(const struct cut *cut);

/* Asks for a cut soon, since a stream waits for its Ack. Called by: worker. */
void cut_hurry(struct cut *cut);

/* An eventfd that becomes readable when the flusher asks for a cut or has committed one. The
 * worker reads it empty, then calls cut_answer() and looks at commits_number(). */
int cut_worker_fd(const struct cut *cut);

/* Asks for cut n, one more than the last one, whose lane must have been taken. Called by:
 * flusher. */
void cut_request(struct cut *cut, uint64_t n);

/* True when the worker has handed over for cut n. Called by: flusher. */
bool cut_answered(const struct cut *cut, uint64_t n);

/* What came in, apart from whose it was. */
struct cut_totals {
    uint64_t received; /* packets that arrived whole, the rejected ones included */
    struct balance_rejected rejected;
};

/* A lane of a worker's counters, and the counters that were made since the cut before, as
 * counters_take_new() gives them. */
struct cut_lane {
    struct counters *counters;
    unsigned lane;
    struct counter *made;
};

/* Takes what cut n handed over: adds the totals to *totals, and returns the lane, the same on all
 * workers. It is the flusher's until its next cut_request(), and must be popped empty by then.
 * Called by: flusher, once cut_answered(n). */
struct cut_lane cut_take(struct cut *cut, struct cut_totals *totals);

/* True when a stream has asked to hurry since the last request. Called by: flusher. */
bool cut_hurried(const struct cut *cut);

/* Wakes the worker, after commits_publish(). Called by: flusher, main. */
void cut_wake_worker(struct cut *cut);

#endif
