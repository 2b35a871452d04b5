/*
 * What the parts of the Redis in fake_redis.h share: fake_redis.c has the script and what becomes
 * of connections, fake_redis_commands.c what Redis does with a command, fake_redis_client.c what
 * hiredis is to tallyd, fake_redis_lies.c answers that no Redis gives.
 *
 * A connection has an inbox: bytes that it was sent and has not looked at. They are looked at when
 * an answer is waited for, so what stands in an inbox when its connection breaks is what a real
 * Redis may yet execute, at once, later, or never.
 */
#ifndef TALLYD_TESTS_FUZZ_FAKE_REDIS_PRIVATE_H
#define TALLYD_TESTS_FUZZ_FAKE_REDIS_PRIVATE_H

#include "tests/fuzz/fake_redis.h"

#include <hiredis.h>

#define FAKE_MAX_ARGS        16
#define FAKE_MAX_CONNECTIONS 300
#define FAKE_MAX_QUEUED      16
#define FAKE_OUTPUT_BYTES    4096

struct fake_command {
    size_t count;
    const char *at[FAKE_MAX_ARGS];
    size_t length[FAKE_MAX_ARGS];
};

struct fake_connection {
    redisContext *context;                    /* NULL: given up */
    redisReader *shadow;                      /* reads the same with hiredis's own objects */
    redisReplyObjectFunctions usual, bounded; /* the shadow's */

    char *inbox;
    size_t inbox_used, inbox_read;
    bool in_multi, abort_exec, watching;
    uint64_t watched;               /* the version of the ledger then */
    size_t queued[FAKE_MAX_QUEUED]; /* offsets of commands in the inbox */
    size_t queued_count;
    unsigned delay; /* steps until what is left in the inbox is executed; 0: never */

    /* What our side expects: the kinds of commands sent, of which `replies` were answered. */
    char *kinds; /* E: EXEC of a numbered transaction, e: another EXEC, L: a look, others */
    size_t kinds_used, replies;
    bool broken;
};

struct fake_redis {
    const uint8_t *script;
    size_t left;
    bool lies;
    uint8_t pattern;
    unsigned turn;
    struct fake_data data;
    uint64_t version;            /* of the ledger */
    struct fake_said said, next; /* next: of the transaction that is being put together */
    struct fake_connection connections[FAKE_MAX_CONNECTIONS];
    size_t count;
    char output[FAKE_OUTPUT_BYTES];
    size_t output_used;
};
extern struct fake_redis fake;

/* fake_redis.c */

/* A step in time: what was left behind on connections given up may be executed. */
void fake_redis_pass_time(void);

/* The client has no use for the connection any more. */
void fake_redis_give_up(struct fake_connection *connection);

/* fake_redis_commands.c */

/* Adds to the output. */
void fake_redis_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads one command that stands whole at an offset of some bytes. Returns its length, or 0. */
size_t fake_redis_read(const char *bytes, size_t length, struct fake_command *command);

/* True when argument `i` is `text`; what number it is. */
bool fake_redis_is(const struct fake_command *command, size_t i, const char *text);
uint64_t fake_redis_number(const struct fake_command *command, size_t i);

/* The hash that a key names, or FAKE_HASHES for the ledger. */
enum fake_hash fake_redis_hash(const struct fake_command *command);

/* Takes one command out of the inbox, and answers to the output. False when there is none. */
bool fake_redis_serve(struct fake_connection *connection);

/* fake_redis_lies.c */

/* Says what no Redis would say here. */
void fake_redis_lie(unsigned kind);

#endif
