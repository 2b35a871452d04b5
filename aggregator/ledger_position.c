/*
 * Where the ledger stands: connect, look, and judge what it says. See ledger.c for the protocol.
 *
 * Whose ledger it is: the owner's alone. No instance sends an EXEC but under the WATCH of a look
 * that it judged READY, so an instance that is not the owner commits nothing unless that same
 * transaction makes it the owner, and no two can at once: whoever is second finds its guard
 * tripped, and looks again. That holds whatever the other fields say, and whatever clocks do. They
 * only decide which of two goes on and which one stops.
 *
 * The ledger of another owner means that this one has started since: fenced. Or it means that
 * Redis went back to before this instance started (a snapshot, a replica that was behind): the
 * other one is an earlier one, and to stop for it would leave nobody who counts. So:
 *
 *   a higher epoch, or the same   Fenced. It began after this one, or after the ledger was lost.
 *   a lower one, started later    Fenced. The ledger was lost or went back, and the other one
 *                                 began on what was left.
 *   a lower one, started earlier  Redis went back. READY, as when the ledger is gone: the next
 *                                 batch, or a renewal if there is none, takes the ledger.
 *   a lower one, and no start     Fenced. A version that wrote none cannot be told apart.
 *
 * `started` is the wall clock when the instance began, but at least 1 ms later than what it found
 * in the ledger: so starts on one history of Redis are in order though the clocks of their machines
 * are not. Only between two histories do clocks decide, and only who stays.
 *
 * An instance that takes the ledger back keeps its epoch and its start. Both are higher than what
 * it replaces, or it would not; and as they never change, an instance has one place in the order
 * of starts for all its life. So of two that outlive a rollback the younger one stays, whoever
 * claims first, though the older one never learned that it was fenced: the younger one finds the
 * older one's ledger to be earlier, the older one finds the younger one's to be later. With an
 * epoch raised above both, the older one could claim one as high as the younger one's, and fence
 * it. Since each claim is higher in both than what it replaces, and who is fenced stops for good,
 * none is made twice but after another rollback.
 *
 * One that slept (SIGSTOP, a machine suspended) while all this happened judges when it looks, and
 * has no other way to an EXEC: what it had sent before it slept has a guard that was armed before
 * the ledger changed, or went down with the connection and the Redis that had it.
 *
 * A claim of which nobody hears: the next look finds this owner and batch n (APPLIED) or n - 1
 * (READY), or still the earlier owner, and then the claim is made again. It is logged and counted
 * once, since `rolled_back` stays until a claim is known to be in.
 *
 * A batch n whose outcome is unknown then is sent again. It is not in, if counts and ledger went
 * back together: it came later than this instance's start, and that is gone. But nothing proves
 * that they did, so it is counted like one whose ledger is gone altogether (batches_resent_blind).
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

static void log_rollback(const struct ledger *ledger, const struct transaction_look *look)
{
    if (look->owner && look->owner != ledger->owner)
        log_error(
            "Redis went back to before this tallyd started: the ledger %s is of epoch %" PRIu64
            ", and this one's is %" PRIu64 "; counts that Redis had acknowledged since are "
            "gone, and counting goes on. Redis keeps them with appendonly yes and "
            "appendfsync always",
            ledger->key, look->epoch, ledger->epoch);
    else
        log_error("Redis has lost data that it had confirmed: the ledger %s says batch %" PRIu64
                  ", and %" PRIu64 " was committed; counts of the batches in between are gone",
                  ledger->key, look->batch, ledger->committed);
}

/* Redis has lost what it had confirmed: a fail-over, a restored dump, FLUSHALL. Nothing can be
 * done here but say so; the batch at hand is not in, and goes on. */
static void note_rollback(struct ledger *ledger, const struct transaction_look *look)
{
    if (ledger->rolled_back)
        return;
    ledger->rolled_back = true;
    stats_add(&ledger->stats->rollbacks, 1);
    log_rollback(ledger, look);
    if (!ledger->in_flight)
        return;
    stats_add(&ledger->stats->batches_resent_blind, 1);
    log_error("batch %" PRIu64
              " was sent before that, and nothing tells now whether it was applied; "
              "it is sent again",
              ledger->committed + 1);
}

/* Whether the ledger of another owner shows that Redis went back: see above. */
static bool is_of_an_earlier_one(const struct ledger *ledger, const struct transaction_look *look)
{
    return look->epoch < ledger->epoch && look->started && look->started < ledger->started;
}

/* The owner decides whose ledger it is. The epoch could not: it starts again at 1 when a ledger is
 * lost, so that two starts of this name may have the same one. */
static enum position judge(struct ledger *ledger, const struct transaction_look *look)
{
    if ((!look->owner && !look->epoch) ||
        (look->owner != ledger->owner && is_of_an_earlier_one(ledger, look))) {
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
    char why[ERROR_BYTES] = "";
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
    char why[ERROR_BYTES] = "";
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

/* When this instance starts, by the clock, and after whoever `before` is of. */
static uint64_t start_after(const struct transaction_look *before)
{
    uint64_t now = clock_wall_ms();

    return now > before->started ? now : before->started + 1;
}

/* At start: takes the next epoch, which fences whoever had the one before, whom `look` tells. If
 * the outcome gets lost, doing it again only skips an epoch. */
static enum ledger_result begin_epoch(struct ledger *ledger, struct transaction_look look)
{
    enum ledger_result result;
    bool begun;

    transaction_append_begin(&ledger->resp, ledger->key, ledger->owner, start_after(&look));
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
    ledger->started = look.started;
    ledger->committed = look.batch;
    ledger->position = POSITION_READY;
    ledger->last_commit_ms = clock_now_ms();
    stats_set(&ledger->stats->redis_up, 1);
    return LEDGER_OK;
}

/* Opens the connection. */
static enum ledger_result connect_to_redis(struct ledger *ledger)
{
    char why[ERROR_BYTES], address[ERROR_BYTES];

    ledger->context = redis_open(ledger->options, &ledger->resolver, ledger->timeout_ms, why);
    if (!ledger->context)
        return ledger_unavailable(ledger, redis_address(ledger->options, address), why);
    ledger->examined = false;
    stats_add(&ledger->stats->redis_connects, 1);
    replies_spare(&ledger->replies, ledger->context->reader);
    return LEDGER_OK;
}

/* Sends a look and judges it; the first one of all begins an epoch. */
static enum ledger_result look_at_ledger(struct ledger *ledger)
{
    struct transaction_look look;
    enum ledger_result result;

    transaction_append_look(&ledger->resp, ledger->key);
    if (transaction_send(ledger->context, &ledger->resp))
        return ledger_broken(ledger, "reading the ledger");
    if (ledger->epoch)
        return ledger_receive_position(ledger);
    if ((result = receive_look(ledger, &look)) != LEDGER_OK)
        return result;
    return begin_epoch(ledger, look);
}

enum ledger_result ledger_locate(struct ledger *ledger)
{
    enum ledger_result result;

    if (ledger->position != POSITION_UNKNOWN)
        return LEDGER_OK;
    if (!ledger->context && (result = connect_to_redis(ledger)) != LEDGER_OK)
        return result;
    if ((result = look_at_ledger(ledger)) != LEDGER_OK)
        return result;
    if (ledger->examined)
        return LEDGER_OK;
    /* Not before the look: a Redis that cannot be used yet would be warned of with each try. */
    redis_warn_of_loss(ledger->options, ledger->context);
    ledger->examined = true;
    return ledger->context->err ? ledger_broken(ledger, "reading INFO") : LEDGER_OK;
}
