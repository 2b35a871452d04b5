/* See fake_redis.h, and fake_redis_private.h for its parts. */
#include "tests/fuzz/fake_redis_private.h"

#include <stdlib.h>
#include <string.h>

struct fake_redis fake;

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

/* ---- Connections given up ------------------------------------------------------------------- */

static void serve_rest(struct fake_connection *connection)
{
    do
        fake.output_used = 0;
    while (fake_redis_serve(connection));
    fake.output_used = 0;
    connection->delay = 0;
}

void fake_redis_pass_time(void)
{
    for (size_t i = 0; i < fake.count; i++) {
        struct fake_connection *connection = &fake.connections[i];

        if (!connection->context && connection->delay > 0 && --connection->delay == 0)
            serve_rest(connection);
    }
}

void fake_redis_give_up(struct fake_connection *connection)
{
    uint8_t fate = fake_redis_decide();

    if (connection->shadow)
        redisReaderFree(connection->shadow);
    connection->shadow = NULL;
    connection->context = NULL;
    if (fate & 1)
        connection->delay = 1 + (fate >> 1 & 31);
}

/* ---- Start and stop -------------------------------------------------------------------------- */

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
