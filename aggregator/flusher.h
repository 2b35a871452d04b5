/*
 * The flusher: one thread that asks the workers for a cut, takes what they hand over, commits it to
 * Redis batch by batch, and then tells the workers.
 *
 * It asks on a timer, and at once (with a floor between two cuts) when an ended stream waits for
 * its Ack. A cut is asked for only when the one before is committed whole, so that pending is
 * never more than one cut; while Redis is away the deltas wait in the workers' maps, and memory
 * does not grow with time.
 */
#ifndef TALLYD_AGGREGATOR_FLUSHER_H
#define TALLYD_AGGREGATOR_FLUSHER_H

#include "aggregator/commits.h"
#include "aggregator/cut.h"
#include "aggregator/redis.h"
#include "common/balance.h"
#include "common/compiler.h"
#include "common/hash.h"
#include "common/stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything here is borrowed and must outlive the flusher. */
struct flusher_options {
    struct redis_options redis;
    const char *instance;
    uint64_t interval_ms; /* between two cuts when no Ack waits */
    uint64_t max_devices; /* with a counter of their own, over all workers */
    struct hash_key hash_key;

    struct cut *const *cuts; /* one a worker */
    size_t cut_count;
    struct commits *commits;
    struct stats_flusher *stats;
    struct balance *balance;
    int wake_fd;  /* the eventfd that the cuts were made with */
    int event_fd; /* an eventfd that is written when this instance is fenced */
};

struct flusher;

/* What was left when the flusher ended. */
struct flusher_result {
    uint64_t packets; /* counted, and not confirmed by Redis */
    uint64_t devices; /* of so many devices */
    uint64_t unknown; /* of the packets: sent, and the outcome is not known */
    bool fenced;      /* an instance of the same name took over */
};

/* Returns NULL with errno. Called by: main. */
struct flusher *flusher_create(const struct flusher_options *options) MUST_CHECK;

/* Starts the thread, and waits up to a second until Redis was asked for the first time, so that a
 * stream which comes at once is not refused for want of an answer. Returns 0, or a negative errno
 * of pthread_create. Called by: main, once the workers run. */
int flusher_start(struct flusher *flusher) MUST_CHECK;

/* When the thread last waited for something, or turned to Redis, by clock_now_ms(). Called by:
 * main, once it was started. */
uint64_t flusher_alive_ms(const struct flusher *flusher);

/* Asks for a last cut and a last commit, and ends the thread. The commit is tried once at least,
 * and past `deadline_ms` (clock_now_ms()) it goes on only as long as Redis answers; a Redis that
 * does not is given a few seconds more at most. The workers must still run. Called by: main. */
struct flusher_result flusher_stop(struct flusher *flusher, uint64_t deadline_ms);

/* Called by: main, after flusher_stop(), or if it was never started. NULL does nothing. */
void flusher_destroy(struct flusher *flusher);

#endif
