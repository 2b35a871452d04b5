/*
 * A connection to Redis as tallyd wants it: over TCP, TLS or a Unix socket, with waits bounded,
 * logged in and on the right database.
 *
 * hiredis contexts are not usable after an error, and neither reconnecting nor its older versions
 * repeat AUTH and SELECT; so there is no reconnect here: free the context and open a new one.
 *
 * What a connection is opened with is read anew for each: a password file that was replaced is used
 * from the next connect on, and what is connected stays.
 */
#ifndef TALLYD_AGGREGATOR_REDIS_H
#define TALLYD_AGGREGATOR_REDIS_H

#include "aggregator/redis_tls.h"
#include "common/compiler.h"
#include "common/error.h"

#include <hiredis.h>
#include <stdint.h>

struct resolver;

struct redis_options {
    const char *host;
    uint64_t port;
    const char *socket;        /* path of a Unix socket, used instead of host and port; or NULL */
    const char *username;      /* ACL user, or NULL */
    const char *password;      /* or NULL */
    const char *password_file; /* its first line is the password; or NULL */
    struct redis_tls tls;
    uint64_t db;
    const char *key; /* the hash of the counts; everything else starts with it and a colon */
};

/* Connects, authenticates and selects the database; each wait takes at most `timeout_ms` (a
 * connect: for each of the name's addresses), and so does every later one on this context.
 * `resolver` is who looks the host's name up, the caller's alone. Returns a context that the caller
 * frees with redisFree(), or NULL with one line in `error` that holds neither the password nor its
 * file's path. Called by: flusher, http. */
redisContext *redis_open(const struct redis_options *options, struct resolver *resolver,
                         uint64_t timeout_ms, char error[ERROR_BYTES]) MUST_CHECK;

/* Logs a warning when Redis is set to evict keys once its memory is full: it would throw away
 * counts, or the ledger that guards them. Logs another when it does not write what it acknowledges
 * to a disk first, so that a kill takes it. Says nothing of what Redis does not tell: INFO has no
 * appendfsync, and CONFIG is asked only where no user was named, since a named one should not have
 * the right to it, and each refusal would be in Redis's ACL LOG. Called by: flusher. */
void redis_warn_of_loss(const struct redis_options *options, redisContext *context);

/* Where `options` point, for messages: "127.0.0.1:6379" or the socket's path. Returns `out`. */
const char *redis_address(const struct redis_options *options, char out[ERROR_BYTES]);

#endif
