/*
 * The connections that civetweb has, seen from outside: which there are, since when, and whether
 * they wait for a request, have their answers read, or were ended by the client.
 *
 * Thread: http, the limiter's, unless stated.
 */
#ifndef TALLYD_HTTP_CONNECTION_TRACKER_H
#define TALLYD_HTTP_CONNECTION_TRACKER_H

#include "common/compiler.h"
#include "http/tcp_peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection_tracker;

/* A connection, as the last scan found it. Times are of clock_now_ms(). */
struct tracked_connection {
    int fd; /* civetweb's, which may close it at any time */
    struct tcp_peer peer;
    uint64_t found_ms;   /* when it was found first */
    uint64_t waiting_ms; /* since when it has waited for a request; 0: it does not */
    uint64_t moved_ms;   /* when its answer last moved by some KB, or all of it was through */
    bool ended;          /* by the client; with waiting_ms, civetweb is about to close it */
};

/* Returns NULL with errno ENOMEM. Called by: main. */
struct connection_tracker *connection_tracker_create(void) MUST_CHECK;

/* NULL does nothing. Called by: main, when nobody uses it any more. */
void connection_tracker_destroy(struct connection_tracker *tracker);

/* A request came on a connection, by the client's port; or is answered. Any thread. */
void connection_tracker_note_request(struct connection_tracker *tracker, int peer_port);
void connection_tracker_note_answered(struct connection_tracker *tracker, int peer_port);

/* Finds all connections to our port `own_port`, but those that were shut here. Returns 0, or a
 * negative errno when memory or descriptors are short: then there are no entries, or not all. */
int connection_tracker_scan(struct connection_tracker *tracker, uint64_t own_port,
                            uint64_t now_ms) MUST_CHECK;

/* What it found, in any order; the caller may sort it. Valid until the next scan. */
struct tracked_connection *connection_tracker_list(struct connection_tracker *tracker,
                                                   size_t *count) MUST_CHECK;

#endif
