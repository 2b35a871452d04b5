/*
 * The HTTP face, on civetweb: it serves what Redis holds, so that any number of tallyd instances
 * over one Redis show one truth. It never touches the counting threads; it reads their statistics.
 *
 *     GET /                     a page that shows the counts move
 *     GET /metrics              JSON array of {"device_id": ..., "count": ...}
 *     GET /metrics/prom         for Prometheus
 *     GET /devices/{device_id}  one such object, or 404
 *     GET /top, /summary        the busiest devices; how many there are, and the rates
 *     GET /events               the same each second, as server-sent events
 *     GET /stats                what this instance does: the balance of promise P3, and statistics
 *     GET /healthz              200 while the process lives; never asks Redis
 *     GET /readyz               200 when new streams are taken and Redis answers, else 503
 *     GET /openapi.json, /docs  the API's description, and a page for it
 *     POST /-/reload            reads the configuration again
 *
 * auth.h says who may ask for what.
 */
#ifndef TALLYD_HTTP_HTTP_H
#define TALLYD_HTTP_HTTP_H

#include "aggregator/commits.h"
#include "aggregator/redis.h"
#include "common/balance.h"
#include "common/compiler.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/stats.h"
#include "common/tls.h"
#include "common/tokens.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything here is borrowed and must outlive the server. */
struct http_options {
    const char *instance; /* its name, for /stats */
    const char *bind;     /* an IPv4 or IPv6 address */
    uint64_t port;
    struct redis_options redis;
    uint64_t max_device_id_bytes;
    uint64_t max_devices; /* for /metrics/prom, which tells it */

    uint64_t connections;  /* served at once */
    uint64_t refresh_ms;   /* see http/reader.h */
    uint64_t prom_devices; /* devices with a series of their own in /metrics/prom */

    const struct commits *commits; /* whether new streams are refused */
    uint64_t redis_grace_ms;

    struct stats_worker *const *workers; /* one a worker */
    size_t worker_count;
    struct stats_flusher *flusher;
    struct stats_main *main;
    struct balance *balance;
    const atomic_bool *draining; /* set by main */

    struct tokens *tokens;    /* who may ask; NULL: everybody */
    const char *public_paths; /* that need no token, separated by commas; see http/auth.h */

    struct tls *tls; /* speak TLS only; NULL: none */
    uint64_t handshake_timeout_ms;
    uint64_t connections_per_address;
    struct hash_key hash_key;  /* random */
    uint64_t stall_timeout_ms; /* see http/connection_limiter.h */
};

/* Reads a list of public paths, as http_options has it, and forgets it. Returns 0, or -EINVAL with
 * one line in `error`. Any thread. */
int http_check_public(const char *public_paths, char error[ERROR_BYTES]) MUST_CHECK;

struct http_server;

/* Starts the server's threads. Returns NULL with a one-line reason in `error` (a port in use, for
 * example). Called by: main. */
struct http_server *http_start(const struct http_options *options,
                               char error[ERROR_BYTES]) MUST_CHECK;

/* Stops them: requests under way are cut short, and nothing is served after it returns. NULL does
 * nothing. Called by: main. */
void http_stop(struct http_server *server);

#endif
