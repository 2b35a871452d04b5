/*
 * What the parts of a connection share, and nobody else: connection.c says who does what.
 * Thread: worker.
 */
#ifndef TALLYD_SERVER_CONNECTION_PRIVATE_H
#define TALLYD_SERVER_CONNECTION_PRIVATE_H

#include "server/connection.h"
#include "server/guard.h"
#include "server/stray_frames.h"
#include "server/transport.h"
#include "server/turn.h"

#include <nghttp2/nghttp2.h>

/* Why a peer is to be sent away; `why` is NULL as long as it is not. */
struct connection_verdict {
    enum bad_peer_reason reason;
    const char *why;   /* for the log: "it ..." */
    const char *debug; /* for GOAWAY; NULL: `why` */
};

struct connection {
    struct connection_links links;
    struct connection_context *context;
    nghttp2_session *session;
    struct call *calls;     /* the newest first */
    struct call *last_call; /* the one that the last DATA was for */
    struct call *next_tick; /* where connection_tick_calls() goes on; NULL: at the first */
    struct share share;     /* of what its calls hold */
    struct stray_frames strays;
    int32_t last_reset;    /* the stream that the client reset last */
    bool prefaced;         /* our preface is rendered */
    bool must_say_last;    /* that a GOAWAY with the last stream is due: say_last_stream() */
    bool deaf;             /* it broke HTTP/2, and what it says has no meaning any more */
    size_t useful;         /* bytes of DATA that the last receive brought to calls */
    bool completed;        /* it completed a frame of another type */
    bool greeted;          /* the peer's preface is complete, its SETTINGS included */
    bool in_headers;       /* a header block has begun and not ended */
    bool noted;            /* it is counted as a bad peer */
    uint32_t header_bytes; /* of this header list, as RFC 9113, 6.5.2, counts them */
    struct turn turn;
    size_t got;  /* by the last receive */
    bool filled; /* it was all that was asked for: there may be more */
    struct transport transport;
    struct guard guard;
    struct connection_verdict verdict;
    struct address *address;

    struct timer timer;
    uint64_t received_ms; /* the last bytes */
    uint64_t partial_ms;  /* since when something is not complete; 0: nothing is */
    size_t partial_bytes; /* that have come since then */
    uint64_t blocked_ms;  /* since when the socket takes nothing; 0: it does */
    uint64_t pinged_ms;   /* when we pinged; 0: no answer is awaited */
    uint64_t age_ms;      /* when the next step of its ageing is due; 0: never */
    int age_step;
    uint64_t shut_ms; /* when the sending side was ended; 0: not yet */
    size_t discarded; /* bytes that came since */

    /* What the socket did not take, in memory of its own. */
    uint8_t *output;
    size_t output_length, output_sent;
};

/* connection.c */

/* Ends every open call because the connection has reached its age. */
void connection_retire(struct connection *connection);

/* connection_send.c */

/* Of the buffer that output is gathered in. nghttp2 renders a frame, or at most 64 KiB of headers,
 * at once. */
#define CONNECTION_OUTPUT_BYTES (128 << 10)

/* Starts the clock of a socket that takes nothing, for output or for TLS that receiving cannot go
 * on without, and stops it when there is nothing of that any more. */
void connection_note_blocked(struct connection *connection);

/* Ends the sending side. */
void connection_shut(struct connection *connection);

void connection_drop_output(struct connection *connection);

/* connection_refusal.c */

/* Counts and logs a bad peer, once a connection. */
void connection_note_bad_peer(struct connection *connection, const struct connection_verdict *why);

/* Sends a bad peer away: counts it, tells it with GOAWAY, and ends the sending side. */
void connection_dismiss(struct connection *connection, const struct connection_verdict *verdict,
                        uint32_t http2_error);

/* What becomes of a connection from which transport_receive() gets no more; returns what
 * connection_receive() shall. And the end of one whose input the session refuses with an error of
 * nghttp2's, `length` bytes in the buffer. */
bool connection_end_input(struct connection *connection, ssize_t result) MUST_CHECK;
void connection_refuse_input(struct connection *connection, int error, size_t length);

/* connection_guard.c: for nghttp2's callbacks, which return what these do. All but the first return
 * 0 or, once the peer is past a bound, condemn it. */

/* Leaves the verdict. Returns NGHTTP2_ERR_CALLBACK_FAILURE, which ends what is under way. */
int connection_condemn(struct connection *connection, enum bad_peer_reason reason, const char *why,
                       const char *debug);

/* A frame that carries nothing. */
int connection_take_idle(struct connection *connection);

/* A stream is reset, by either side; `call` is NULL when it had none. */
int connection_take_reset(struct connection *connection, const struct call *call);

/* A frame that is neither HEADERS nor DATA, or is DATA without data. */
int connection_take_other(struct connection *connection, const nghttp2_frame *frame);

/* connection_session.c */

int connection_session_init(struct connection_context *context) MUST_CHECK;
void connection_session_fini(struct connection_context *context);

/* Makes the session, with the server's preface to be sent. Returns 0 or -ENOMEM. */
int connection_session_create(struct connection *connection) MUST_CHECK;

/* To be called with the first frame that the session renders, before it is sent. */
void connection_session_preface(const struct connection *connection, uint8_t *frame, size_t length);

/* connection_timer.c */

/* Sets the timer for the first time. Returns 0 or -ENOMEM. */
int connection_timer_init(struct connection *connection) MUST_CHECK;

/* Has the timer come at `due_ms` or before. */
void connection_timer_hurry(struct connection *connection, uint64_t due_ms);

#endif
