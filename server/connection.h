/*
 * A connection: a socket and its HTTP/2 session, with the calls on it.
 *
 * Thread: worker, the one that owns it. Functions that find the connection at its end return
 * false, and the caller destroys it.
 */
#ifndef TALLYD_SERVER_CONNECTION_H
#define TALLYD_SERVER_CONNECTION_H

#include "common/compiler.h"
#include "common/log.h"
#include "server/call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

/* What all connections of a worker share; borrowed. */
struct connection_context {
    struct call_context calls;
    uint8_t *buffer;     /* one receive buffer for all */
    size_t buffer_bytes; /* PACKET_RUN_SLACK_BYTES more are behind it */
    struct log_limit bad_peer_limit;
};

/* Makes a connection of a connected, non-blocking socket, which it owns from then on; the server's
 * preface is the first thing that connection_send() sends. Returns NULL with errno; the socket is
 * then closed. */
struct connection *connection_create(struct connection_context *context, int fd) MUST_CHECK;

/* Closes the socket and forgets all calls; what they counted stays counted. NULL does nothing. */
void connection_destroy(struct connection *connection);

/* Receives once, at most a buffer full, and handles it: counts packets, opens and ends calls.
 * Returns false at the connection's end. */
bool connection_receive(struct connection *connection) MUST_CHECK;

/* Sends what is due, as far as the socket takes it. Returns false at the connection's end. */
bool connection_send(struct connection *connection) MUST_CHECK;

/* True when output is left that the socket did not take. */
bool connection_wants_write(const struct connection *connection);

/* Announces the end: GOAWAY with the highest possible stream id, so that no stream in flight is
 * lost (RFC 9113, 6.8); and later, GOAWAY with the last id there was. Send afterwards. */
void connection_announce_goaway(struct connection *connection);
void connection_goaway(struct connection *connection);

/* Ends every open call because the server is shutting down. Send afterwards. */
void connection_interrupt(struct connection *connection);

/* Ticks the connection's calls, at most `*left` of them, which it lowers. Returns true when it has
 * come round; if not, the next call goes on where this one stopped. */
bool connection_tick_calls(struct connection *connection, uint64_t now_ms, size_t *left) MUST_CHECK;

/* When the sending side was ended, by clock_now_ms(); 0 when it was not. connection_send() ends it
 * once the session is over and all is sent. */
uint64_t connection_shut_ms(const struct connection *connection);

int connection_fd(const struct connection *connection);

/* Writes the address of the other side, for the log, and returns it. */
#define CONNECTION_PEER_BYTES 46
const char *connection_peer(const struct connection *connection, char peer[CONNECTION_PEER_BYTES]);

/* Links for the owner's lists. */
struct connection_links {
    struct connection *next, *previous;
    struct connection *next_to_send; /* of those with output that is not sent yet */
    struct connection *next_dead;    /* of those to be destroyed at the end of the round */
    bool to_send, dead;              /* it is in that list */
    bool polls_write;                /* the worker waits for the socket to take more */
};
struct connection_links *connection_links(struct connection *connection);

#endif
