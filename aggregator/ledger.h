/*
 * The commit protocol: a batch goes into Redis exactly once, whatever happens to the connection.
 *
 * The ledger is a hash, `<key>:ledger:<instance>`, with four fields: `epoch` grows when an
 * instance of this name starts, `owner` tells which one that was and `started` when, `batch` is the
 * number of the last committed batch. A batch and its number go in one transaction, guarded by a
 * WATCH on the ledger that the pipeline before it has armed. When an outcome is unknown, the ledger
 * tells it. ARCHITECTURE.md has the protocol and its argument; ledger.c follows them step by step.
 */
#ifndef TALLYD_AGGREGATOR_LEDGER_H
#define TALLYD_AGGREGATOR_LEDGER_H

#include "aggregator/batch.h"
#include "aggregator/redis.h"
#include "common/compiler.h"
#include "common/stats.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger;

enum ledger_result {
    LEDGER_OK,
    LEDGER_UNAVAILABLE, /* not now; ledger_error() says why; call again with the same batch */
    LEDGER_FENCED,      /* an instance of this name started later: this one must stop */
};

/* `options`, `instance` and `stats` are borrowed. Connects to nothing yet. Returns NULL with
 * errno ENOMEM. Called by: main. */
struct ledger *ledger_create(const struct redis_options *options, const char *instance,
                             struct stats_flusher *stats) MUST_CHECK;

/* Closes the connection. NULL does nothing. Called by: main. */
void ledger_destroy(struct ledger *ledger);

/* Bounds each later wait for Redis, in ms. Called by: flusher. */
void ledger_set_timeout(struct ledger *ledger, uint64_t timeout_ms);

/* Commits a batch. On LEDGER_OK it is in Redis once, apart from the entries that are marked
 * `refused`, which are not in it at all. On LEDGER_UNAVAILABLE it may be in Redis or not; the next
 * call must bring the same batch, unchanged, and finds out.
 *
 * `next` is the batch to be committed after it, or NULL while that is not known: Redis is given its
 * counts ahead, but does not execute them. Once this batch is committed, the next call must bring
 * `next`, unchanged. Both batches are the caller's. Called by: flusher. */
enum ledger_result ledger_commit(struct ledger *ledger, struct batch *batch,
                                 const struct batch *next) MUST_CHECK;

/* Makes sure, while nothing is to be committed, that Redis is there, that this instance is not
 * fenced, and that its ledger does not expire. Not to be called while a batch is unresolved or a
 * next one was given. Called by: flusher. */
enum ledger_result ledger_probe(struct ledger *ledger) MUST_CHECK;

/* True while the outcome of the batch at hand is not known: its EXEC was sent. Called by: flusher,
 * or main once that has ended. */
bool ledger_unresolved(const struct ledger *ledger);

/* Why the last call was LEDGER_UNAVAILABLE: one line, without the password. Called by: flusher. */
const char *ledger_error(const struct ledger *ledger);

#endif
