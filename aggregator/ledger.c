/*
 * The commit protocol, step by step; ledger_position.c has the first two.
 *
 *   position  What the ledger said when it was last read, under a WATCH that is still armed:
 *             nothing yet (UNKNOWN), "batch n is not in" (READY), "batch n is in" (APPLIED), "a
 *             later instance of my name has started" (FENCED). n is always committed + 1.
 *             ledger_position.c has how that is judged, and what a Redis that lost data makes of
 *             it.
 *   locate    Reaches READY or APPLIED from UNKNOWN: connect, WATCH ledger, HMGET ledger.
 *   transact  From READY: sends MULTI and the HINCRBYs, unless they were sent ahead; then HSET
 *             ledger, EXPIRE, EXEC, and behind it WATCH and HMGET, which give the next position in
 *             the same round trip; and ahead of time MULTI and the HINCRBYs of the batch behind it.
 *   verify    From APPLIED: the transaction went in, but its reply was lost; finds out which of
 *             its HINCRBYs Redis refused.
 *
 * Why a batch cannot go in twice: an EXEC is sent only from READY, that is, after the ledger
 * was read without n and with the WATCH armed before that read. Should any other transaction that
 * carries n (our own, late, from a connection given up) be executed in between, it changes the
 * ledger, so ours returns nil; and should ours be first, it changes the ledger under the other's
 * WATCH. Of all the transactions with number n, one goes in.
 *
 * Why counts may be sent ahead: Redis only queues what stands behind a MULTI, and forgets it with
 * the connection. (Should MULTI be refused, by an ACL, it would execute them at once: they are sent
 * ahead only behind a batch whose own MULTI was taken. Rights that are taken away between the two
 * could still double a batch.) Until its EXEC is sent a batch is not in
 * flight, whatever Redis holds of it. The look comes before the MULTI, since Redis refuses
 * WATCH within one; so the guard covers the counts sent ahead as it covers all others. When the
 * batch before them turns out not to be in, something must be asked that cannot be asked
 * within a MULTI, so the connection is given up. Sending while replies wait to be read cannot end
 * in two sides that wait for each other: Redis keeps replies in memory and goes on reading, and no
 * send waits longer than the timeout.
 *
 * Why a batch is not lost: committed grows only on EXEC's own reply, or on APPLIED.
 *
 * The ledger expires some days after its instance's last sign of life, so that the ledgers of
 * instances long dead go away by themselves; a living one renews it with every batch, and now and
 * then when nothing comes.
 */
#include "aggregator/ledger_private.h"
#include "aggregator/transaction.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HEARTBEAT_MS (3600 * 1000) /* of a ledger that expires after days: see transaction.c */
#define MAX_ATTEMPTS 3             /* in one call; each but the first follows a tripped guard */
#define TIMEOUT_MS   3000          /* until ledger_set_timeout() */

_Static_assert(BATCH_MAX + TRANSACTION_COMMIT_RESULTS <= REPLIES_MAX_ELEMENTS,
               "the reply to a full batch is an array that is taken");

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
    if (getrandom(&ledger->owner, sizeof ledger->owner, 0) != sizeof ledger->owner)
        goto err;
    ledger->owner |= 1; /* 0 would mean: nobody's */
    if (asprintf(&ledger->key, "%s:ledger:%s", options->key, instance) < 0)
        ledger->key = NULL;
    if (asprintf(&ledger->quarantine_key, "%s:quarantine", options->key) < 0)
        ledger->quarantine_key = NULL;
    if (!ledger->key || !ledger->quarantine_key)
        goto err;
    return ledger;

err:
    ledger_destroy(ledger);
    errno = ENOMEM;
    return NULL;
}

void ledger_destroy(struct ledger *ledger)
{
    if (!ledger)
        return;
    ledger_disconnect(ledger);
    resolver_fini(&ledger->resolver);
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
        ledger_disconnect(ledger);
}

bool ledger_unresolved(const struct ledger *ledger)
{
    return ledger->in_flight;
}

const char *ledger_error(const struct ledger *ledger)
{
    return ledger->error;
}

static const char *batch_key(const struct ledger *ledger, const struct batch *batch)
{
    return batch->quarantine ? ledger->quarantine_key : ledger->options->key;
}

static struct transaction_look as_it_should_be(const struct ledger *ledger)
{
    return (struct transaction_look){.epoch = ledger->epoch,
                                     .owner = ledger->owner,
                                     .batch = ledger->committed,
                                     .started = ledger->started};
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

/* NULL is an integer: see replies.h. */
static bool is_error(const redisReply *element)
{
    return element && element->type == REDIS_REPLY_ERROR;
}

/* Whether EXEC's reply says of `count` commands that each was executed: it added, or failed. */
static bool is_executed(const redisReply *exec, size_t count)
{
    if (exec->type != REDIS_REPLY_ARRAY || exec->elements != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (exec->element[i] && !is_error(exec->element[i]))
            return false;
    }
    return true;
}

/* EXEC ran the commands, each for itself: reads which of them failed. */
static void mark_refused(struct ledger *ledger, struct batch *batch, const redisReply *exec)
{
    const redisReply *hset = exec->element[batch->count];

    for (size_t i = 0; i < batch->count; i++)
        batch->entries[i].refused = is_error(exec->element[i]);
    if (is_error(hset))
        log_error("the ledger %s could not be written: %.200s", ledger->key, hset->str);
}

/* Sends what Redis has not got yet of a batch, up to its EXEC and the look behind. */
static int send_batch(struct ledger *ledger, const struct batch *batch)
{
    struct transaction_look after = as_it_should_be(ledger);

    after.batch++;
    if (ledger->ahead != batch)
        transaction_append_counts(&ledger->resp, batch_key(ledger, batch), batch);
    ledger->ahead = NULL;
    transaction_append_commit(&ledger->resp, ledger->key, &after);
    return transaction_send(ledger->context, &ledger->resp);
}

/* Sends the counts of the next batch, for Redis to queue. */
static int send_ahead(struct ledger *ledger, const struct batch *next)
{
    transaction_append_counts(&ledger->resp, batch_key(ledger, next), next);
    ledger->ahead = next;
    return transaction_send(ledger->context, &ledger->resp);
}

/* Sends the batch, and the counts of the next one (or NULL) while Redis executes it. Returns EXEC's
 * reply, with the first error before it in `why` ("" before); NULL when the connection failed. */
static redisReply *exchange(struct ledger *ledger, const struct batch *batch,
                            const struct batch *next, char why[ERROR_BYTES])
{
    redisContext *context = ledger->context;

    if (send_batch(ledger, batch) ||
        transaction_skip(context, TRANSACTION_COUNTS_REPLIES, why, ERROR_BYTES))
        return NULL;
    if (why[0])
        next = NULL; /* MULTI was refused, and without it Redis would not queue but execute */
    if ((next && send_ahead(ledger, next)) ||
        transaction_skip(context, batch->count + TRANSACTION_COMMIT_REPLIES, why, ERROR_BYTES))
        return NULL;
    return transaction_receive(context);
}

/* Judges EXEC's reply; `why` is the first error before it, or "". Sets *done when the batch is in.
 * LEDGER_OK without that means that the guard tripped. */
static enum ledger_result judge_exec(struct ledger *ledger, struct batch *batch, bool sent_before,
                                     const redisReply *exec, const char *why, bool *done)
{
    enum ledger_result result;

    *done = is_executed(exec, batch->count + TRANSACTION_COMMIT_RESULTS);
    if (*done) {
        mark_refused(ledger, batch, exec);
        note_committed(ledger);
        return LEDGER_OK;
    }
    if (exec->type == REDIS_REPLY_NIL) {
        ledger->in_flight = sent_before; /* this one, at least, is known not to be in */
        return LEDGER_OK;
    }
    if (exec->type != REDIS_REPLY_ERROR)
        return ledger_broken(ledger, "committing");
    /* EXECABORT: none of it is in. Another error (EXEC without MULTI, say) promises nothing. */
    if (strncmp(exec->str, "EXECABORT", 9) == 0)
        ledger->in_flight = sent_before;
    result = ledger_unavailable(ledger, "committing", why[0] ? why : transaction_error(exec));
    ledger_disconnect(ledger); /* it may be a replica by now, and the name lead elsewhere */
    return result;
}

/* Sends the batch and receives EXEC's reply and the next position. LEDGER_OK with *done false
 * means that the guard tripped, and the position tells what next. */
static enum ledger_result transact(struct ledger *ledger, struct batch *batch,
                                   const struct batch *next, bool *done)
{
    char why[ERROR_BYTES] = "";
    bool sent_before = ledger->in_flight;
    enum ledger_result result;
    redisReply *exec;

    *done = false;
    if (sent_before)
        stats_add(&ledger->stats->batches_resent, 1);
    ledger->in_flight = true;
    exec = exchange(ledger, batch, next, why);
    if (!exec)
        return ledger_broken(ledger, "committing");
    result = judge_exec(ledger, batch, sent_before, exec, why, done);
    replies_free(exec);

    ledger->position = POSITION_UNKNOWN;
    if (!*done && ledger->ahead)
        ledger_disconnect(ledger); /* nothing can be asked while its MULTI is open */
    if (ledger->context) {
        enum ledger_result looked = ledger_receive_position(ledger);

        if (result == LEDGER_OK && !*done)
            result = looked;
    }
    return result;
}

static bool are_fields(const redisReply *reply, size_t count)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!transaction_is_field(reply->element[i]))
            return false;
    }
    return true;
}

/* Asks for the fields of a batch, and judges each as HINCRBY did. */
static enum ledger_result find_refused(struct ledger *ledger, struct batch *batch)
{
    redisReply *fields;
    bool wrong_type;

    transaction_append_fields(&ledger->resp, batch_key(ledger, batch), batch);
    if (transaction_send(ledger->context, &ledger->resp) ||
        !(fields = transaction_receive(ledger->context)))
        return ledger_broken(ledger, "verifying a batch");
    wrong_type = fields->type == REDIS_REPLY_ERROR && strncmp(fields->str, "WRONGTYPE", 9) == 0;
    if (!wrong_type && !are_fields(fields, batch->count)) {
        replies_free(fields);
        return ledger_broken(ledger, "verifying a batch");
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct batch_entry *entry = &batch->entries[i];

        entry->refused = wrong_type || transaction_was_refused(fields->element[i], entry->delta);
    }
    replies_free(fields);
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

enum ledger_result ledger_commit(struct ledger *ledger, struct batch *batch,
                                 const struct batch *next)
{
    thread_assert_role(THREAD_FLUSHER);
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        bool unresolved = ledger->in_flight, done;
        enum ledger_result result = ledger_locate(ledger);

        if (result != LEDGER_OK)
            return result;
        if (ledger->position == POSITION_FENCED)
            return LEDGER_FENCED;
        if (ledger->position == POSITION_APPLIED)
            return verify(ledger, batch);
        if (unresolved && attempt == 0)
            stats_add(&ledger->stats->outcomes_not_applied, 1);
        result = transact(ledger, batch, next, &done);
        if (done || result != LEDGER_OK)
            return result;
    }
    return ledger_unavailable(ledger, "committing",
                              "something else keeps writing this instance's ledger");
}

/*
 * Writes the ledger as it should be, under the guard, with no counts: it then expires later, and
 * is there again after a rollback. It carries the number of the last batch, not one of its own, so
 * an outcome that nobody hears of changes nothing: before the next batch it is idempotent, and
 * after that the guard refuses it.
 */
static enum ledger_result renew(struct ledger *ledger)
{
    const struct transaction_look now = as_it_should_be(ledger);
    char why[ERROR_BYTES] = "";
    redisReply *exec;

    transaction_append_multi(&ledger->resp);
    transaction_append_commit(&ledger->resp, ledger->key, &now);
    if (transaction_send(ledger->context, &ledger->resp) ||
        transaction_skip(ledger->context, TRANSACTION_COUNTS_REPLIES + TRANSACTION_COMMIT_REPLIES,
                         why, sizeof why) ||
        !(exec = transaction_receive(ledger->context)))
        return ledger_broken(ledger, "renewing the ledger");
    if (exec->type == REDIS_REPLY_ARRAY) {
        ledger->rolled_back = false;
        ledger->last_commit_ms = clock_now_ms();
    }
    replies_free(exec);
    return ledger_receive_position(ledger);
}

enum ledger_result ledger_probe(struct ledger *ledger)
{
    enum ledger_result result;

    thread_assert_role(THREAD_FLUSHER);
    if (ledger->position == POSITION_READY) {
        transaction_append_look(&ledger->resp, ledger->key);
        if (transaction_send(ledger->context, &ledger->resp))
            return ledger_broken(ledger, "reading the ledger");
        result = ledger_receive_position(ledger);
    } else {
        result = ledger_locate(ledger);
    }
    if (result != LEDGER_OK)
        return result;
    if (ledger->position == POSITION_FENCED)
        return LEDGER_FENCED;
    if (ledger->rolled_back || clock_now_ms() - ledger->last_commit_ms > HEARTBEAT_MS)
        return renew(ledger);
    return LEDGER_OK;
}
