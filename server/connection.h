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
#include "common/network.h"
#include "server/call.h"
#include "server/timers.h"
#include "server/turn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct connection;
struct nghttp2_option;
struct nghttp2_session_callbacks;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* Times in ms; what each is for stands in the option table. */
struct connection_options {
    uint32_t max_streams;
    uint64_t handshake_timeout_ms, stall_timeout_ms;
    uint64_t keepalive_time_ms; /* 0: never */
    uint64_t keepalive_timeout_ms;
    uint64_t keepalive_min_ping_ms;
    uint64_t max_age_ms; /* 0: for ever */
    uint64_t max_age_grace_ms;
    struct ssl_ctx_st *tls; /* borrowed; NULL: no TLS */
};

/* Why a peer's connection is closed: a statistic, and a kind of log line, each. */
#define BAD_PEER(reason)            REASON_bad_peer_##reason
#define BAD_PEER_REASON(name, help) REASON_##name,
enum bad_peer_reason { STATS_BAD_PEERS(BAD_PEER_REASON) BAD_PEER_REASONS };

/* What all connections of a worker share; borrowed. */
struct connection_context {
    struct call_context calls;
    struct connection_options options;
    uint64_t now_ms; /* when the round began; its owner keeps it so */
    struct turn_pace pace;
    uint8_t *buffer; /* of pace.most_bytes for all, PACKET_RUN_SLACK_BYTES behind them */
    uint8_t *output; /* and one to gather output in */
    struct nghttp2_session_callbacks *callbacks;
    struct nghttp2_option *session_options;
    uint64_t random; /* for connection ages */
    struct log_limit bad_peer_limits[BAD_PEER_REASONS];
};

/* Makes what connections share; `calls` and `now_ms` are the caller's to set, before the first
 * connection. Returns 0 or -ENOMEM; connection_context_fini() is due either way. */
int connection_context_init(struct connection_context *context,
                            const struct connection_options *options) MUST_CHECK;
void connection_context_fini(struct connection_context *context);

/* Makes a connection of a connected, non-blocking socket, which it owns from then on, as it does
 * one count of its peer's address (NULL: it has none); the server's preface is the first thing that
 * connection_send() sends. Returns NULL with errno; the socket is then closed. */
struct connection *connection_create(struct connection_context *context, int fd,
                                     struct address *address) MUST_CHECK;

/* Closes the socket and forgets all calls; what they counted stays counted. NULL does nothing. */
void connection_destroy(struct connection *connection);

/* Receives once, at most a buffer full, and handles it: counts packets, opens and ends calls.
 * Returns false at the connection's end. */
bool connection_receive(struct connection *connection) MUST_CHECK;

/* The turn in which it received took so long: turn.h. */
void connection_end_turn(struct connection *connection, uint64_t ns);

/* True when its turns take longer than what it brings is worth, or it has brought nothing yet. */
bool connection_is_costly(const struct connection *connection);

/* True when its last turn ended before what there was to receive did. */
bool connection_has_more(const struct connection *connection);

/* True when there is more to receive, of which epoll does not know, and it may be. */
bool connection_pending(const struct connection *connection);

/* Sends what is due, as far as the socket takes it. Returns false at the connection's end. */
bool connection_send(struct connection *connection) MUST_CHECK;

/* True while output is left that the socket did not take: then nothing is received, and what a peer
 * that does not read its answers can ask for is bounded. */
bool connection_is_blocked(const struct connection *connection);

/* What epoll shall wait for: to receive, unless something has to be sent before. */
uint32_t connection_events(const struct connection *connection);

/* A timer of kind TIMER_CONNECTION is due: looks for what did not come in time. Returns false at
 * the connection's end. Send afterwards. */
bool connection_timer(struct connection *connection) MUST_CHECK;
struct connection *connection_of_timer(struct timer *timer);

/* Announces the end: GOAWAY with the highest possible stream id, so that no stream in flight is
 * lost (RFC 9113, 6.8); and later, GOAWAY with the last id there was when it is sent. Send
 * afterwards. */
void connection_announce_goaway(struct connection *connection);
void connection_goaway(struct connection *connection);

/* Ends every open call because the server is shutting down. Send afterwards. */
void connection_interrupt(struct connection *connection);

/* Ticks the connection's calls, at most `*left` of them, which it lowers. Returns true when it has
 * come round; if not, the next call goes on where this one stopped. */
bool connection_tick_calls(struct connection *connection, uint64_t now_ms, size_t *left) MUST_CHECK;

int connection_fd(const struct connection *connection);

/* Writes the address of the other side, for the log, and returns it. */
const char *connection_peer(const struct connection *connection, char peer[NETWORK_NAME_BYTES]);

/* Links for the owner's lists. */
struct connection_links {
    struct connection *next, *previous;
    struct connection *next_to_send; /* of those with output that is not sent yet */
    struct connection *next_pending; /* of those with input that epoll does not see */
    struct connection *next_dead;    /* of those to be destroyed at the end of the round */
    bool to_send, pending, dead;     /* it is in that list */
    uint64_t turn;                   /* its last, while it is costly; see connections.h */
    uint32_t events;                 /* what epoll waits for */
};
struct connection_links *connection_links(struct connection *connection);

#endif
