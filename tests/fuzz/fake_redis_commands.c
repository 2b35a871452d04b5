/* What Redis does with a command; see fake_redis_private.h. */
#include "tests/fuzz/fake_redis_private.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

void fake_redis_say(const char *format, ...)
{
    size_t room = FAKE_OUTPUT_BYTES - fake.output_used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(fake.output + fake.output_used, room, format, args);
    va_end(args);
    FUZZ_CHECK(length >= 0 && (size_t)length < room);
    fake.output_used += (size_t)length;
}

bool fake_redis_is(const struct fake_command *command, size_t i, const char *text)
{
    return i < command->count && command->length[i] == strlen(text) &&
           memcmp(command->at[i], text, command->length[i]) == 0;
}

uint64_t fake_redis_number(const struct fake_command *command, size_t i)
{
    uint64_t value = 0;

    FUZZ_CHECK(i < command->count && command->length[i] > 0);
    for (size_t j = 0; j < command->length[i]; j++) {
        FUZZ_CHECK(command->at[i][j] >= '0' && command->at[i][j] <= '9');
        value = value * 10 + (uint64_t)(command->at[i][j] - '0');
    }
    return value;
}

size_t fake_redis_read(const char *bytes, size_t length, struct fake_command *command)
{
    size_t at = 0;
    char *end;

    *command = (struct fake_command){0};
    for (size_t i = 0, count = 1; i <= count; i++) { /* the line of the count, then the arguments */
        const char *line = bytes + at, *newline = memchr(line, '\n', length - at);
        unsigned long value;

        if (!newline)
            return 0;
        value = strtoul(line + 1, &end, 10);
        FUZZ_CHECK(*line == (i ? '$' : '*') && end == newline - 1 && *end == '\r');
        at += (size_t)(newline + 1 - line);
        if (i == 0) {
            FUZZ_CHECK(value > 0 && value <= FAKE_MAX_ARGS);
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

enum fake_hash fake_redis_hash(const struct fake_command *command)
{
    if (fake_redis_is(command, 1, FAKE_KEY))
        return FAKE_COUNTS;
    if (fake_redis_is(command, 1, FAKE_KEY ":quarantine"))
        return FAKE_QUARANTINE;
    FUZZ_CHECK(fake_redis_is(command, 1, FAKE_KEY ":ledger:" FAKE_INSTANCE));
    return FAKE_HASHES;
}

static struct fake_field *field_of(const struct fake_command *command, size_t i)
{
    unsigned device = (unsigned)(*command->at[i] - 'a');

    FUZZ_CHECK(command->length[i] == 1 && device < FAKE_DEVICES);
    return &fake.data.fields[fake_redis_hash(command)][device];
}

static void say_ledger_field(uint64_t value)
{
    char text[24];

    if (!value) {
        fake_redis_say("$-1\r\n");
        return;
    }
    snprintf(text, sizeof text, "%" PRIu64, value);
    fake_redis_say("$%zu\r\n%s\r\n", strlen(text), text);
}

static void hmget(const struct fake_command *command)
{
    enum fake_hash hash = fake_redis_hash(command);
    char text[24];

    if (hash < FAKE_HASHES && fake.data.wrong_type[hash]) {
        fake_redis_say("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
        return;
    }
    fake_redis_say("*%zu\r\n", command->count - 2);
    if (hash == FAKE_HASHES) {
        FUZZ_CHECK(fake_redis_is(command, 2, "epoch") && fake_redis_is(command, 3, "owner") &&
                   fake_redis_is(command, 4, "batch") && fake_redis_is(command, 5, "started"));
        say_ledger_field(fake.data.epoch);
        say_ledger_field(fake.data.owner);
        say_ledger_field(fake.data.batch);
        say_ledger_field(fake.data.started);
        return;
    }
    for (size_t i = 2; i < command->count; i++) {
        const struct fake_field *field = field_of(command, i);

        snprintf(text, sizeof text, field->is_text ? "text" : "%" PRId64, field->count);
        fake_redis_say("$%zu\r\n%s\r\n", strlen(text), text);
    }
}

static void hincrby(const struct fake_command *command)
{
    enum fake_hash hash = fake_redis_hash(command);
    struct fake_field *field;
    int64_t sum;

    if (hash == FAKE_HASHES) {
        FUZZ_CHECK(fake_redis_is(command, 2, "epoch"));
        fake.data.epoch += fake_redis_number(command, 3);
        fake.version++;
        fake_redis_say(":%" PRIu64 "\r\n", fake.data.epoch);
        return;
    }
    field = field_of(command, 2);
    if (fake.data.wrong_type[hash]) {
        fake_redis_say("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    } else if (field->is_text) {
        fake_redis_say("-ERR hash value is not an integer\r\n");
    } else if (__builtin_add_overflow(field->count, (int64_t)fake_redis_number(command, 3), &sum)) {
        fake_redis_say("-ERR increment or decrement would overflow\r\n");
    } else {
        field->count = sum;
        fake_redis_say(":%" PRId64 "\r\n", sum);
    }
}

static void hset(const struct fake_command *command)
{
    FUZZ_CHECK(fake_redis_hash(command) == FAKE_HASHES);
    for (size_t i = 2; i + 1 < command->count; i += 2) {
        uint64_t *field = fake_redis_is(command, i, "epoch")     ? &fake.data.epoch
                          : fake_redis_is(command, i, "owner")   ? &fake.data.owner
                          : fake_redis_is(command, i, "started") ? &fake.data.started
                                                                 : &fake.data.batch;

        *field = fake_redis_number(command, i + 1);
    }
    fake.version++;
    fake_redis_say(":0\r\n");
}

static void execute(const struct fake_command *command)
{
    if (fake_redis_is(command, 0, "HMGET")) {
        hmget(command);
    } else if (fake_redis_is(command, 0, "HINCRBY")) {
        hincrby(command);
    } else if (fake_redis_is(command, 0, "HSET")) {
        hset(command);
    } else {
        FUZZ_CHECK(fake_redis_is(command, 0, "EXPIRE") && fake_redis_hash(command) == FAKE_HASHES);
        fake.version++;
        fake_redis_say(":1\r\n");
    }
}

static void exec(struct fake_connection *connection)
{
    struct fake_command command;

    if (!connection->in_multi) {
        fake_redis_say("-ERR EXEC without MULTI\r\n");
    } else if (connection->abort_exec) {
        fake_redis_say("-EXECABORT Transaction discarded because of previous errors.\r\n");
    } else if (connection->watching && connection->watched != fake.version) {
        fake_redis_say("*-1\r\n");
    } else {
        fake_redis_say("*%zu\r\n", connection->queued_count);
        for (size_t i = 0; i < connection->queued_count; i++) {
            if (fake_redis_read(connection->inbox + connection->queued[i],
                                connection->inbox_used - connection->queued[i], &command))
                execute(&command);
        }
    }
    connection->in_multi = connection->abort_exec = connection->watching = false;
    connection->queued_count = 0;
}

bool fake_redis_serve(struct fake_connection *connection)
{
    struct fake_command command;
    size_t length = fake_redis_read(connection->inbox + connection->inbox_read,
                                    connection->inbox_used - connection->inbox_read, &command);

    if (!length)
        return false;
    connection->inbox_read += length;
    if (fake_redis_is(&command, 0, "EXEC")) {
        exec(connection);
    } else if (fake_redis_is(&command, 0, "MULTI")) {
        FUZZ_CHECK(!connection->in_multi);
        connection->in_multi = true;
        fake_redis_say("+OK\r\n");
    } else if (fake_redis_is(&command, 0, "WATCH")) {
        FUZZ_CHECK(!connection->in_multi && fake_redis_hash(&command) == FAKE_HASHES);
        if (!connection->watching)
            connection->watched = fake.version;
        connection->watching = true;
        fake_redis_say("+OK\r\n");
    } else if (!connection->in_multi) {
        execute(&command);
    } else if (fake.data.out_of_memory && fake_redis_is(&command, 0, "HINCRBY")) {
        connection->abort_exec = true;
        fake_redis_say("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    } else {
        FUZZ_CHECK(connection->queued_count < FAKE_MAX_QUEUED);
        connection->queued[connection->queued_count++] = connection->inbox_read - length;
        fake_redis_say("+QUEUED\r\n");
    }
    return true;
}
