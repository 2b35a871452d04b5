/*
 * Between hiredis_ssl and common/tls.c: our context, with our floor of versions and ciphers, and a
 * connection of it that hiredis takes over. The rest of tallyd only ever sends and receives by
 * hiredis's functions, so it does not notice.
 */
#include "aggregator/redis_tls.h"

#include <errno.h>
#include <stdio.h>

#if HAVE_HIREDIS_SSL

#include "common/tls.h"

#include <hiredis.h>
#include <hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

static SSL_CTX *make_context(const struct redis_tls *tls, char error[ERROR_BYTES])
{
    char why[ERROR_BYTES];
    SSL_CTX *context =
        tls_connect_context(tls->ca ? tls->ca : TLS_SYSTEM_CA, tls->cert, tls->key, "redis", why);

    if (!context)
        snprintf(error, ERROR_BYTES, "%.500s", why);
    return context;
}

int redis_tls_check(const struct redis_tls *tls, char error[ERROR_BYTES])
{
    SSL_CTX *context = make_context(tls, error);

    SSL_CTX_free(context);
    if (!context)
        return -EINVAL;
    tls_warn_of(tls->cert, tls->key);
    return 0;
}

/* What went wrong in the handshake; forgets it. */
static void describe(const SSL *ssl, uint64_t timeout_ms, int number, char error[ERROR_BYTES])
{
    char why[ERROR_BYTES];

    if (number == EAGAIN && !ERR_peek_error())
        snprintf(error, ERROR_BYTES, "TLS: no answer within %llu ms",
                 (unsigned long long)timeout_ms);
    else
        snprintf(error, ERROR_BYTES, "TLS: %.500s", tls_handshake_error(ssl, why));
}

int redis_tls_start(struct redisContext *context, const struct redis_tls *tls, const char *host,
                    uint64_t timeout_ms, char error[ERROR_BYTES])
{
    SSL_CTX *ours = make_context(tls, error);
    SSL *ssl;

    if (!ours) {
        /* It was of use at the start; its path is not for everybody who reads this message. */
        snprintf(error, ERROR_BYTES,
                 "a file of --redis-tls is of no use now; --check-config says which and why");
        return -EINVAL;
    }
    ssl = SSL_new(ours);
    SSL_CTX_free(ours); /* the connection holds it */
    if (!ssl || tls_expect_name(ssl, tls->server_name ? tls->server_name : host)) {
        SSL_free(ssl);
        snprintf(error, ERROR_BYTES, "TLS: out of memory");
        return -ENOMEM;
    }
    errno = 0;
    if (redisInitiateSSL(context, ssl) == REDIS_OK)
        return 0;
    describe(ssl, timeout_ms, errno, error);
    SSL_free(ssl); /* hiredis takes it over only when it succeeds */
    return -EIO;
}

#else

static int refuse(char error[ERROR_BYTES])
{
    snprintf(error, ERROR_BYTES,
             "this tallyd was built without TLS to Redis: it needs hiredis 1.0 or later with "
             "hiredis_ssl (Debian 13)");
    return -ENOTSUP;
}

int redis_tls_check(const struct redis_tls *tls, char error[ERROR_BYTES])
{
    (void)tls;
    return refuse(error);
}

int redis_tls_start(struct redisContext *context, const struct redis_tls *tls, const char *host,
                    uint64_t timeout_ms, char error[ERROR_BYTES])
{
    (void)context;
    (void)tls;
    (void)host;
    (void)timeout_ms;
    return refuse(error);
}

#endif
