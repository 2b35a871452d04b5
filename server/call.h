/*
 * A call: one StreamPackets stream, from its headers to its answer.
 *
 *     OPEN ----------> ENDED ----------> ANSWERED
 *     packets are      all that counted   status and trailers
 *     counted          waits for its      are on their way
 *                      commit
 *
 * A stream ends when the client ends it, when something in it is wrong, or when the server is
 * shutting down. Whichever it is, its answer tells how many packets were counted, and so waits
 * until Redis has confirmed the cut that holds the last of them. A stream of which nothing was
 * counted is answered at once.
 *
 * Thread: worker, the one that owns the connection.
 */
#ifndef TALLYD_SERVER_CALL_H
#define TALLYD_SERVER_CALL_H

#include "aggregator/commits.h"
#include "aggregator/counters.h"
#include "aggregator/cut.h"
#include "common/compiler.h"
#include "common/stats.h"
#include "proto/frame.h"
#include "proto/grpc.h"
#include "proto/packet_run.h"
#include "server/timers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct nghttp2_session;
struct packet_feed;
struct pressure;
struct tokens;

/* What all calls of a worker share; borrowed. */
struct call_context {
    struct cut *cut;
    struct commits *commits;
    struct stats_worker *stats;
    uint64_t redis_grace_ms;
    struct packet_limits limits;
    struct tokens *tokens;           /* NULL: everybody may send */
    const struct pressure *pressure; /* NULL: memory has no limit */
    struct timers *timers;           /* the worker's */
    bool draining;                   /* no new connections; health watchers are told */
    bool shutting_down;              /* new calls are refused */

    /* Tells the worker that a connection has output, for when a call makes some outside of
     * connection_receive(). */
    void (*touch)(struct call_context *context, struct connection *connection);

    /* Packets received and not yet counted: they point into the receive buffer. */
    struct packet_id gathered[COUNTERS_GROUP];
    size_t gathered_count;

    /* Calls that have ended and wait for their commit, the oldest first. */
    struct call *waiting_first, *waiting_last;
};

/* Bytes of a request's headers, name + value + 32 each, as RFC 9113, 6.5.2, counts them. */
#define CALL_HEADER_LIST_BYTES 16384

/* Calls of a worker at a time; each takes about 1 KB. Past it, new ones are refused. */
#define CALL_MAX 65536

enum call_state { CALL_HEADERS, CALL_OPEN, CALL_ENDED, CALL_ANSWERED };

#define CALL_MESSAGE_BYTES 160
#define CALL_ACK_BYTES     (FRAME_HEADER_BYTES + 11) /* a field tag and a varint of ten bytes */

/* Shown because the connection keeps its calls in a list: `next` and `previous` are connection.c's
 * to write, all else is call.c's. */
struct call {
    struct call_context *context;
    struct connection *connection;
    struct nghttp2_session *session;
    struct call *next, *previous;                 /* of the connection */
    struct call *waiting_next, *waiting_previous; /* of the context */
    struct packet_feed *feed;                     /* behind the struct */
    uint64_t received;                            /* packets counted, or gathered */
    uint64_t cut;                                 /* that holds the last of them */
    int32_t stream_id;
    enum call_state state;
    enum grpc_status status;
    struct frame_reader reader;
    struct timer deadline; /* of its grpc-timeout */
    bool client_ended;

    /* From the request headers. */
    bool is_post, is_grpc, is_known_path, is_bad_encoding;
    uint32_t header_bytes;

    uint8_t ack[CALL_ACK_BYTES];
    uint8_t ack_length, ack_sent;
    char message[CALL_MESSAGE_BYTES];
};

/* Returns NULL with errno ENOMEM. `context`, `connection` and its `session` are borrowed. */
struct call *call_create(struct call_context *context, struct connection *connection,
                         struct nghttp2_session *session, int32_t stream_id) MUST_CHECK;

/* Forgets the call, whatever its state; what it counted stays counted. NULL does nothing. */
void call_destroy(struct call *call);

/* Takes a request header, or a trailer. Returns 0, or -E2BIG when the headers are over the limit.
 */
int call_header(struct call *call, const uint8_t *name, size_t name_length, const uint8_t *value,
                size_t value_length) MUST_CHECK;

/* The headers are complete: opens the call, or refuses it. */
void call_begin(struct call *call);

/* Takes bytes of the request body: counts every packet that they complete, some of them only at
 * the next call_settle(). PACKET_RUN_SLACK_BYTES behind them must be readable. */
void call_receive(struct call *call, const uint8_t *bytes, size_t length);

/* Counts what was gathered. To be called before the bytes that calls have received go away, and so
 * before any cut is answered. */
void call_settle(struct call_context *context);

/* The client has ended its side. */
void call_client_ended(struct call *call);

/* Ends an open call with UNAVAILABLE because the server is shutting down. */
void call_interrupt(struct call *call);

/* Answers the oldest waiting call if its cut is committed, or, when `force` is set, even if not:
 * then with UNAVAILABLE. Returns it, or NULL when there is none to answer. */
struct call *call_answer_next(struct call_context *context, bool force);

/* A timer of kind TIMER_CALL is due: the call's deadline has passed, and it ends. */
void call_deadline(struct timer *timer);

/* To be called once a second for each call: ends one that stopped inside a packet, or whose token
 * is no longer good, and tells a health watcher of a change. */
void call_tick(struct call *call, uint64_t now_ms);

/* The response's last frame was sent: if the client goes on sending, tells it to stop. */
void call_response_sent(struct call *call);

#endif
