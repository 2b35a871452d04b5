/*
 * Where the ledger stands: connect, look, and judge what it says. See ledger.c for the protocol.
 */
#include "aggregator/ledger_private.h"
#include "aggregator/transaction.h"
#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>

void ledger_disconnect(struct ledger *ledger)
{
    if (ledger->context)
        redisFree(ledger->context);
    ledger->context = NULL;
    ledger->ahead = NULL;
    ledger->position = POSITION_UNKNOWN;
    stats_set(&ledger->stats->redis_up, 0);
}

enum ledger_result ledger_unavailable(struct ledger *ledger, const char *what, const char *why)
{
    snprintf(ledger->error, sizeof ledger->error, "%s: %.250s", what, why);
    stats_add(&ledger->stats->redis_errors, 1);
    return LEDGER_UNAVAILABLE;
}

enum ledger_result ledger_broken(struct ledger *ledger, const char *what)
{
    const char *why =
        ledger->context && ledger->context->err ? ledger->context->errstr : "unexpected reply";
    enum ledger_result result = ledger_unavailable(ledger, what, why);

    ledger_disconnect(ledger);
    return result;
}

/* Redis has lost what it had confirmed: a fail-over, a restored dump, FLUSHALL. Nothing can be
 * done here but say so; the batch at hand is not in, and goes on. */
static void note_rollback(struct ledger *ledger, const struct transaction_look *look)
{
    if (ledger->rolled_back)
        return;
    ledger->rolled_back = true;
    stats_add(&ledger->stats->rollbacks, 1);
    log_error("Redis has lost data that it had confirmed: the ledger %s says batch %" PRIu64
              ", and %" PRIu64 " was committed; counts of the batches in between are gone",
              ledger->key, look->batch, ledger->committed);
    if (!ledger->in_flight)
        return;
    stats_add(&ledger->stats->batches_resent_blind, 1);
    log_error("batch %" PRIu64
              " was sent before that, and nothing tells now whether it was applied; "
              "it is sent again",
              ledger->committed + 1);
}

/* The owner decides whose ledger it is. The epoch could not: it starts again at 1 when a ledger is
 * lost, so that two starts of this name may have the same one. */
static enum position judge(struct ledger *ledger, const struct transaction_look *look)
{
    if (!look->owner && !look->epoch) {
        note_rollback(ledger, look);
        return POSITION_READY;
    }
    if (look->owner != ledger->owner)
        return POSITION_FENCED;
    if (look->batch == ledger->committed)
        return POSITION_READY;
    if (look->batch == ledger->committed + 1 && ledger->in_flight)
        return POSITION_APPLIED;
    if (look->batch > ledger->committed) {
        log_error("the ledger %s says batch %" PRIu64 ", and this instance has sent %" PRIu64
                  " at most: something else writes it",
                  ledger->key, look->batch, ledger->committed + ledger->in_flight);
        return POSITION_FENCED;
    }
    note_rollback(ledger, look);
    return POSITION_READY;
}

/* Receives what a look gives. */
static enum ledger_result receive_look(struct ledger *ledger, struct transaction_look *look)
{
    char why[REDIS_ERROR_BYTES] = "";
    redisReply *fields;

    *look = (struct transaction_look){0};
    if (transaction_skip(ledger->context, TRANSACTION_LOOK_REPLIES - 1, why, sizeof why) ||
        !(fields = transaction_receive(ledger->context)))
        return ledger_broken(ledger, "reading the ledger");
    if (fields->type == REDIS_REPLY_ERROR)
        snprintf(why, sizeof why, "%.200s", transaction_error(fields));
    else if (!why[0] && !transaction_read_look(fields, look))
        snprintf(why, sizeof why, "%.200s is not a ledger", ledger->key);
    replies_free(fields);
    if (!why[0])
        return LEDGER_OK;
    ledger_disconnect(ledger);
    return ledger_unavailable(ledger, "reading the ledger", why);
}

enum ledger_result ledger_receive_position(struct ledger *ledger)
{
    struct transaction_look look;
    enum ledger_result result = receive_look(ledger, &look);

    if (result == LEDGER_OK) {
        ledger->position = judge(ledger, &look);
        stats_set(&ledger->stats->redis_up, 1);
    }
    return result;
}

/* Receives EXEC's reply to the transaction that begins an epoch. A nil one leaves *begun false:
 * another instance of our name has begun at the same moment. */
static enum ledger_result receive_begun(struct ledger *ledger, bool *begun)
{
    enum ledger_result result = LEDGER_OK;
    char why[REDIS_ERROR_BYTES] = "";
    redisReply *exec;

    *begun = false;
    if (transaction_skip(ledger->context, TRANSACTION_BEGIN_REPLIES, why, sizeof why) ||
        !(exec = transaction_receive(ledger->context)))
        return ledger_broken(ledger, "beginning an epoch");
    if (exec->type == REDIS_REPLY_ERROR)
        result = ledger_unavailable(ledger, "beginning an epoch",
                                    why[0] ? why : transaction_error(exec));
    else if (exec->type == REDIS_REPLY_ARRAY && exec->elements && !exec->element[0])
        *begun = true; /* no error, but the integer that HINCRBY returns: see replies.h */
    else if (exec->type != REDIS_REPLY_NIL)
        result =
            ledger_unavailable(ledger, "beginning an epoch", "the ledger's epoch is no number");
    replies_free(exec);
    if (result != LEDGER_OK)
        ledger_disconnect(ledger);
    return result;
}

/* At start: takes the next epoch, which fences whoever had the one before. If the outcome gets
 * lost, doing it again only skips an epoch. */
static enum ledger_result begin_epoch(struct ledger *ledger)
{
    struct transaction_look look;
    enum ledger_result result;
    bool begun;

    transaction_append_begin(&ledger->resp, ledger->key, ledger->owner);
    if (transaction_send(ledger->context, &ledger->resp))
        return ledger_broken(ledger, "beginning an epoch");
    if ((result = receive_begun(ledger, &begun)) != LEDGER_OK ||
        (result = receive_look(ledger, &look)) != LEDGER_OK)
        return result;
    if (!begun || look.owner != ledger->owner) {
        ledger_disconnect(ledger);
        return ledger_unavailable(ledger, "beginning an epoch",
                                  "another instance of this name started at the same moment");
    }
    ledger->epoch = look.epoch;
    ledger->committed = look.batch;
    ledger->position = POSITION_READY;
    ledger->last_commit_ms = clock_now_ms();
    stats_set(&ledger->stats->redis_up, 1);
    return LEDGER_OK;
}

enum ledger_result ledger_locate(struct ledger *ledger)
{
    char why[REDIS_ERROR_BYTES], address[REDIS_ERROR_BYTES];
    struct transaction_look look;
    enum ledger_result result;

    if (ledger->position != POSITION_UNKNOWN)
        return LEDGER_OK;
    if (!ledger->context) {
        ledger->context = redis_open(ledger->options, ledger->timeout_ms, why);
        if (!ledger->context)
            return ledger_unavailable(ledger, redis_address(ledger->options, address), why);
        stats_add(&ledger->stats->redis_connects, 1);
        redis_warn_of_eviction(ledger->context);
        replies_spare(&ledger->replies, ledger->context->reader);
    }
    transaction_append_look(&ledger->resp, ledger->key);
    if (transaction_send(ledger->context, &ledger->resp))
        return ledger_broken(ledger, "reading the ledger");
    if (ledger->epoch)
        return ledger_receive_position(ledger);
    if ((result = receive_look(ledger, &look)) != LEDGER_OK)
        return result;
    return begin_epoch(ledger);
}
