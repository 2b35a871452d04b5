/*
 * The pipelines of the commit protocol, as bytes, and what a lost reply can still be asked: the
 * part of ledger.c that decides nothing. Thread: flusher.
 */
#ifndef TALLYD_AGGREGATOR_TRANSACTION_H
#define TALLYD_AGGREGATOR_TRANSACTION_H

#include "aggregator/batch.h"
#include "aggregator/resp.h"
#include "common/compiler.h"

#include <hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each render function empties `resp` first. The number behind it is that of the replies. */

/* What a ledger says; a field that is not there is 0. */
struct transaction_look {
    uint64_t epoch, owner, batch;
};

/* WATCH ledger, HMGET ledger epoch owner batch. */
#define TRANSACTION_LOOK_REPLIES 2
void transaction_render_look(struct resp *resp, const char *ledger_key);

/* MULTI, HINCRBY ledger epoch 1, HSET ledger owner, EXPIRE ledger, EXEC; and a look behind them. */
#define TRANSACTION_BEGIN_REPLIES 4 /* before EXEC's */
void transaction_render_begin(struct resp *resp, const char *ledger_key, uint64_t owner);

/* MULTI, HINCRBY key device delta for each entry (none when `batch` is NULL), HSET ledger epoch
 * batch, EXPIRE ledger, EXEC; and a look behind them. */
#define TRANSACTION_OTHER_REPLIES 3 /* before EXEC's, beside the HINCRBYs' */
#define TRANSACTION_OTHER_RESULTS 2 /* in EXEC's reply, behind the HINCRBYs' */
void transaction_render_batch(struct resp *resp, const char *key, const struct batch *batch,
                              const char *ledger_key, const struct transaction_look *ledger);

/* HMGET key device ...: the fields of the batch as they are now. */
void transaction_render_fields(struct resp *resp, const char *key, const struct batch *batch);

/* Sends what was rendered, whole. Returns 0, -ENOMEM, or -EIO: the context is then of no use. */
int transaction_send(redisContext *context, const struct resp *resp) MUST_CHECK;

/* The next reply, which the caller frees; NULL when the connection failed. */
redisReply *transaction_receive(redisContext *context) MUST_CHECK;

/* Receives and frees `count` replies, keeping the first error's text in `why`, else "". Returns 0,
 * or -EIO when the connection failed. */
int transaction_skip(redisContext *context, size_t count, char *why, size_t size) MUST_CHECK;

/* Takes the fields out of a look's HMGET reply. False when it is not such a reply, or a field is no
 * number. */
bool transaction_read_look(const redisReply *reply, struct transaction_look *look);

/* Whether Redis, where the field now reads `field`, refused to add `delta` to it: HINCRBY fails on
 * what is no 64-bit integer, and when the sum would overflow. A field that ends within `delta` of
 * 2^63 - 1 counts as refused, though it may just have got there: its value alone cannot tell. */
bool transaction_was_refused(const redisReply *field, uint64_t delta);

#endif
