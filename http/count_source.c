/*
 * All counts are read by HSCAN, page by page, because one HGETALL of a million fields would block
 * Redis, and so every commit, for about a second. HSCAN returns each field that is there during
 * the whole scan at least once, and may repeat some; the snapshot keeps the last count of each.
 *
 * Every question here only reads, so one that failed on a connection left from before may be
 * asked again on a new one: Redis closes idle connections and restarts, and the next request
 * should not pay for that with an error.
 */
#include "http/count_source.h"

#include "aggregator/resolver.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/utf8.h"
#include "http/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields a page: large enough that round trips do not count, small enough that Redis, which was
 * measured to need one microsecond a field, is back at its other clients after two milliseconds. */
#define PAGE_FIELDS "2000"

struct count_source {
    const struct redis_options *options;
    struct resolver resolver;
    redisContext *context;      /* NULL: to be opened */
    struct log_limit bad_field; /* for its log line */
};

struct command {
    int argc;
    const char *argv[5];
    size_t lengths[5];
};

/* What one reading has come to so far. */
struct scan {
    struct snapshot *snapshot;
    char cursor[24]; /* an unsigned 64-bit number in decimal; "0" at the start and at the end */
    size_t left_out;
};

struct count_source *count_source_create(const struct redis_options *options)
{
    struct count_source *source = calloc(1, sizeof *source);

    if (source)
        source->options = options;
    return source;
}

static void disconnect(struct count_source *source)
{
    if (source->context)
        redisFree(source->context);
    source->context = NULL;
}

void count_source_destroy(struct count_source *source)
{
    if (!source)
        return;
    disconnect(source);
    resolver_fini(&source->resolver);
    free(source);
}

bool count_source_parse(const char *text, size_t length, int64_t *count)
{
    bool negative = length > 0 && text[0] == '-';
    const char *digit = text + negative, *end = text + length;
    uint64_t limit = (uint64_t)INT64_MAX + negative, value = 0;

    if (digit == end || (*digit == '0' && length > 1))
        return false;
    for (; digit < end; digit++) {
        unsigned add = (unsigned)(*digit - '0');

        if (add > 9 || value > (limit - add) / 10)
            return false;
        value = 10 * value + add;
    }
    *count = (int64_t)(negative ? 0 - value : value);
    return true;
}

static enum count_source_result unavailable(const struct count_source *source, const char *reason,
                                            char error[ERROR_BYTES])
{
    char address[ERROR_BYTES];

    snprintf(error, ERROR_BYTES,
             "Redis at %.150s is not available (%.200s): start it, or check the --redis options",
             redis_address(source->options, address), reason);
    return COUNT_SOURCE_UNAVAILABLE;
}

/* One command and its reply, which the caller frees. NULL with `error` when Redis is away; the
 * connection is closed then. */
static redisReply *ask_once(struct count_source *source, const struct command *command,
                            char error[ERROR_BYTES])
{
    char reason[ERROR_BYTES] = "";
    redisReply *reply = NULL;

    if (!source->context)
        source->context =
            redis_open(source->options, &source->resolver, COUNT_SOURCE_TIMEOUT_MS, reason);
    if (source->context) {
        reply = redisCommandArgv(source->context, command->argc, (const char **)command->argv,
                                 command->lengths);
        if (!reply && source->context->err == REDIS_ERR_IO && errno == EAGAIN)
            snprintf(reason, sizeof reason, "no answer within %d ms", COUNT_SOURCE_TIMEOUT_MS);
        else if (!reply)
            snprintf(reason, sizeof reason, "%.200s", source->context->errstr);
    }
    if (!reply) {
        disconnect(source);
        unavailable(source, reason, error);
    }
    return reply;
}

/* The same; a connection left from before may fail without that being an answer. */
static redisReply *ask(struct count_source *source, const struct command *command,
                       char error[ERROR_BYTES])
{
    bool old = source->context != NULL;
    redisReply *reply = ask_once(source, command, error);

    return reply || !old ? reply : ask_once(source, command, error);
}

/* What a reply that is not of the expected type means, in words. */
static enum count_source_result unexpected(const struct count_source *source,
                                           const redisReply *reply, char error[ERROR_BYTES])
{
    if (reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, "WRONGTYPE", 9)) {
        snprintf(error, ERROR_BYTES,
                 "the Redis key %.200s is not a hash: rename or delete it, or choose another "
                 "--redis-key",
                 source->options->key);
        return COUNT_SOURCE_WRONG;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(error, ERROR_BYTES, "Redis refused to answer: %.300s", reply->str);
        return COUNT_SOURCE_UNAVAILABLE;
    }
    snprintf(error, ERROR_BYTES, "Redis sent a reply of an unexpected type, %d", reply->type);
    return COUNT_SOURCE_UNAVAILABLE;
}

/* Takes one page's fields into the snapshot. Returns 0, or -ENOMEM. */
static int take_page(struct scan *scan, const redisReply *fields)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];
        int64_t count;
        int result;

        if (!utf8_is_valid((const uint8_t *)name->str, name->len) ||
            !count_source_parse(value->str, value->len, &count)) {
            scan->left_out++;
            continue;
        }
        result = snapshot_add(scan->snapshot, name->str, name->len, count);
        if (result == -ENOMEM)
            return result;
        scan->left_out += result != 0;
    }
    return 0;
}

static enum count_source_result memory_short(char error[ERROR_BYTES])
{
    snprintf(error, ERROR_BYTES, "memory is short for all counts; ask for one device");
    return COUNT_SOURCE_UNAVAILABLE;
}

/* Asks for the page at the cursor, takes it and moves the cursor. Only the first page may be asked
 * for twice: after a restart Redis may hold the hash in another order, in which an old cursor
 * would skip fields. */
static enum count_source_result read_page(struct count_source *source, struct scan *scan,
                                          char error[ERROR_BYTES])
{
    const char *key = source->options->key;
    struct command command = {
        .argc = 5,
        .argv = {"HSCAN", key, scan->cursor, "COUNT", PAGE_FIELDS},
        .lengths = {5, strlen(key), strlen(scan->cursor), 5, strlen(PAGE_FIELDS)},
    };
    bool first = !strcmp(scan->cursor, "0");
    redisReply *reply = first ? ask(source, &command, error) : ask_once(source, &command, error);
    enum count_source_result result = COUNT_SOURCE_OK;

    if (!reply)
        return COUNT_SOURCE_UNAVAILABLE;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY) {
        result = unexpected(source, reply, error);
    } else if (take_page(scan, reply->element[1])) {
        result = memory_short(error);
    } else {
        snprintf(scan->cursor, sizeof scan->cursor, "%s", reply->element[0]->str);
    }
    freeReplyObject(reply);
    return result;
}

static enum count_source_result read_pages(struct count_source *source, const atomic_bool *stop,
                                           struct scan *scan, char error[ERROR_BYTES])
{
    uint64_t deadline_ms = clock_now_ms() + COUNT_SOURCE_READ_TIMEOUT_MS;
    enum count_source_result result;

    do {
        result = read_page(source, scan, error);
        if (result == COUNT_SOURCE_OK && atomic_load(stop)) {
            snprintf(error, ERROR_BYTES, "tallyd is stopping");
            result = COUNT_SOURCE_UNAVAILABLE;
        }
        if (result == COUNT_SOURCE_OK && clock_now_ms() > deadline_ms)
            result = unavailable(source, "reading all counts took too long", error);
    } while (result == COUNT_SOURCE_OK && strcmp(scan->cursor, "0") != 0);
    return result;
}

enum count_source_result count_source_read_all(struct count_source *source, const atomic_bool *stop,
                                               const struct snapshot *before,
                                               struct snapshot **snapshot, char error[ERROR_BYTES])
{
    struct scan scan = {.snapshot = snapshot_create(), .cursor = "0"};
    enum count_source_result result;

    if (!scan.snapshot)
        return memory_short(error);
    result = read_pages(source, stop, &scan, error);
    if (result == COUNT_SOURCE_OK && snapshot_seal(scan.snapshot, before))
        result = memory_short(error);
    if (result != COUNT_SOURCE_OK) {
        snapshot_destroy(scan.snapshot);
        return result;
    }
    if (scan.left_out)
        log_event(LOG_WARN, &(struct log_about){.kind = "bad_field", .limit = &source->bad_field},
                  "%zu fields of the Redis hash %s are left out of /metrics: their values are no "
                  "64-bit integers, or their names are empty, huge or not UTF-8",
                  scan.left_out, source->options->key);
    *snapshot = scan.snapshot;
    return COUNT_SOURCE_OK;
}

enum count_source_result count_source_get(struct count_source *source, const void *id,
                                          size_t id_length, int64_t *count, char error[ERROR_BYTES])
{
    const char *key = source->options->key;
    struct command command = {3, {"HGET", key, id}, {4, strlen(key), id_length}};
    redisReply *reply = ask(source, &command, error);
    enum count_source_result result;

    if (!reply)
        return COUNT_SOURCE_UNAVAILABLE;
    if (reply->type == REDIS_REPLY_NIL) {
        result = COUNT_SOURCE_NONE;
    } else if (reply->type != REDIS_REPLY_STRING) {
        result = unexpected(source, reply, error);
    } else if (count_source_parse(reply->str, reply->len, count)) {
        result = COUNT_SOURCE_OK;
    } else {
        snprintf(error, ERROR_BYTES,
                 "the field of this device in the Redis hash %.200s is not a 64-bit integer: "
                 "another program wrote it; set it to a number or delete it",
                 source->options->key);
        result = COUNT_SOURCE_WRONG;
    }
    freeReplyObject(reply);
    return result;
}

enum count_source_result count_source_ping(struct count_source *source, char error[ERROR_BYTES])
{
    struct command command = {1, {"PING"}, {4}};
    redisReply *reply = ask(source, &command, error);
    enum count_source_result result = COUNT_SOURCE_OK;

    if (!reply)
        return COUNT_SOURCE_UNAVAILABLE;
    if (reply->type != REDIS_REPLY_STATUS)
        result = unexpected(source, reply, error);
    freeReplyObject(reply);
    return result;
}
