/*
 * A worker: one thread that owns its connections, their sessions and calls, and one cut, and
 * shares none of it. It receives, counts, hands over when asked, and acknowledges what is
 * committed.
 */
#ifndef TALLYD_SERVER_WORKER_H
#define TALLYD_SERVER_WORKER_H

#include "aggregator/commits.h"
#include "aggregator/cut.h"
#include "common/compiler.h"
#include "common/stats.h"
#include "server/connection.h"

#include <stddef.h>
#include <stdint.h>

struct address;
struct pressure;
struct tokens;
struct worker;

/* The stages of a worker's life; they only go up. */
enum worker_stage {
    WORKER_RUNNING,
    WORKER_DRAINING,  /* GOAWAY: no new streams; the open ones go on */
    WORKER_INTERRUPT, /* open streams are ended with UNAVAILABLE and wait for their commit */
    WORKER_STOPPING,  /* what waits is answered, committed or not; connections close; thread ends */
};

/* Everything here is borrowed and must outlive the worker. */
struct worker_options {
    unsigned number; /* for its name */
    struct cut *cut;
    struct commits *commits;
    struct stats_worker *stats;
    uint64_t redis_grace_ms, stall_timeout_ms;
    uint32_t max_message_bytes;
    size_t max_device_id_bytes;
    struct connection_options connections;
    struct tokens *tokens;           /* NULL: everybody may send */
    const struct pressure *pressure; /* NULL: memory has no limit */
};

/* Returns NULL with errno. Called by: main. */
struct worker *worker_create(const struct worker_options *options) MUST_CHECK;

/* Returns 0, or a negative errno of pthread_create. Called by: main. */
int worker_start(struct worker *worker) MUST_CHECK;

/* Hands a connected, non-blocking socket to the worker, which owns it from then on, and one count
 * of its peer's address with it; closes it and gives the count back when the worker's inbox is
 * full, and returns a negative errno. Called by: main. */
int worker_give(struct worker *worker, int fd, struct address *address) MUST_CHECK;

/* Moves the worker to a later stage. Called by: main. */
void worker_set_stage(struct worker *worker, enum worker_stage stage);

/* Connections given to the worker and not closed yet; streams that are open now. Called by: main.
 */
uint64_t worker_connections(const struct worker *worker);
uint64_t worker_streams(const struct worker *worker);

/* When it last went round, by clock_now_ms(): it does at least once a second. Called by: main. */
uint64_t worker_alive_ms(const struct worker *worker);

/* Waits for the thread's end, after WORKER_STOPPING. Called by: main. */
void worker_join(struct worker *worker);

/* Called by: main, after worker_join() or if it was never started. NULL does nothing. */
void worker_destroy(struct worker *worker);

#endif
