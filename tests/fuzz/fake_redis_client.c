/*
 * What hiredis is to tallyd; see fake_redis_private.h. hiredis's reader is the real one. A second
 * one reads the same with hiredis's own objects, so that what tallyd was told can be judged without
 * its code.
 */
#include "aggregator/replies.h"
#include "tests/fuzz/fake_redis_private.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <string.h>

/* The newest connection is the only one in use. */
static struct fake_connection *connection_of(const redisContext *context)
{
    struct fake_connection *connection = fake.count ? &fake.connections[fake.count - 1] : NULL;

    FUZZ_CHECK(connection && connection->context == context);
    return connection;
}

/* hiredis's own, but for arrays that it would ask for too much memory for, as ours does. */
#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t elements)
#else
static void *create_array(const redisReadTask *task, int elements)
#endif
{
    redisReplyObjectFunctions *usual = task->privdata;

    return elements > REPLIES_MAX_ELEMENTS ? NULL : usual->createArray(task, elements);
}

redisContext *redisConnectWithTimeout(const char *host, int port, const struct timeval timeout)
{
    redisContext *context = calloc(1, sizeof *context);
    struct fake_connection *connection;

    (void)host;
    (void)port;
    (void)timeout;
    FUZZ_CHECK(context);
    context->fd = -1;
    context->reader = redisReaderCreate();
    if (fake.count > 0 && fake.connections[fake.count - 1].context)
        fake_redis_give_up(&fake.connections[fake.count - 1]);
    fake_redis_pass_time();
    if (fake.count == FAKE_MAX_CONNECTIONS) {
        context->err = REDIS_ERR_IO;
        strcpy(context->errstr, "no more connections");
        return context;
    }
    connection = &fake.connections[fake.count++];
    memset(connection, 0, sizeof *connection);
    connection->context = context;
    connection->shadow = redisReaderCreate();
    FUZZ_CHECK(context->reader && connection->shadow);
    connection->usual = connection->bounded = *connection->shadow->fn;
    connection->bounded.createArray = create_array;
    connection->shadow->fn = &connection->bounded;
    connection->shadow->privdata = &connection->usual;
    return context;
}

int redisSetTimeout(redisContext *context, const struct timeval timeout)
{
    (void)context;
    (void)timeout;
    return REDIS_OK;
}

/* What is asked of a new connection only: it has nothing to say. */
void *redisCommand(redisContext *context, const char *format, ...)
{
    (void)context;
    (void)format;
    return NULL;
}

static void fail(struct fake_connection *connection, const char *why)
{
    connection->broken = true;
    connection->context->err = REDIS_ERR_IO;
    snprintf(connection->context->errstr, sizeof connection->context->errstr, "%s", why);
}

/* Notes what each command is, to know what its answer is for. */
static void note_sent(struct fake_connection *connection, const char *bytes, size_t length)
{
    struct fake_said *next = &fake.next;
    struct fake_command command;

    for (size_t used; (used = fake_redis_read(bytes, length, &command)) > 0; length -= used) {
        char kind = ' ';

        bytes += used;
        if (fake_redis_is(&command, 0, "MULTI")) {
            *next = (struct fake_said){0};
        } else if (fake_redis_is(&command, 0, "EXEC")) {
            kind = next->sent_owner ? 'E' : 'e';
            if (next->sent_owner && (next->sent != fake.said.sent || !fake.said.sent_owner))
                fake.said = *next;
        } else if (fake_redis_is(&command, 0, "HMGET") &&
                   fake_redis_hash(&command) == FAKE_HASHES) {
            kind = 'L';
        } else {
            next->commands++;
        }
        if (fake_redis_is(&command, 0, "HSET") && fake_redis_is(&command, 6, "batch")) {
            next->sent_owner = fake_redis_number(&command, 5);
            next->sent = fake_redis_number(&command, 7);
        }
        connection->kinds = realloc(connection->kinds, connection->kinds_used + 1);
        FUZZ_CHECK(connection->kinds);
        connection->kinds[connection->kinds_used++] = kind;
    }
    FUZZ_CHECK(length == 0); /* it sends whole commands */
}

int redisAppendFormattedCommand(redisContext *context, const char *bytes, size_t length)
{
    struct fake_connection *connection = connection_of(context);
    size_t arrived = length;
    uint8_t fate = fake_redis_decide();

    FUZZ_CHECK(!connection->broken);
    note_sent(connection, bytes, length);
    if (fate % 8 == 7) { /* it breaks amid that */
        arrived = fate / 8 * length / 32;
        fail(connection, "broken while sending");
    }
    connection->inbox = realloc(connection->inbox, connection->inbox_used + arrived + 1);
    FUZZ_CHECK(connection->inbox);
    memcpy(connection->inbox + connection->inbox_used, bytes, arrived);
    connection->inbox_used += arrived;
    return REDIS_OK;
}

int redisBufferWrite(redisContext *context, int *done)
{
    *done = 1;
    return context->err ? REDIS_ERR : REDIS_OK;
}

/* Puts the answer to the next command into fake.output; false when the connection is at its end. */
static bool answer(struct fake_connection *connection)
{
    uint8_t fate = fake_redis_decide();

    fake.output_used = 0;
    fake_redis_pass_time();
    if (fate % 16 == 15) { /* the answer gets lost, whether Redis executes the command or not */
        if (fate & 16)
            fake_redis_serve(connection);
        fake.output_used = 0;
        fail(connection, "closed");
        return false;
    }
    if (!fake_redis_serve(connection)) {
        fail(connection, "timed out");
        return false;
    }
    if (fate % 16 == 14) { /* part of it gets through */
        fake.output_used = fate / 16 * fake.output_used / 16;
        fail(connection, "closed amid an answer");
    } else if (fake.lies && fate % 16 >= 8) {
        fake.output_used = 0;
        fake_redis_lie(fate);
    }
    return true;
}

static void feed(struct fake_connection *connection)
{
    for (size_t at = 0; at < fake.output_used;) {
        size_t bytes = fuzz_part_bytes(fake.pattern, fake.turn++, fake.output_used - at);

        redisReaderFeed(connection->context->reader, fake.output + at, bytes);
        redisReaderFeed(connection->shadow, fake.output + at, bytes);
        at += bytes;
    }
}

static bool digits(const redisReply *field, uint64_t *value)
{
    char text[24];

    *value = field->type == REDIS_REPLY_STRING ? strtoull(field->str, NULL, 10) : 0;
    snprintf(text, sizeof text, "%" PRIu64, *value);
    return field->type == REDIS_REPLY_STRING && field->len < sizeof text &&
           strspn(field->str, "0123456789") == field->len &&
           (strcmp(text, field->str) == 0 || *field->str == '0');
}

/* Judges what was answered, on its own. */
static void judge(char kind, const redisReply *reply)
{
    uint64_t owner, batch;

    if (kind == 'E') {
        bool all = reply->type == REDIS_REPLY_ARRAY && reply->elements == fake.said.commands;

        for (size_t i = 0; all && i < reply->elements; i++)
            all = reply->element[i]->type == REDIS_REPLY_INTEGER ||
                  reply->element[i]->type == REDIS_REPLY_ERROR;
        fake.said.executed |= all;
    } else if (kind == 'L' && reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
               digits(reply->element[1], &owner) && digits(reply->element[2], &batch)) {
        fake.said.looked |= owner == fake.said.sent_owner && batch == fake.said.sent;
    }
}

int redisGetReply(redisContext *context, void **reply)
{
    struct fake_connection *connection = connection_of(context);
    void *shadow = NULL;

    *reply = NULL;
    for (;;) {
        int result = redisReaderGetReply(context->reader, reply);

        FUZZ_CHECK(redisReaderGetReply(connection->shadow, &shadow) == result);
        FUZZ_CHECK(!*reply == !shadow);
        if (result != REDIS_OK)
            context->err = context->reader->err;
        if (result != REDIS_OK || *reply)
            break;
        if (connection->broken || !answer(connection))
            break;
        feed(connection);
    }
    if (!*reply) {
        context->err = context->err ? context->err : REDIS_ERR_IO;
        connection->broken = true;
        return REDIS_ERR;
    }
    FUZZ_CHECK(connection->replies < connection->kinds_used); /* it waits for what it asked */
    judge(connection->kinds[connection->replies++], shadow);
    freeReplyObject(shadow);
    return REDIS_OK;
}
