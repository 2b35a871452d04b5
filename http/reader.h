/*
 * The shared reader: one thread that reads all counts from Redis into a snapshot for all requests,
 * so that a storm of requests is no storm on Redis. It reads only while somebody asks, and begins
 * at most every `refresh_ms`, or twice the time that the last reading took if that is longer, so
 * that a hash of millions of devices does not keep Redis busy with reading. refresh.c has the rule.
 *
 * Who asks gets the newest snapshot that is there, if it is as new as that rule allows; else the
 * one that is being read. With Redis away it gets the last one, marked stale; but never when what
 * Redis holds is wrong. With `refresh_ms` 0 everybody waits for a reading that began after he came:
 * whoever saw an Ack sees its packets.
 */
#ifndef TALLYD_HTTP_READER_H
#define TALLYD_HTTP_READER_H

#include "common/compiler.h"
#include "http/count_source.h"
#include "http/reading.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A snapshot that nobody has asked for in that time is given up. */
#define READER_KEEP_MS 300000

/* No reading is begun while so many snapshots live: each request that is still being sent one may
 * hold another. Who asks then gets the last one, which grows old. */
#define READER_MAX_LIVE 8

/* A snapshot is compared with the one before, for what devices gained, if that is no older. */
#define READER_COMPARE_MS 60000

struct reader;
struct snapshot;

/* How a reading is made: count_source_read_all(), or a test's stand-in, with its contract. Called
 * by the reader's thread, never twice at once. `before` is the snapshot to compare with, or NULL.
 */
typedef enum count_source_result reader_read(void *source, const atomic_bool *stop,
                                             const struct snapshot *before,
                                             struct snapshot **snapshot, char error[ERROR_BYTES]);

/* Starts the reader's thread; `source` is borrowed and must outlive the reader. NULL with errno.
 * Called by: main. */
struct reader *reader_create(reader_read *read, void *source, uint64_t refresh_ms) MUST_CHECK;

/* What a request gets. With COUNT_SOURCE_OK it holds `reading`, until reading_release(); with all
 * else `error` is one line that says what to do, and nothing is held. */
struct reader_answer {
    enum count_source_result result;
    struct reading *reading;
    bool stale; /* a newer one could not be had, or not in time; as a rule Redis is away */
    char error[ERROR_BYTES];
};

/* Gets a snapshot, and waits for it as the top of this page says. Called by: http. */
void reader_acquire(struct reader *reader, struct reader_answer *answer);

/* The same without waiting, also with `refresh_ms` 0: sets a reading off if what is there is not
 * fresh and one may begin, and gives what is there. Called by: http. */
void reader_glance(struct reader *reader, struct reader_answer *answer);

/* What the reader has done, for /metrics/prom. Called by: any thread. */
struct reader_figures {
    uint64_t readings;       /* those that failed included */
    uint64_t failures;       /* of these */
    uint64_t duration_ms;    /* of the last reading that succeeded */
    uint64_t devices, bytes; /* of the snapshot that is kept; 0 when there is none */
    uint64_t age_ms;         /* of it */
};
struct reader_figures reader_figures(struct reader *reader);

/* Wakes all who wait and refuses all who come later. Does not wait. Called by: main. */
void reader_stop(struct reader *reader);

/* Stops, ends the thread and frees the reader. Nobody may wait or hold a reading any more. NULL
 * does nothing. Called by: main. */
void reader_destroy(struct reader *reader);

#endif
