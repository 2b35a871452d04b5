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

/* Each append function adds commands to `resp`. The number above it is that of the replies. */

/* What a ledger says; a field that is not there is 0. `started` is in ms since 1970. */
struct transaction_look {
    uint64_t epoch, owner, batch, started;
};

/* WATCH ledger, HMGET ledger epoch owner batch started. */
#define TRANSACTION_LOOK_REPLIES 2
void transaction_append_look(struct resp *resp, const char *ledger_key);

/* MULTI, HINCRBY ledger epoch 1, HSET ledger owner started, EXPIRE ledger, EXEC; and a look behind
 * them. */
#define TRANSACTION_BEGIN_REPLIES 4 /* before EXEC's */
void transaction_append_begin(struct resp *resp, const char *ledger_key, uint64_t owner,
                              uint64_t started);

/* A batch's transaction in two parts, which may be sent apart: the first is only queued by Redis,
 * and only the second has it executed. */

/* MULTI alone: for a transaction without counts. */
void transaction_append_multi(struct resp *resp);

/* MULTI, and HINCRBY key device delta for each entry. */
#define TRANSACTION_COUNTS_REPLIES 1 /* beside the HINCRBYs' */
void transaction_append_counts(struct resp *resp, const char *key, const struct batch *batch);

/* HSET ledger epoch owner batch started, EXPIRE ledger, EXEC; and a look behind them. */
#define TRANSACTION_COMMIT_REPLIES 2 /* before EXEC's */
#define TRANSACTION_COMMIT_RESULTS 2 /* in EXEC's reply, behind the HINCRBYs' */
void transaction_append_commit(struct resp *resp, const char *ledger_key,
                               const struct transaction_look *ledger);

/* HMGET key device ...: the fields of the batch as they are now. */
void transaction_append_fields(struct resp *resp, const char *key, const struct batch *batch);

/* Sends what was rendered, whole, and empties `resp`. Returns 0, -ENOMEM, or -EIO: the context is
 * then of no use. */
int transaction_send(redisContext *context, struct resp *resp) MUST_CHECK;

/* The next reply, which the caller frees with replies_free(); NULL when the connection failed. */
redisReply *transaction_receive(redisContext *context) MUST_CHECK;

/* The text of an error; never "", which would look like none. */
const char *transaction_error(const redisReply *reply);

/* Receives and frees `count` replies. The first error's text goes to `why`, unless that holds one
 * already: it begins as "". Returns 0, or -EIO when the connection failed. */
int transaction_skip(redisContext *context, size_t count, char *why, size_t size) MUST_CHECK;

/* Whether an element of HMGET's reply is what Redis answers with: a string, or nil. An integer,
 * which is NULL (see replies.h), or anything else is not. */
bool transaction_is_field(const redisReply *field);

/* Takes the fields out of a look's HMGET reply. False when it is not such a reply, a field is no
 * number, or the batch's or the start's is past 2^63 - 1: no instance gets there, and behind
 * 2^64 - 1 would come 0, which is also what a field that is not there is read as. */
bool transaction_read_look(const redisReply *reply, struct transaction_look *look);

/* Whether Redis, where the field now reads `field`, which is one, refused to add `delta` to it:
 * HINCRBY fails on what is no 64-bit integer, and when the sum would overflow. A field that ends
 * within `delta` of 2^63 - 1 counts as refused, though it may just have got there: its value alone
 * cannot tell. */
bool transaction_was_refused(const redisReply *field, uint64_t delta);

#endif
