/*
 * Keeps civetweb's threads for those who ask. civetweb gives each connection a thread, and knows no
 * bound for an address, none for how long an answer may take, and a long one for a head that drips:
 * --handshake-timeout-ms, all in all. The limiter looks at the connections from outside, once a
 * second, and more often when they are many, and shuts some:
 *
 *     address   those of an address past its limit: first those that the client has ended on his
 *               side, then the newest
 *     crowd     when hardly a thread is left: those that wait for a request, the longest first
 *     stall     those that do not read their answer
 *
 * Whoever shuts down is civetweb: it finds the connection at its end, as if the client had left.
 */
#ifndef TALLYD_HTTP_CONNECTION_LIMITER_H
#define TALLYD_HTTP_CONNECTION_LIMITER_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct connection_limiter_options {
    size_t threads;            /* that serve connections */
    size_t per_address;        /* connections; 0: others see to it */
    uint64_t stall_timeout_ms; /* that a client may take for a few KB of its answer */
};

struct connection_limiter;
struct proxy_callers;

/* Returns NULL with errno. Called by: main, before civetweb starts. */
struct connection_limiter *
connection_limiter_create(const struct connection_limiter_options *options) MUST_CHECK;

/* Starts its thread, for the port that civetweb listens on. `callers`, who come through the TLS
 * proxy, are borrowed until connection_limiter_destroy(); NULL: clients come themselves. Returns 0
 * or a negative errno. Called by: main. */
int connection_limiter_start(struct connection_limiter *limiter, uint64_t port,
                             struct proxy_callers *callers) MUST_CHECK;

/* Ends the thread. NULL does nothing. Called by: main, when civetweb has stopped. */
void connection_limiter_destroy(struct connection_limiter *limiter);

/* civetweb's threads tell what they do, by the client's port: a thread took a connection, and is
 * done with it; a request came, and is answered. Any thread. */
void connection_limiter_note_opened(struct connection_limiter *limiter);
void connection_limiter_note_closed(struct connection_limiter *limiter);
void connection_limiter_note_request(struct connection_limiter *limiter, int peer_port);
void connection_limiter_note_answered(struct connection_limiter *limiter, int peer_port);

struct connection_limiter_figures {
    uint64_t connections; /* that have a thread */
    uint64_t shut_address, shut_crowd, shut_stall;
};

/* Any thread. */
struct connection_limiter_figures
connection_limiter_figures(const struct connection_limiter *limiter);

#endif
