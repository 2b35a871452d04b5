/* Opens connections; see redis.h for why nothing here reconnects. */
#include "aggregator/redis.h"

#include "common/log.h"
#include "common/secret.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>

const char *redis_address(const struct redis_options *options, char out[REDIS_ERROR_BYTES])
{
    if (options->socket)
        snprintf(out, REDIS_ERROR_BYTES, "%s", options->socket);
    else
        snprintf(out, REDIS_ERROR_BYTES, strchr(options->host, ':') ? "[%s]:%llu" : "%s:%llu",
                 options->host, (unsigned long long)options->port);
    return out;
}

/* Turns the outcome of one command into 0, or -1 with its error in `error`; frees the reply. */
static int expect_ok(redisContext *context, redisReply *reply, const char *command,
                     char error[REDIS_ERROR_BYTES])
{
    int result = -1;

    if (!reply)
        snprintf(error, REDIS_ERROR_BYTES, "%s: %.200s", command, context->errstr);
    else if (reply->type == REDIS_REPLY_ERROR)
        snprintf(error, REDIS_ERROR_BYTES, "%s: %.200s", command, reply->str);
    else
        result = 0;
    if (reply)
        freeReplyObject(reply);
    return result;
}

static int login(redisContext *context, const char *username, const char *password,
                 char error[REDIS_ERROR_BYTES])
{
    redisReply *reply;

    if (username)
        reply = redisCommand(context, "AUTH %s %s", username, password);
    else
        reply = redisCommand(context, "AUTH %s", password);
    return expect_ok(context, reply, "AUTH", error);
}

static int authenticate(redisContext *context, const struct redis_options *options,
                        char error[REDIS_ERROR_BYTES])
{
    char secret[SECRET_BYTES], why[SECRET_ERROR_BYTES];
    int result;

    if (options->password)
        return login(context, options->username, options->password, error);
    if (!options->password_file)
        return 0;
    if (secret_read(options->password_file, secret, why)) {
        snprintf(error, REDIS_ERROR_BYTES, "cannot read the file of the Redis password: %s", why);
        return -1;
    }
    result = login(context, options->username, secret, error);
    secret_wipe(secret);
    return result;
}

redisContext *redis_open(const struct redis_options *options, uint64_t timeout_ms,
                         char error[REDIS_ERROR_BYTES])
{
    struct timeval timeout = {.tv_sec = (time_t)(timeout_ms / 1000),
                              .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    redisContext *context;

    if (options->socket)
        context = redisConnectUnixWithTimeout(options->socket, timeout);
    else
        context = redisConnectWithTimeout(options->host, (int)options->port, timeout);
    if (!context) {
        snprintf(error, REDIS_ERROR_BYTES, "out of memory");
        return NULL;
    }
    if (context->err) {
        snprintf(error, REDIS_ERROR_BYTES, "%.200s", context->errstr);
        goto err;
    }
    if (redisSetTimeout(context, timeout) != REDIS_OK) {
        snprintf(error, REDIS_ERROR_BYTES, "cannot set a timeout: %.150s", context->errstr);
        goto err;
    }
    if (authenticate(context, options, error))
        goto err;
    if (options->db &&
        expect_ok(context, redisCommand(context, "SELECT %llu", (unsigned long long)options->db),
                  "SELECT", error))
        goto err;
    return context;

err:
    redisFree(context);
    return NULL;
}

void redis_warn_of_eviction(redisContext *context)
{
    static const char field[] = "maxmemory_policy:";
    redisReply *info = redisCommand(context, "INFO memory");
    const char *policy = info && info->type == REDIS_REPLY_STRING ? strstr(info->str, field) : NULL;

    if (policy && strncmp(policy + sizeof field - 1, "noeviction", 10) != 0)
        log_warn("Redis may evict counts (maxmemory-policy is %.*s): set it to noeviction",
                 (int)strcspn(policy + sizeof field - 1, "\r\n"), policy + sizeof field - 1);
    if (info)
        freeReplyObject(info);
}
