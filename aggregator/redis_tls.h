/*
 * TLS to Redis, where hiredis has it (from 1.0, in a library of its own). Where it has not, asking
 * for TLS is refused: nothing ever falls back to plain text.
 *
 * The server's certificate is always verified, its name too, which hiredis itself does not do.
 * Files are read anew for each connection, like the password's (redis.h).
 */
#ifndef TALLYD_AGGREGATOR_REDIS_TLS_H
#define TALLYD_AGGREGATOR_REDIS_TLS_H

#include "common/compiler.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct redisContext;

struct redis_tls {
    bool on;
    const char *ca;          /* PEM: who signs Redis's certificate; NULL: whom the system trusts */
    const char *cert, *key;  /* PEM: ours; NULL: none is shown */
    const char *server_name; /* in Redis's certificate; NULL: the host's */
};

/* Whether a connection with these options can be tried: built with TLS, all files of use. Returns
 * 0, or -ENOTSUP, -EINVAL or -ENOMEM with one line in `error`. Warns in the log of what is odd
 * about the files, which redis_tls_start() does not. Called by: main. */
int redis_tls_check(const struct redis_tls *tls, char error[ERROR_BYTES]) MUST_CHECK;

/* Shakes hands on a connection that is open, whose time-out of `timeout_ms` is set, and that
 * nothing was sent on. Everything after goes through TLS. `host` is whom the connection leads to.
 * Returns 0 or a negative errno with one line in `error`, which names no file; the context is of no
 * use then. Called by: flusher, http. */
int redis_tls_start(struct redisContext *context, const struct redis_tls *tls, const char *host,
                    uint64_t timeout_ms, char error[ERROR_BYTES]) MUST_CHECK;

#endif
