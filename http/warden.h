/*
 * Keeps civetweb's threads for those who ask. civetweb gives each connection a thread, and knows no
 * bound for an address, none for how long an answer may take, and a long one for a head that drips:
 * --handshake-timeout-ms, all in all. The warden looks at the connections from outside, once a
 * second, and more often when they are many, and shuts some:
 *
 *     address   those of an address past its limit: first those that the client has ended on his
 *               side, then the newest
 *     crowd     when hardly a thread is left: those that wait for a request, the longest first
 *     stall     those that do not read their answer
 *
 * Whoever shuts down is civetweb: it finds the connection at its end, as if the client had left.
 */
#ifndef TALLYD_HTTP_WARDEN_H
#define TALLYD_HTTP_WARDEN_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct warden_options {
    size_t threads;            /* that serve connections */
    size_t per_address;        /* connections; 0: others see to it */
    uint64_t stall_timeout_ms; /* that a client may take for a few KB of its answer */
};

struct front;
struct warden;

/* Returns NULL with errno. Called by: main, before civetweb starts. */
struct warden *warden_create(const struct warden_options *options) MUST_CHECK;

/* Starts its thread, for the port that civetweb listens on. `front`, which knows who comes by it, is
 * borrowed until warden_destroy(); NULL: clients come themselves. Returns 0 or a negative errno.
 * Called by: main. */
int warden_start(struct warden *warden, uint64_t port, struct front *front) MUST_CHECK;

/* Ends the thread. NULL does nothing. Called by: main, when civetweb has stopped. */
void warden_destroy(struct warden *warden);

/* civetweb's threads tell what they do, by the client's port: a thread took a connection, and is
 * done with it; a request came, and is answered. Any thread. */
void warden_note_opened(struct warden *warden);
void warden_note_closed(struct warden *warden);
void warden_note_request(struct warden *warden, int peer_port);
void warden_note_answered(struct warden *warden, int peer_port);

struct warden_figures {
    uint64_t connections; /* that have a thread */
    uint64_t shut_address, shut_crowd, shut_stall;
};

/* Any thread. */
struct warden_figures warden_figures(const struct warden *warden);

#endif
