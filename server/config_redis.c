/* The options that lead to Redis: what a table cannot check, and what aggregator/redis.c takes. */
#include "common/secret.h"
#include "server/config.h"

#include <errno.h>
#include <stdio.h>

struct redis_options config_redis_options(const struct config *config)
{
    return (struct redis_options){
        .host = config->redis_host,
        .port = config->redis_port,
        .socket = config->redis_socket,
        .username = config->redis_username,
        .password = config->redis_password,
        .password_file = config->redis_password_file,
        .tls = {.on = config->redis_tls,
                .ca = config->redis_tls_ca,
                .cert = config->redis_tls_cert,
                .key = config->redis_tls_key,
                .server_name = config->redis_tls_server_name},
        .db = config->redis_db,
        .key = config->redis_key,
    };
}

static int refuse(const char *why, char error[ERROR_BYTES])
{
    snprintf(error, ERROR_BYTES, "%s", why);
    return -EINVAL;
}

/* The password itself is read where it is needed (aggregator/redis.c); a file that cannot be read
 * is better told here, before anything starts. */
static int check_password_file(const struct config *config, char error[ERROR_BYTES])
{
    char secret[SECRET_BYTES], why[ERROR_BYTES];
    int result = secret_read(config->redis_password_file, secret, why);

    secret_wipe(secret);
    if (!result)
        return 0;
    snprintf(error, ERROR_BYTES, "--redis-password-file: cannot read %.200s: %.250s",
             config->redis_password_file, why);
    return -EINVAL;
}

static int check_login(const struct config *config, char error[ERROR_BYTES])
{
    if (config->redis_password && config->redis_password_file)
        return refuse("REDIS_PASSWORD and --redis-password-file: give one of them, not both",
                      error);
    if (config->redis_username && !config->redis_password && !config->redis_password_file)
        return refuse("--redis-username: a password is needed with it; give --redis-password-file",
                      error);
    return config->redis_password_file ? check_password_file(config, error) : 0;
}

static int check_tls(const struct config *config, char error[ERROR_BYTES])
{
    const struct redis_options options = config_redis_options(config);
    const struct redis_tls *tls = &options.tls;
    char why[ERROR_BYTES];

    if (!tls->on && (tls->ca || tls->cert || tls->key || tls->server_name))
        return refuse("--redis-tls-ca, -cert, -key and -server-name mean nothing without "
                      "--redis-tls",
                      error);
    if (!tls->on)
        return 0;
    if (options.socket)
        return refuse("--redis-tls and --redis-socket: Redis has no TLS on a Unix socket", error);
    if (!tls->cert != !tls->key)
        return refuse("--redis-tls-cert and --redis-tls-key: one needs the other", error);
    if (tls->server_name && !*tls->server_name)
        return refuse("--redis-tls-server-name: it is empty", error);
    if (!redis_tls_check(tls, why))
        return 0;
    snprintf(error, ERROR_BYTES, "--redis-tls: %.480s", why);
    return -EINVAL;
}

int config_check_redis(const struct config *config, char error[ERROR_BYTES])
{
    int result = check_login(config, error);

    return result ? result : check_tls(config, error);
}
