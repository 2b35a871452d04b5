/*
 * A proxy that ends TLS before civetweb, which then listens on a port of this host's own. A thread
 * shakes hands with those who connect and carries their bytes (http/relay.h); civetweb sees plain
 * HTTP.
 *
 * civetweb can speak TLS itself, but not everywhere: Debian 12's is built for functions of OpenSSL
 * 1.1 that its OpenSSL 3 lacks, and never finds its libraries without their development package.
 * Here HTTP has the same TLS as gRPC, and a client that is slow to shake hands holds no thread.
 */
#ifndef TALLYD_HTTP_TLS_PROXY_H
#define TALLYD_HTTP_TLS_PROXY_H

#include "common/compiler.h"
#include "common/error.h"
#include "common/hash.h"
#include "http/proxy_refusals.h"

#include <stddef.h>
#include <stdint.h>

struct proxy_callers;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* Everything is borrowed and must outlive the proxy. */
struct tls_proxy_options {
    const char *bind; /* an IPv4 or IPv6 address; "::" is IPv4 as well */
    uint64_t port;
    struct ssl_ctx_st *context;
    uint64_t handshake_timeout_ms; /* civetweb's for a stalled write, too */
    size_t connections;            /* at once; further ones wait */
    size_t connections_per_address;
    struct hash_key hash_key; /* random */
};

struct tls_proxy;

/* Opens the port; nobody is served yet. Returns NULL with a one-line reason in `error`. Called by:
 * main. */
struct tls_proxy *tls_proxy_create(const struct tls_proxy_options *options,
                                   char error[ERROR_BYTES]) MUST_CHECK;

/* Starts to serve, by the plain HTTP that listens on `backend_port` of 127.0.0.1. Returns 0 or a
 * negative errno. Called by: main. */
int tls_proxy_start(struct tls_proxy *proxy, uint16_t backend_port) MUST_CHECK;

/* Gives the last answers of the backend, which has stopped, a moment to go out, closes all, and
 * frees it. NULL does nothing. Called by: main. */
void tls_proxy_destroy(struct tls_proxy *proxy);

/* Who is behind the connections that the backend sees: the proxy's, and valid as long as it; NULL
 * when `proxy` is NULL. Any thread. */
struct proxy_callers *tls_proxy_callers(const struct tls_proxy *proxy);

/* How many connections were closed for a reason; 0 when `proxy` is NULL. Any thread. */
uint64_t tls_proxy_refused(const struct tls_proxy *proxy, enum proxy_refusal reason);

#endif
