/* Opens connections; see redis.h for why nothing here reconnects. */
#include "aggregator/redis.h"

#include "aggregator/resolver.h"
#include "common/log.h"
#include "common/secret.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

const char *redis_address(const struct redis_options *options, char out[ERROR_BYTES])
{
    if (options->socket)
        snprintf(out, ERROR_BYTES, "%s", options->socket);
    else
        snprintf(out, ERROR_BYTES, strchr(options->host, ':') ? "[%s]:%llu" : "%s:%llu",
                 options->host, (unsigned long long)options->port);
    return out;
}

/* A connection that is being opened. */
struct opening {
    const struct redis_options *options;
    redisContext *context;
    uint64_t timeout_ms;
    char *error; /* of ERROR_BYTES */
};

/* Turns the outcome of one command into 0, or a negative errno with its error; frees the reply. */
static int expect_ok(const struct opening *opening, redisReply *reply, const char *command)
{
    const redisContext *context = opening->context;
    int result = -EIO;

    if (!reply && context->err == REDIS_ERR_IO && errno == EAGAIN)
        snprintf(opening->error, ERROR_BYTES, "%s: no answer within %llu ms", command,
                 (unsigned long long)opening->timeout_ms);
    else if (!reply)
        snprintf(opening->error, ERROR_BYTES, "%s: %.200s", command, context->errstr);
    else if (reply->type == REDIS_REPLY_ERROR)
        snprintf(opening->error, ERROR_BYTES, "%s: %.200s", command, reply->str);
    else
        result = 0;
    if (reply)
        freeReplyObject(reply);
    return result;
}

static int login(const struct opening *opening, const char *password)
{
    const char *username = opening->options->username;
    redisReply *reply;

    if (username)
        reply = redisCommand(opening->context, "AUTH %s %s", username, password);
    else
        reply = redisCommand(opening->context, "AUTH %s", password);
    return expect_ok(opening, reply, "AUTH");
}

static int authenticate(const struct opening *opening)
{
    const struct redis_options *options = opening->options;
    char secret[SECRET_BYTES], why[ERROR_BYTES];
    int result;

    if (options->password)
        return login(opening, options->password);
    if (!options->password_file)
        return 0;
    result = secret_read(options->password_file, secret, why);
    if (result) {
        snprintf(opening->error, ERROR_BYTES, "cannot read the file of the Redis password: %.400s",
                 why);
        return result;
    }
    result = login(opening, secret);
    secret_wipe(secret);
    return result;
}

static int select_database(const struct opening *opening)
{
    unsigned long long db = opening->options->db;

    return db ? expect_ok(opening, redisCommand(opening->context, "SELECT %llu", db), "SELECT") : 0;
}

/* Before the first byte, so that no password goes out in the clear. */
static int start_tls(const struct redis_options *options, redisContext *context,
                     uint64_t timeout_ms, char error[ERROR_BYTES])
{
    char why[ERROR_BYTES];
    int result = redis_tls_start(context, &options->tls, options->host, timeout_ms, why);

    if (result)
        snprintf(error, ERROR_BYTES, "%.500s", why);
    return result;
}

static struct timeval timeval_of(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

/* Checks that what hiredis gave is connected. Returns it, or NULL with `error`. */
static redisContext *expect_connected(redisContext *context, char error[ERROR_BYTES])
{
    if (context && !context->err)
        return context;
    snprintf(error, ERROR_BYTES, "%.200s", context ? context->errstr : "out of memory");
    if (context)
        redisFree(context);
    return NULL;
}

/* To the first of a name's addresses that takes the connection, of those of one family. */
static redisContext *connect_to_any(const struct redis_options *options, int family,
                                    const struct addrinfo *address, uint64_t timeout_ms,
                                    char error[ERROR_BYTES])
{
    redisContext *context = NULL;
    char text[NI_MAXHOST];

    for (; address && !context; address = address->ai_next) {
        if (address->ai_family != family || getnameinfo(address->ai_addr, address->ai_addrlen, text,
                                                        sizeof text, NULL, 0, NI_NUMERICHOST))
            continue;
        context = expect_connected(
            redisConnectWithTimeout(text, (int)options->port, timeval_of(timeout_ms)), error);
    }
    return context;
}

/* hiredis is given addresses, since its own look-up of a name has no bound; IPv4 comes first, as
 * with its own. */
static redisContext *connect_tcp(const struct redis_options *options, struct resolver *resolver,
                                 uint64_t timeout_ms, char error[ERROR_BYTES])
{
    struct addrinfo *found = resolver_find(resolver, options->host, timeout_ms, error);
    redisContext *context;

    if (!found)
        return NULL;
    snprintf(error, ERROR_BYTES, "%.200s has no address of use", options->host);
    context = connect_to_any(options, AF_INET, found, timeout_ms, error);
    if (!context)
        context = connect_to_any(options, AF_INET6, found, timeout_ms, error);
    freeaddrinfo(found);
    return context;
}

redisContext *redis_open(const struct redis_options *options, struct resolver *resolver,
                         uint64_t timeout_ms, char error[ERROR_BYTES])
{
    struct opening opening;
    redisContext *context;

    if (options->socket)
        context = expect_connected(
            redisConnectUnixWithTimeout(options->socket, timeval_of(timeout_ms)), error);
    else
        context = connect_tcp(options, resolver, timeout_ms, error);
    if (!context)
        return NULL;
    if (redisSetTimeout(context, timeval_of(timeout_ms)) != REDIS_OK) {
        snprintf(error, ERROR_BYTES, "cannot set a timeout: %.150s", context->errstr);
        goto err;
    }
    if (options->tls.on && start_tls(options, context, timeout_ms, error))
        goto err;
    opening = (struct opening){options, context, timeout_ms, error};
    if (authenticate(&opening) || select_database(&opening))
        goto err;
    return context;

err:
    redisFree(context);
    return NULL;
}

/* The value of a field of INFO's reply, and its length; NULL when it is not there. */
static const char *info_field(const redisReply *info, const char *name, int *length)
{
    const char *at = strstr(info->str, name);

    if (!at || at == info->str || at[-1] != '\n')
        return NULL;
    at += strlen(name);
    *length = (int)strcspn(at, "\r\n");
    return at;
}

static bool is_value(const char *value, int length, const char *text)
{
    return (size_t)length == strlen(text) && memcmp(value, text, strlen(text)) == 0;
}

static void warn_of_eviction(const redisReply *info)
{
    int length;
    const char *policy = info_field(info, "maxmemory_policy:", &length);

    if (policy && !is_value(policy, length, "noeviction"))
        log_warn("Redis may evict counts (maxmemory-policy is %.*s): set it to noeviction", length,
                 policy);
}

static void warn_of_kill(const char *name, const char *value)
{
    log_warn("Redis may lose counts that it has acknowledged (%s is %.20s): in redis-cli, "
             "config set appendonly yes, config set appendfsync always, config rewrite",
             name, value);
}

static void warn_of_late_sync(redisContext *context)
{
    redisReply *config = redisCommand(context, "CONFIG GET appendfsync");

    if (config && config->type == REDIS_REPLY_ARRAY && config->elements == 2 &&
        config->element[1] && config->element[1]->type == REDIS_REPLY_STRING &&
        strcmp(config->element[1]->str, "always") != 0)
        warn_of_kill("appendfsync", config->element[1]->str);
    if (config)
        freeReplyObject(config);
}

void redis_warn_of_loss(const struct redis_options *options, redisContext *context)
{
    redisReply *info = redisCommand(context, "INFO");
    const char *aof;
    int length;

    if (info && info->type == REDIS_REPLY_STRING) {
        warn_of_eviction(info);
        aof = info_field(info, "aof_enabled:", &length);
        if (aof && is_value(aof, length, "0"))
            warn_of_kill("appendonly", "no");
        else if (aof && !options->username)
            warn_of_late_sync(context);
    }
    if (info)
        freeReplyObject(info);
}
