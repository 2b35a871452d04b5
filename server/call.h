/*
 * A call: one stream, from its headers to its answer. Nearly all are of StreamPackets:
 *
 *     OPEN ----------> ENDED ----------> ANSWERED
 *     packets are      all that counted   status and trailers
 *     counted          waits for its      are on their way
 *                      commit
 *
 * A stream ends when the client ends it, when something in it is wrong, when its deadline passes,
 * or when the server is shutting down. Whichever it is, its answer tells how many packets were
 * counted, and so waits until Redis has confirmed the cut that holds the last of them. A stream of
 * which nothing was counted is answered at once.
 *
 * A call of another method (server/method.h) is SERVING, and then ANSWERED.
 *
 * Thread: worker, the one that owns the connection.
 */
#ifndef TALLYD_SERVER_CALL_H
#define TALLYD_SERVER_CALL_H

#include "aggregator/commits.h"
#include "aggregator/counters.h"
#include "aggregator/cut.h"
#include "common/compiler.h"
#include "common/log.h"
#include "common/stats.h"
#include "proto/frame.h"
#include "proto/grpc.h"
#include "proto/packet_run.h"
#include "server/share.h"
#include "server/timers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowance;
struct connection;
struct gunzip;
struct gunzip_pool;
struct method;
struct nghttp2_session;
struct packet_feed;
struct pressure;
struct principal;
struct service;
struct tokens;

/* What all calls of a worker share; borrowed. */
struct call_context {
    struct cut *cut;
    struct commits *commits;
    struct stats_worker *stats;
    uint64_t redis_grace_ms;
    uint64_t stall_timeout_ms; /* for a stream inside a message; 0: for ever */
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

    struct allowance *allowance; /* that they are counted for, as cut_allow() was told */

    /* Calls that have ended and wait for their commit, the oldest first. */
    struct call *waiting_first, *waiting_last;

    struct gunzip_pool *gunzips; /* NULL: none was needed yet */

    struct share share;  /* what calls hold of what there is not much of */
    uint64_t request_id; /* of the last error answer; 0: none yet */
    struct log_limit error_limits[GRPC_STATUS_COUNT];
};

/* Bytes of a request's headers, name + value + 32 each, as RFC 9113, 6.5.2, counts them. */
#define CALL_HEADER_LIST_BYTES 16384

enum call_state { CALL_HEADERS, CALL_OPEN, CALL_SERVING, CALL_ENDED, CALL_ANSWERED };

#define CALL_MESSAGE_BYTES 160
#define CALL_ACK_BYTES     (FRAME_HEADER_BYTES + 11) /* a field tag and a varint of ten bytes */

/* The response's body, as far as it is there. */
struct call_output {
    const uint8_t *bytes;
    size_t length, sent;
    bool begun; /* the response's headers are on their way */
    bool ends;  /* behind these bytes there are the trailers */
};

/* What a call's message was at at the last tick; a stall is when nothing of it has changed. */
struct call_progress {
    uint64_t since_ms, received;
    uint32_t left;
    uint8_t header_have;
};

/* Shown because the connection keeps its calls in a list: `share`, `next`, `previous` and the
 * two times are the connection's to write, all else is call.c's. */
struct call {
    struct call_context *context;
    struct connection *connection;
    struct share *share; /* the connection's */
    struct nghttp2_session *session;
    struct call *next, *previous;                 /* of the connection */
    struct call *waiting_next, *waiting_previous; /* of the context */
    struct packet_feed *feed;                     /* behind the struct */
    struct allowance *allowance;                  /* of its principal */
    const struct principal *principal;            /* held; NULL: nobody known */
    const struct method *method;                  /* NULL: not known, or there is none */
    struct service *service;                      /* NULL: of StreamPackets */
    uint64_t received;                            /* packets counted, or gathered */
    uint64_t cut;                                 /* that holds the last of them */
    int32_t stream_id;
    uint64_t opened_ms, answered_ms; /* the connection's: when it saw that */
    enum call_state state;
    enum grpc_status status;
    struct frame_reader reader;
    struct gunzip *gunzip; /* of the compressed message that is under way; NULL: none is */
    bool is_inflating;     /* and has its part of SHARE_INFLATING */
    struct timer deadline; /* of its grpc-timeout */
    struct call_progress progress;
    bool client_ended;
    bool has_prefix;     /* its principal's, for all device_ids */
    bool is_counted;     /* in the statistics, as opened */
    bool is_let_in;      /* and has its part of SHARE_OPEN_CALLS */
    bool is_overload;    /* the client is told when to come again */
    uint32_t reset_code; /* for a client that goes on sending behind the answer */

    /* From the request headers. */
    bool is_post, is_head, is_grpc, is_proto, is_known_service, is_bad_encoding;
    bool is_too_large;
    bool has_timeout, is_bad_timeout, has_authorization, has_two_authorizations;
    uint32_t header_bytes;
    uint64_t timeout_ms;
    uint64_t tokens_generation; /* when its principal was last known to hold */

    struct call_output output;
    uint8_t ack[CALL_ACK_BYTES];
    char message[CALL_MESSAGE_BYTES];
};

/* Frees what calls made for themselves and one another; there must be no call left. */
void call_context_fini(struct call_context *context);

/* Returns NULL with errno ENOMEM. `context`, `connection` and its `session` are borrowed. */
struct call *call_create(struct call_context *context, struct connection *connection,
                         struct nghttp2_session *session, int32_t stream_id) MUST_CHECK;

/* Forgets the call, whatever its state; what it counted stays counted. NULL does nothing. */
void call_destroy(struct call *call);

/* Takes a request header, or a trailer. What is over CALL_HEADER_LIST_BYTES is not looked at; the
 * call is refused for it, or fails, once they are complete. */
void call_header(struct call *call, const uint8_t *name, size_t name_length, const uint8_t *value,
                 size_t value_length);

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

/* Ends an open call, of whatever method, with UNAVAILABLE; `why` is what the client is told. */
void call_interrupt(struct call *call, const char *why);

/* Answers the oldest waiting call if its cut is committed, or, when `force` is set, even if not:
 * then with UNAVAILABLE. Returns it, or NULL when there is none to answer. */
struct call *call_answer_next(struct call_context *context, bool force);

/* A timer of kind TIMER_CALL is due: the call's deadline has passed, and it ends. What it counted
 * gets a moment more to be committed, so that the error can name it. */
void call_deadline(struct timer *timer);

/* To be called once a second for each call: ends one that stopped inside a message, or whose token
 * is no longer good, and tells a health watcher of a change. */
void call_tick(struct call *call, uint64_t now_ms);

/* The response's last frame was sent: counts an Ack that is now on its way, and tells a client that
 * goes on sending to stop. */
void call_response_sent(struct call *call);

#endif
