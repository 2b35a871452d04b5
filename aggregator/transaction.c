/* See transaction.h; ledger.c says why the pipelines are what they are. */
#include "aggregator/transaction.h"

#include "aggregator/replies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A ledger is gone so long after its instance's last sign of life. */
#define LEDGER_TTL_S (7 * 24 * 3600)

#define LAST_INT64 ((uint64_t)INT64_MAX)

/* ---- Rendering ------------------------------------------------------------------------------ */

static void render_word(struct resp *resp, const char *word)
{
    resp_command(resp, 1);
    resp_text(resp, word);
}

static void render_expire(struct resp *resp, const char *ledger_key)
{
    resp_command(resp, 3);
    resp_text(resp, "EXPIRE");
    resp_text(resp, ledger_key);
    resp_number(resp, LEDGER_TTL_S);
}

void transaction_append_look(struct resp *resp, const char *ledger_key)
{
    resp_command(resp, 2);
    resp_text(resp, "WATCH");
    resp_text(resp, ledger_key);
    resp_command(resp, 6);
    resp_text(resp, "HMGET");
    resp_text(resp, ledger_key);
    resp_text(resp, "epoch");
    resp_text(resp, "owner");
    resp_text(resp, "batch");
    resp_text(resp, "started");
}

void transaction_append_begin(struct resp *resp, const char *ledger_key, uint64_t owner,
                              uint64_t started)
{
    render_word(resp, "MULTI");
    resp_command(resp, 4);
    resp_text(resp, "HINCRBY");
    resp_text(resp, ledger_key);
    resp_text(resp, "epoch");
    resp_number(resp, 1);
    resp_command(resp, 6);
    resp_text(resp, "HSET");
    resp_text(resp, ledger_key);
    resp_text(resp, "owner");
    resp_number(resp, owner);
    resp_text(resp, "started");
    resp_number(resp, started);
    render_expire(resp, ledger_key);
    render_word(resp, "EXEC");
    transaction_append_look(resp, ledger_key);
}

void transaction_append_multi(struct resp *resp)
{
    render_word(resp, "MULTI");
}

void transaction_append_counts(struct resp *resp, const char *key, const struct batch *batch)
{
    size_t start, prefix = 0, length;

    transaction_append_multi(resp);
    start = resp->length;
    for (size_t i = 0; i < batch->count; i++) {
        const uint8_t *id = counter_id(batch->entries[i].counter, &length);

        if (i == 0) {
            resp_command(resp, 4);
            resp_text(resp, "HINCRBY");
            resp_text(resp, key);
            prefix = resp->length - start;
        } else {
            resp_again(resp, start, prefix);
        }
        resp_bytes(resp, id, length);
        resp_number(resp, batch->entries[i].delta);
    }
}

void transaction_append_commit(struct resp *resp, const char *ledger_key,
                               const struct transaction_look *ledger)
{
    resp_command(resp, 10);
    resp_text(resp, "HSET");
    resp_text(resp, ledger_key);
    resp_text(resp, "epoch");
    resp_number(resp, ledger->epoch);
    resp_text(resp, "owner");
    resp_number(resp, ledger->owner);
    resp_text(resp, "batch");
    resp_number(resp, ledger->batch);
    resp_text(resp, "started");
    resp_number(resp, ledger->started);
    render_expire(resp, ledger_key);
    render_word(resp, "EXEC");
    transaction_append_look(resp, ledger_key);
}

void transaction_append_fields(struct resp *resp, const char *key, const struct batch *batch)
{
    size_t length;

    resp_command(resp, batch->count + 2);
    resp_text(resp, "HMGET");
    resp_text(resp, key);
    for (size_t i = 0; i < batch->count; i++) {
        const uint8_t *id = counter_id(batch->entries[i].counter, &length);

        resp_bytes(resp, id, length);
    }
}

/* ---- Sending and receiving ------------------------------------------------------------------ */

int transaction_send(redisContext *context, struct resp *resp)
{
    bool whole = !resp->failed;
    int done = 0;

    if (whole)
        whole = redisAppendFormattedCommand(context, resp->bytes, resp->length) == REDIS_OK;
    resp_clear(resp);
    if (!whole)
        return -ENOMEM;
    while (!done) {
        if (redisBufferWrite(context, &done) != REDIS_OK)
            return -EIO;
    }
    return 0;
}

redisReply *transaction_receive(redisContext *context)
{
    void *reply;

    return redisGetReply(context, &reply) == REDIS_OK ? reply : NULL;
}

const char *transaction_error(const redisReply *reply)
{
    return *reply->str ? reply->str : "an error without a text";
}

int transaction_skip(redisContext *context, size_t count, char *why, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = transaction_receive(context);

        if (!reply)
            return -EIO;
        if (reply->type == REDIS_REPLY_ERROR && !why[0])
            snprintf(why, size, "%.200s", transaction_error(reply));
        replies_free(reply);
    }
    return 0;
}

/* ---- Reading -------------------------------------------------------------------------------- */

bool transaction_is_field(const redisReply *field)
{
    return field && (field->type == REDIS_REPLY_STRING || field->type == REDIS_REPLY_NIL);
}

/* Digits only, within 64 bits: what strtoull() would let through beside them is no number here. */
static bool read_number(const redisReply *field, uint64_t *number)
{
    *number = 0;
    if (!transaction_is_field(field))
        return false;
    if (field->type == REDIS_REPLY_NIL)
        return true;
    if (!field->len)
        return false;
    for (size_t i = 0; i < field->len; i++) {
        unsigned digit = (unsigned char)field->str[i] - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, digit, number))
            return false;
    }
    return true;
}

bool transaction_read_look(const redisReply *reply, struct transaction_look *look)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
           read_number(reply->element[0], &look->epoch) &&
           read_number(reply->element[1], &look->owner) &&
           read_number(reply->element[2], &look->batch) && look->batch <= LAST_INT64 &&
           read_number(reply->element[3], &look->started) && look->started <= LAST_INT64;
}

bool transaction_was_refused(const redisReply *field, uint64_t delta)
{
    char canonical[24];
    long long value;

    if (field->type != REDIS_REPLY_STRING)
        return false;
    errno = 0;
    value = strtoll(field->str, NULL, 10);
    snprintf(canonical, sizeof canonical, "%lld", value);
    if (errno || strcmp(canonical, field->str) != 0 || strlen(field->str) != field->len)
        return true;
    return value > 0 && (uint64_t)value > LAST_INT64 - delta;
}
