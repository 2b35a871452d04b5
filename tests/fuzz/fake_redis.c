/*
 * See fake_redis.h. A connection has an inbox: bytes that it was sent and has not looked at. They
 * are looked at when an answer is waited for, so what stands in an inbox when its connection breaks
 * is what a real Redis may yet execute, at once, later, or never.
 */
#include "tests/fuzz/fake_redis.h"

#include "aggregator/replies.h"
#include "tests/fuzz/fuzz.h"

#include <hiredis.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define MAX_ARGS        16
#define MAX_CONNECTIONS 300
#define MAX_QUEUED      16
#define OUTPUT_BYTES    4096

struct command {
    size_t count;
    const char *at[MAX_ARGS];
    size_t length[MAX_ARGS];
};

struct connection {
    redisContext *context;                    /* NULL: given up */
    redisReader *shadow;                      /* reads the same with hiredis's own objects */
    redisReplyObjectFunctions usual, bounded; /* the shadow's */

    char *inbox;
    size_t inbox_used, inbox_read;
    bool in_multi, abort_exec, watching;
    uint64_t watched;          /* the version of the ledger then */
    size_t queued[MAX_QUEUED]; /* offsets of commands in the inbox */
    size_t queued_count;
    unsigned delay; /* steps until what is left in the inbox is executed; 0: never */

    /* What our side expects: the kinds of commands sent, of which `replies` were answered. */
    char *kinds; /* E: EXEC of a numbered transaction, e: another EXEC, L: a look, others */
    size_t kinds_used, replies;
    bool broken;
};

static struct {
    const uint8_t *script;
    size_t left;
    bool lies;
    uint8_t pattern;
    unsigned turn;
    struct fake_data data;
    uint64_t version;            /* of the ledger */
    struct fake_said said, next; /* next: of the transaction that is being put together */
    struct connection connections[MAX_CONNECTIONS];
    size_t count;
    char output[OUTPUT_BYTES];
    size_t output_used;
} fake;

/* ---- The script ----------------------------------------------------------------------------- */

uint8_t fake_redis_decide(void)
{
    if (!fake.left)
        return 0;
    fake.left--;
    return *fake.script++;
}

bool fake_redis_script_ended(void)
{
    return !fake.left;
}

struct fake_data *fake_redis_data(void)
{
    return &fake.data;
}

void fake_redis_touch_ledger(void)
{
    fake.version++;
}

const struct fake_said *fake_redis_said(void)
{
    return &fake.said;
}

/* ---- Redis ---------------------------------------------------------------------------------- */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    size_t room = OUTPUT_BYTES - fake.output_used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(fake.output + fake.output_used, room, format, args);
    va_end(args);
    FUZZ_CHECK(length >= 0 && (size_t)length < room);
    fake.output_used += (size_t)length;
}

static bool is(const struct command *command, size_t i, const char *text)
{
    return i < command->count && command->length[i] == strlen(text) &&
           memcmp(command->at[i], text, command->length[i]) == 0;
}

static uint64_t number(const struct command *command, size_t i)
{
    uint64_t value = 0;

    FUZZ_CHECK(i < command->count && command->length[i] > 0);
    for (size_t j = 0; j < command->length[i]; j++) {
        FUZZ_CHECK(command->at[i][j] >= '0' && command->at[i][j] <= '9');
        value = value * 10 + (uint64_t)(command->at[i][j] - '0');
    }
    return value;
}

/* Reads one command that stands whole at an offset of some bytes. Returns its length, or 0. */
static size_t read_command(const char *bytes, size_t length, struct command *command)
{
    size_t at = 0;
    char *end;

    *command = (struct command){0};
    for (size_t i = 0, count = 1; i <= count; i++) { /* the line of the count, then the arguments */
        const char *line = bytes + at, *newline = memchr(line, '\n', length - at);
        unsigned long value;

        if (!newline)
            return 0;
        value = strtoul(line + 1, &end, 10);
        FUZZ_CHECK(*line == (i ? '$' : '*') && end == newline - 1 && *end == '\r');
        at += (size_t)(newline + 1 - line);
        if (i == 0) {
            FUZZ_CHECK(value > 0 && value <= MAX_ARGS);
            command->count = count = value;
            continue;
        }
        if (length - at < value + 2)
            return 0;
        command->at[i - 1] = bytes + at;
        command->length[i - 1] = value;
        FUZZ_CHECK(memcmp(bytes + at + value, "\r\n", 2) == 0);
        at += value + 2;
    }
    return at;
}

/* The hash that a key names, or FAKE_HASHES for the ledger. */
static enum fake_hash hash_of(const struct command *command)
{
    if (is(command, 1, FAKE_KEY))
        return FAKE_COUNTS;
    if (is(command, 1, FAKE_KEY ":quarantine"))
        return FAKE_QUARANTINE;
    FUZZ_CHECK(is(command, 1, FAKE_KEY ":ledger:" FAKE_INSTANCE));
    return FAKE_HASHES;
}

static struct fake_field *field_of(const struct command *command, size_t i)
{
    unsigned device = (unsigned)(*command->at[i] - 'a');

    FUZZ_CHECK(command->length[i] == 1 && device < FAKE_DEVICES);
    return &fake.data.fields[hash_of(command)][device];
}

static void say_ledger_field(uint64_t value)
{
    char text[24];

    if (!value) {
        say("$-1\r\n");
        return;
    }
    snprintf(text, sizeof text, "%" PRIu64, value);
    say("$%zu\r\n%s\r\n", strlen(text), text);
}

static void hmget(const struct command *command)
{
    enum fake_hash hash = hash_of(command);
    char text[24];

    if (hash < FAKE_HASHES && fake.data.wrong_type[hash]) {
        say("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
        return;
    }
    say("*%zu\r\n", command->count - 2);
    if (hash == FAKE_HASHES) {
        FUZZ_CHECK(is(command, 2, "epoch") && is(command, 3, "owner") && is(command, 4, "batch"));
        say_ledger_field(fake.data.epoch);
        say_ledger_field(fake.data.owner);
        say_ledger_field(fake.data.batch);
        return;
    }
    for (size_t i = 2; i < command->count; i++) {
        const struct fake_field *field = field_of(command, i);

        snprintf(text, sizeof text, field->is_text ? "text" : "%" PRId64, field->count);
        say("$%zu\r\n%s\r\n", strlen(text), text);
    }
}

static void hincrby(const struct command *command)
{
    enum fake_hash hash = hash_of(command);
    struct fake_field *field;
    int64_t sum;

    if (hash == FAKE_HASHES) {
        FUZZ_CHECK(is(command, 2, "epoch"));
        fake.data.epoch += number(command, 3);
        fake.version++;
        say(":%" PRIu64 "\r\n", fake.data.epoch);
        return;
    }
    field = field_of(command, 2);
    if (fake.data.wrong_type[hash]) {
        say("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    } else if (field->is_text) {
        say("-ERR hash value is not an integer\r\n");
    } else if (__builtin_add_overflow(field->count, (int64_t)number(command, 3), &sum)) {
        say("-ERR increment or decrement would overflow\r\n");
    } else {
        field->count = sum;
        say(":%" PRId64 "\r\n", sum);
    }
}

static void hset(const struct command *command)
{
    FUZZ_CHECK(hash_of(command) == FAKE_HASHES);
    for (size_t i = 2; i + 1 < command->count; i += 2) {
        uint64_t *field = is(command, i, "epoch")   ? &fake.data.epoch
                          : is(command, i, "owner") ? &fake.data.owner
                                                    : &fake.data.batch;

        *field = number(command, i + 1);
    }
    fake.version++;
    say(":0\r\n");
}

static void execute(const struct command *command)
{
    if (is(command, 0, "HMGET")) {
        hmget(command);
    } else if (is(command, 0, "HINCRBY")) {
        hincrby(command);
    } else if (is(command, 0, "HSET")) {
        hset(command);
    } else {
        FUZZ_CHECK(is(command, 0, "EXPIRE") && hash_of(command) == FAKE_HASHES);
        fake.version++;
        say(":1\r\n");
    }
}

static void exec(struct connection *connection)
{
    struct command command;

    if (!connection->in_multi) {
        say("-ERR EXEC without MULTI\r\n");
    } else if (connection->abort_exec) {
        say("-EXECABORT Transaction discarded because of previous errors.\r\n");
    } else if (connection->watching && connection->watched != fake.version) {
        say("*-1\r\n");
    } else {
        say("*%zu\r\n", connection->queued_count);
        for (size_t i = 0; i < connection->queued_count; i++) {
            if (read_command(connection->inbox + connection->queued[i],
                             connection->inbox_used - connection->queued[i], &command))
                execute(&command);
        }
    }
    connection->in_multi = connection->abort_exec = connection->watching = false;
    connection->queued_count = 0;
}

/* Takes one command out of the inbox, and answers to fake.output. False when there is none. */
static bool serve(struct connection *connection)
{
    struct command command;
    size_t length = read_command(connection->inbox + connection->inbox_read,
                                 connection->inbox_used - connection->inbox_read, &command);

    if (!length)
        return false;
    connection->inbox_read += length;
    if (is(&command, 0, "EXEC")) {
        exec(connection);
    } else if (is(&command, 0, "MULTI")) {
        FUZZ_CHECK(!connection->in_multi);
        connection->in_multi = true;
        say("+OK\r\n");
    } else if (is(&command, 0, "WATCH")) {
        FUZZ_CHECK(!connection->in_multi && hash_of(&command) == FAKE_HASHES);
        if (!connection->watching)
            connection->watched = fake.version;
        connection->watching = true;
        say("+OK\r\n");
    } else if (!connection->in_multi) {
        execute(&command);
    } else if (fake.data.out_of_memory && is(&command, 0, "HINCRBY")) {
        connection->abort_exec = true;
        say("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    } else {
        FUZZ_CHECK(connection->queued_count < MAX_QUEUED);
        connection->queued[connection->queued_count++] = connection->inbox_read - length;
        say("+QUEUED\r\n");
    }
    return true;
}

/* ---- Connections given up ------------------------------------------------------------------- */

static void serve_rest(struct connection *connection)
{
    do
        fake.output_used = 0;
    while (serve(connection));
    fake.output_used = 0;
    connection->delay = 0;
}

/* A step in time: what was left behind on connections given up may be executed. */
static void pass_time(void)
{
    for (size_t i = 0; i < fake.count; i++) {
        struct connection *connection = &fake.connections[i];

        if (!connection->context && connection->delay > 0 && --connection->delay == 0)
            serve_rest(connection);
    }
}

static void give_up(struct connection *connection)
{
    uint8_t fate = fake_redis_decide();

    if (connection->shadow)
        redisReaderFree(connection->shadow);
    connection->shadow = NULL;
    connection->context = NULL;
    if (fate & 1)
        connection->delay = 1 + (fate >> 1 & 31);
}

void fake_redis_start(const uint8_t *script, size_t length, bool lies, uint8_t cut_pattern)
{
    memset(&fake.data, 0, sizeof fake.data);
    memset(&fake.said, 0, sizeof fake.said);
    memset(&fake.next, 0, sizeof fake.next);
    fake.version = 0;
    fake.turn = 0;
    fake.count = 0;
    fake.script = script;
    fake.left = length;
    fake.lies = lies;
    fake.pattern = cut_pattern;
}

void fake_redis_settle(void)
{
    for (size_t i = 0; i < fake.count; i++) {
        if (!fake.connections[i].context && fake.connections[i].delay > 0)
            serve_rest(&fake.connections[i]);
    }
}

void fake_redis_stop(void)
{
    for (size_t i = 0; i < fake.count; i++) {
        free(fake.connections[i].inbox);
        free(fake.connections[i].kinds);
        if (fake.connections[i].shadow)
            redisReaderFree(fake.connections[i].shadow);
    }
    fake.count = 0;
}

/* ---- What hiredis is to tallyd -------------------------------------------------------------- */

/* The newest connection is the only one in use. */
static struct connection *connection_of(const redisContext *context)
{
    struct connection *connection = fake.count ? &fake.connections[fake.count - 1] : NULL;

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
    struct connection *connection;

    (void)host;
    (void)port;
    (void)timeout;
    FUZZ_CHECK(context);
    context->fd = -1;
    context->reader = redisReaderCreate();
    if (fake.count > 0 && fake.connections[fake.count - 1].context)
        give_up(&fake.connections[fake.count - 1]);
    pass_time();
    if (fake.count == MAX_CONNECTIONS) {
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

static void fail(struct connection *connection, const char *why)
{
    connection->broken = true;
    connection->context->err = REDIS_ERR_IO;
    snprintf(connection->context->errstr, sizeof connection->context->errstr, "%s", why);
}

/* Notes what each command is, to know what its answer is for. */
static void note_sent(struct connection *connection, const char *bytes, size_t length)
{
    struct fake_said *next = &fake.next;
    struct command command;

    for (size_t used; (used = read_command(bytes, length, &command)) > 0; length -= used) {
        char kind = ' ';

        bytes += used;
        if (is(&command, 0, "MULTI")) {
            *next = (struct fake_said){0};
        } else if (is(&command, 0, "EXEC")) {
            kind = next->sent_owner ? 'E' : 'e';
            if (next->sent_owner && (next->sent != fake.said.sent || !fake.said.sent_owner))
                fake.said = *next;
        } else if (is(&command, 0, "HMGET") && hash_of(&command) == FAKE_HASHES) {
            kind = 'L';
        } else {
            next->commands++;
        }
        if (is(&command, 0, "HSET") && is(&command, 6, "batch")) {
            next->sent_owner = number(&command, 5);
            next->sent = number(&command, 7);
        }
        connection->kinds = realloc(connection->kinds, connection->kinds_used + 1);
        FUZZ_CHECK(connection->kinds);
        connection->kinds[connection->kinds_used++] = kind;
    }
    FUZZ_CHECK(length == 0); /* it sends whole commands */
}

int redisAppendFormattedCommand(redisContext *context, const char *bytes, size_t length)
{
    struct connection *connection = connection_of(context);
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

static void lie_number(uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    say("$%zu\r\n%s\r\n", strlen(text), text);
}

/* Says what no Redis would say here. */
static void lie(unsigned kind)
{
    static const char *const answers[] = {
        "*-1\r\n",
        "$-1\r\n",
        ":1\r\n",
        "+OK\r\n",
        "+QUEUED\r\n",
        "-EXECABORT x\r\n",
        "-ERR x\r\n",
        "*0\r\n",
        "",
        "$4\r\ntext\r\n",
        "-WRONGTYPE\r\n",
        "*2147483647\r\n",
        "-\r\n",
        "*1\r\n*1\r\n*1\r\n:1\r\n",
    };
    uint8_t detail = fake_redis_decide();

    switch (kind % 5) {
    case 0:
        say("%s", answers[detail % (sizeof answers / sizeof *answers)]);
        break;
    case 1: /* an array of simple answers, as EXEC's is */
        say("*%u\r\n", detail % 8u);
        for (unsigned i = 0; i < detail % 8u; i++)
            say("%s", detail < 128 ? ":7\r\n" : answers[fake_redis_decide() % 7]);
        break;
    case 2: /* a ledger, and maybe the right one */
        say("*3\r\n");
        lie_number(detail & 64 ? fake.data.epoch : detail);
        lie_number(detail & 128 ? fake.data.owner : fake.said.sent_owner);
        lie_number(fake.said.sent + (detail & 3) - 1);
        break;
    case 3: /* the same, as numbers */
        say("*3\r\n:%u\r\n:%" PRIu64 "\r\n:%" PRIu64 "\r\n", detail, fake.data.owner,
            fake.said.sent);
        break;
    default: /* any bytes */
        for (unsigned i = 0; i < detail % 64u && !fake_redis_script_ended(); i++)
            say("%c", fake_redis_decide());
    }
}

/* Puts the answer to the next command into fake.output; false when the connection is at its end. */
static bool answer(struct connection *connection)
{
    uint8_t fate = fake_redis_decide();

    fake.output_used = 0;
    pass_time();
    if (fate % 16 == 15) { /* the answer gets lost, whether Redis executes the command or not */
        if (fate & 16)
            serve(connection);
        fake.output_used = 0;
        fail(connection, "closed");
        return false;
    }
    if (!serve(connection)) {
        fail(connection, "timed out");
        return false;
    }
    if (fate % 16 == 14) { /* part of it gets through */
        fake.output_used = fate / 16 * fake.output_used / 16;
        fail(connection, "closed amid an answer");
    } else if (fake.lies && fate % 16 >= 8) {
        fake.output_used = 0;
        lie(fate);
    }
    return true;
}

static void feed(struct connection *connection)
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
    } else if (kind == 'L' && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
               digits(reply->element[1], &owner) && digits(reply->element[2], &batch)) {
        fake.said.looked |= owner == fake.said.sent_owner && batch == fake.said.sent;
    }
}

int redisGetReply(redisContext *context, void **reply)
{
    struct connection *connection = connection_of(context);
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
