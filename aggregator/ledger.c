/*
 * The commit protocol, step by step.
 *
 *   position  What the ledger said when it was last read, under a WATCH that is still armed:
 *             nothing yet (UNKNOWN), "batch n is not in" (READY), "batch n is in" (APPLIED), "a
 *             later instance of my name has started" (FENCED). n is always committed + 1.
 *   locate    Reaches READY or APPLIED from UNKNOWN: connect, WATCH ledger, HMGET ledger.
 *   transact  From READY: sends MULTI, the HINCRBYs, HSET ledger, EXPIRE, EXEC, and behind it
 *             WATCH and HMGET, which give the next position in the same round trip.
 *   verify    From APPLIED: the transaction went in, but its reply was lost; finds out which of
 *             its HINCRBYs Redis refused.
 *
 * Why a batch cannot go in twice: a transaction is sent only from READY, that is, after the ledger
 * was read without n and with the WATCH armed before that read. Should any other transaction that
 * carries n (our own, late, from a connection given up) be executed in between, it changes the
 * ledger, so ours returns nil; and should ours be first, it changes the ledger under the other's
 * WATCH. Of all the transactions with number n, one goes in.
 *
 * Why a batch is not lost: committed grows only on EXEC's own reply, or on APPLIED.
 *
 * The ledger expires some days after its instance's last sign of life, so that the ledgers of
 * instances long dead go away by themselves; a living one renews it with every batch, and with an
 * empty batch now and then when nothing comes.
 */
#include "aggregator/ledger.h"

#include "aggregator/resp.h"
#include "aggregator/transaction.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEARTBEAT_MS (3600 * 1000) /* of a ledger that expires after days: see transaction.c */
#define MAX_ATTEMPTS 3             /* in one call; each but the first follows a tripped guard */
#define TIMEOUT_MS   3000          /* until ledger_set_timeout() */

enum position { POSITION_UNKNOWN, POSITION_READY, POSITION_APPLIED, POSITION_FENCED };

struct ledger {
    const struct redis_options *options;
    struct stats_flusher *stats;
    char *key;            /* of the ledger */
    char *quarantine_key; /* of the hash of refused counts */

    redisContext *context; /* NULL: not connected, and position is UNKNOWN */
    enum position position;
    uint64_t epoch;     /* 0: not begun yet */
    uint64_t committed; /* number of the last batch known to be in Redis */
    bool in_flight;     /* batch committed + 1 was sent at least once */
    bool rolled_back;   /* Redis has lost our ledger; the next batch restores it */

    uint64_t timeout_ms;
    uint64_t last_commit_ms;
    struct resp resp;
    struct batch nothing; /* always empty: for heartbeats */
    char error[REDIS_ERROR_BYTES + 64];
};

/* Gives the connection up. What it was asked last may or may not still happen. */
static void disconnect(struct ledger *ledger)
{
    if (ledger->context)
        redisFree(ledger->context);
    ledger->context = NULL;
    ledger->position = POSITION_UNKNOWN;
    stats_set(&ledger->stats->redis_up, 0);
}

struct ledger *ledger_create(const struct redis_options *options, const char *instance,
                             struct stats_flusher *stats)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);

    if (!ledger)
        return NULL;
    ledger->options = options;
    ledger->stats = stats;
    ledger->timeout_ms = TIMEOUT_MS;
    resp_init(&ledger->resp);
    if (asprintf(&ledger->key, "%s:ledger:%s", options->key, instance) < 0)
        ledger->key = NULL;
    if (asprintf(&ledger->quarantine_key, "%s:quarantine", options->key) < 0)
        ledger->quarantine_key = NULL;
    if (!ledger->key || !ledger->quarantine_key) {
        ledger_destroy(ledger);
        errno = ENOMEM;
        return NULL;
    }
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    if (!ledger)
        return;
    disconnect(ledger);
    resp_fini(&ledger->resp);
    free(ledger->key);
    free(ledger->quarantine_key);
    free(ledger);
}

void ledger_set_timeout(struct ledger *ledger, uint64_t timeout_ms)
{
    struct timeval timeout = {.tv_sec = (time_t)(timeout_ms / 1000),
                              .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};

    thread_assert_role(THREAD_FLUSHER);
    ledger->timeout_ms = timeout_ms;
    if (ledger->context && redisSetTimeout(ledger->context, timeout) != REDIS_OK)
        disconnect(ledger);
}

bool ledger_unresolved(const struct ledger *ledger)
{
    return ledger->in_flight;
}

const char *ledger_error(const struct ledger *ledger)
{
    return ledger->error;
}

static enum ledger_result unavailable(struct ledger *ledger, const char *what, const char *why)
{
    snprintf(ledger->error, sizeof ledger->error, "%s: %.250s", what, why);
    stats_add(&ledger->stats->redis_errors, 1);
    return LEDGER_UNAVAILABLE;
}

/* The connection failed, or said what it should not have. */
static enum ledger_result broken(struct ledger *ledger, const char *what)
{
    const char *why =
        ledger->context && ledger->context->err ? ledger->context->errstr : "unexpected reply";
    enum ledger_result result = unavailable(ledger, what, why);

    disconnect(ledger);
    return result;
}

/* ---- Position ----------------------------------------------------------------------------- */

/* Redis has lost what it had confirmed: a fail-over, a restored dump, FLUSHALL. Nothing can be
 * done here but say so; the batch at hand is not in, and goes on. */
static void note_rollback(struct ledger *ledger, uint64_t epoch, uint64_t batch)
{
    if (ledger->rolled_back)
        return;
    ledger->rolled_back = true;
    stats_add(&ledger->stats->rollbacks, 1);
    log_error("Redis has lost data that it had confirmed: the ledger %s says epoch %" PRIu64
              " batch %" PRIu64 ", and epoch %" PRIu64 " batch %" PRIu64
              " was committed; counts of the batches in between are gone",
              ledger->key, epoch, batch, ledger->epoch, ledger->committed);
}

static enum position judge(struct ledger *ledger, uint64_t epoch, uint64_t batch)
{
    if (epoch > ledger->epoch)
        return POSITION_FENCED;
    if (epoch == ledger->epoch && batch == ledger->committed)
        return POSITION_READY;
    if (epoch == ledger->epoch && batch == ledger->committed + 1 && ledger->in_flight)
        return POSITION_APPLIED;
    if (epoch == ledger->epoch && batch > ledger->committed) {
        log_error("the ledger %s says batch %" PRIu64 ", and this instance has sent %" PRIu64
                  " at most: something else writes it",
                  ledger->key, batch, ledger->committed + ledger->in_flight);
        return POSITION_FENCED;
    }
    note_rollback(ledger, epoch, batch);
    return POSITION_READY;
}

/* Receives what a look gives. */
static enum ledger_result receive_look(struct ledger *ledger, uint64_t *epoch, uint64_t *batch)
{
    char why[REDIS_ERROR_BYTES];
    redisReply *fields;

    if (transaction_skip(ledger->context, TRANSACTION_LOOK_REPLIES - 1, why, sizeof why) ||
        !(fields = transaction_receive(ledger->context)))
        return broken(ledger, "reading the ledger");
    if (fields->type == REDIS_REPLY_ERROR)
        snprintf(why, sizeof why, "%.200s", fields->str);
    else if (!why[0] && !transaction_read_look(fields, epoch, batch))
        snprintf(why, sizeof why, "%.200s is not a ledger", ledger->key);
    freeReplyObject(fields);
    if (!why[0])
        return LEDGER_OK;
    disconnect(ledger);
    return unavailable(ledger, "reading the ledger", why);
}

/* Receives and judges a look; the result is in ledger->position. */
static enum ledger_result receive_and_judge(struct ledger *ledger)
{
    uint64_t epoch, batch;
    enum ledger_result result = receive_look(ledger, &epoch, &batch);

    if (result == LEDGER_OK) {
        ledger->position = judge(ledger, epoch, batch);
        stats_set(&ledger->stats->redis_up, 1);
    }
    return result;
}

/* Receives EXEC's reply to the transaction that begins an epoch. A nil one leaves 0: another
 * instance of our name has begun at the same moment. */
static enum ledger_result receive_epoch(struct ledger *ledger, uint64_t *epoch)
{
    enum ledger_result result = LEDGER_OK;
    char why[REDIS_ERROR_BYTES];
    redisReply *exec;

    *epoch = 0;
    if (transaction_skip(ledger->context, TRANSACTION_BEGIN_REPLIES, why, sizeof why) ||
        !(exec = transaction_receive(ledger->context)))
        return broken(ledger, "beginning an epoch");
    if (exec->type == REDIS_REPLY_ERROR)
        result = unavailable(ledger, "beginning an epoch", why[0] ? why : exec->str);
    else if (exec->type == REDIS_REPLY_ARRAY && exec->elements &&
             exec->element[0]->type == REDIS_REPLY_INTEGER)
        *epoch = (uint64_t)exec->element[0]->integer;
    else if (exec->type != REDIS_REPLY_NIL)
        result = unavailable(ledger, "beginning an epoch", "the ledger's epoch is no number");
    freeReplyObject(exec);
    if (result != LEDGER_OK)
        disconnect(ledger);
    return result;
}

/* At start: takes the next epoch, which fences whoever had the one before. If the outcome gets
 * lost, doing it again only skips an epoch. */
static enum ledger_result begin_epoch(struct ledger *ledger)
{
    uint64_t epoch, batch, seen;
    enum ledger_result result;

    transaction_render_begin(&ledger->resp, ledger->key);
    if (transaction_send(ledger->context, &ledger->resp))
        return broken(ledger, "beginning an epoch");
    if ((result = receive_epoch(ledger, &epoch)) != LEDGER_OK ||
        (result = receive_look(ledger, &seen, &batch)) != LEDGER_OK)
        return result;
    if (!epoch || seen != epoch) {
        disconnect(ledger);
        return unavailable(ledger, "beginning an epoch",
                           "another instance of this name started at the same moment");
    }
    ledger->epoch = epoch;
    ledger->committed = batch;
    ledger->position = POSITION_READY;
    ledger->last_commit_ms = clock_now_ms();
    stats_set(&ledger->stats->redis_up, 1);
    return LEDGER_OK;
}

/* Connects if need be, arms the guard, and reads where the ledger stands. */
static enum ledger_result locate(struct ledger *ledger)
{
    char why[REDIS_ERROR_BYTES], address[REDIS_ERROR_BYTES];
    uint64_t epoch, batch;
    enum ledger_result result;

    if (ledger->position != POSITION_UNKNOWN)
        return LEDGER_OK;
    if (!ledger->context) {
        ledger->context = redis_open(ledger->options, ledger->timeout_ms, why);
        if (!ledger->context)
            return unavailable(ledger, redis_address(ledger->options, address), why);
        stats_add(&ledger->stats->redis_connects, 1);
    }
    transaction_render_look(&ledger->resp, ledger->key);
    if (transaction_send(ledger->context, &ledger->resp))
        return broken(ledger, "reading the ledger");
    if (ledger->epoch)
        return receive_and_judge(ledger);
    if ((result = receive_look(ledger, &epoch, &batch)) != LEDGER_OK)
        return result;
    return begin_epoch(ledger);
}

/* ---- A batch ------------------------------------------------------------------------------ */

static const char *batch_key(const struct ledger *ledger, const struct batch *batch)
{
    return batch->lane == LANE_COUNTS ? ledger->options->key : ledger->quarantine_key;
}

/* Batch n = committed + 1 is in. */
static void note_committed(struct ledger *ledger)
{
    ledger->committed++;
    ledger->in_flight = false;
    ledger->rolled_back = false;
    ledger->last_commit_ms = clock_now_ms();
    stats_add(&ledger->stats->batches_committed, 1);
}

/* EXEC ran the commands, each for itself: reads which of them failed. */
static void mark_refused(struct ledger *ledger, struct batch *batch, const redisReply *exec)
{
    const redisReply *hset = exec->element[batch->count];

    for (size_t i = 0; i < batch->count; i++)
        batch->entries[i].refused = exec->element[i]->type == REDIS_REPLY_ERROR;
    if (hset->type == REDIS_REPLY_ERROR)
        log_error("the ledger %s could not be written: %.200s", ledger->key, hset->str);
}

/* Sends the batch and receives EXEC's reply and the next position. LEDGER_OK with *done false
 * means that the guard tripped, and the position tells what next. */
static enum ledger_result transact(struct ledger *ledger, struct batch *batch, bool *done)
{
    char why[REDIS_ERROR_BYTES];
    enum ledger_result result = LEDGER_OK;
    bool sent_before = ledger->in_flight;
    redisReply *exec;

    *done = false;
    transaction_render_batch(&ledger->resp, batch_key(ledger, batch), batch, ledger->key,
                             ledger->epoch, ledger->committed + 1);
    if (sent_before)
        stats_add(&ledger->stats->batches_resent, 1);
    ledger->in_flight = true;
    if (transaction_send(ledger->context, &ledger->resp) ||
        transaction_skip(ledger->context, batch->count + TRANSACTION_OTHER_REPLIES, why,
                         sizeof why) ||
        !(exec = transaction_receive(ledger->context)))
        return broken(ledger, "committing");
    if (exec->type == REDIS_REPLY_ARRAY &&
        exec->elements == batch->count + TRANSACTION_OTHER_RESULTS) {
        mark_refused(ledger, batch, exec);
        note_committed(ledger);
        *done = true;
    } else if (exec->type == REDIS_REPLY_ERROR || exec->type == REDIS_REPLY_NIL) {
        ledger->in_flight = sent_before; /* this one, at least, is known not to be in */
        if (exec->type == REDIS_REPLY_ERROR)
            result = unavailable(ledger, "committing", why[0] ? why : exec->str);
    } else {
        result = broken(ledger, "committing");
    }
    freeReplyObject(exec);

    ledger->position = POSITION_UNKNOWN;
    if (ledger->context) {
        enum ledger_result next = receive_and_judge(ledger);

        if (result == LEDGER_OK && !*done)
            result = next;
    }
    return result;
}

/* Asks for the fields of a batch, and judges each as HINCRBY did. */
static enum ledger_result find_refused(struct ledger *ledger, struct batch *batch)
{
    redisReply *fields;
    bool wrong_type;

    transaction_render_fields(&ledger->resp, batch_key(ledger, batch), batch);
    if (transaction_send(ledger->context, &ledger->resp) ||
        !(fields = transaction_receive(ledger->context)))
        return broken(ledger, "verifying a batch");
    wrong_type = fields->type == REDIS_REPLY_ERROR && strncmp(fields->str, "WRONGTYPE", 9) == 0;
    if (!wrong_type && (fields->type != REDIS_REPLY_ARRAY || fields->elements != batch->count)) {
        freeReplyObject(fields);
        return broken(ledger, "verifying a batch");
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct batch_entry *entry = &batch->entries[i];

        entry->refused = wrong_type || transaction_was_refused(fields->element[i], entry->delta);
    }
    freeReplyObject(fields);
    return LEDGER_OK;
}

/* The ledger says that batch n went in, but nobody heard EXEC's reply, and its commands may have
 * failed one by one. */
static enum ledger_result verify(struct ledger *ledger, struct batch *batch)
{
    enum ledger_result result = batch->count ? find_refused(ledger, batch) : LEDGER_OK;

    if (result != LEDGER_OK)
        return result;
    note_committed(ledger);
    stats_add(&ledger->stats->outcomes_applied, 1);
    ledger->position = POSITION_READY; /* the WATCH is armed, and the ledger stands at n */
    return LEDGER_OK;
}

enum ledger_result ledger_commit(struct ledger *ledger, struct batch *batch)
{
    thread_assert_role(THREAD_FLUSHER);
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        bool unresolved = ledger->in_flight, done;
        enum ledger_result result = locate(ledger);

        if (result != LEDGER_OK)
            return result;
        if (ledger->position == POSITION_FENCED)
            return LEDGER_FENCED;
        if (ledger->position == POSITION_APPLIED)
            return verify(ledger, batch);
        if (unresolved)
            stats_add(&ledger->stats->outcomes_not_applied, 1);
        result = transact(ledger, batch, &done);
        if (done || result != LEDGER_OK)
            return result;
    }
    return unavailable(ledger, "committing", "something else keeps writing this instance's ledger");
}

enum ledger_result ledger_probe(struct ledger *ledger)
{
    enum ledger_result result;

    thread_assert_role(THREAD_FLUSHER);
    if (ledger->position == POSITION_READY) {
        transaction_render_look(&ledger->resp, ledger->key);
        if (transaction_send(ledger->context, &ledger->resp))
            return broken(ledger, "reading the ledger");
        result = receive_and_judge(ledger);
    } else {
        result = locate(ledger);
    }
    if (result != LEDGER_OK)
        return result;
    if (ledger->position == POSITION_FENCED)
        return LEDGER_FENCED;
    if (ledger->rolled_back || clock_now_ms() - ledger->last_commit_ms > HEARTBEAT_MS)
        return ledger_commit(ledger, &ledger->nothing);
    return LEDGER_OK;
}
