/*
 * The HTTP/2 and gRPC side of one connection: calls of StreamPackets in, bytes out; bytes in,
 * outcomes out. It knows no socket (client/channel.h does) and not what a call sends: its owner
 * fills the DATA frames, or writes them whole. The HTTP/2 of the first way is nghttp2's, that of
 * the second our own (client/rpc_replay.c). One thread.
 */
#ifndef TALLYD_CLIENT_RPC_SESSION_H
#define TALLYD_CLIENT_RPC_SESSION_H

#include "client/output.h"
#include "client/rpc_reply.h"
#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct rpc_session;

/* One call. Its owner embeds it zeroed, and may use it again once it ended; `session` and
 * `ended_ns` may be read, all else belongs to the session. */
struct rpc_call {
    struct rpc_session *session; /* NULL while it is not under way */
    uint64_t ended_ns;           /* when its END_STREAM was handed to the socket; 0: not yet */
    uint64_t packets;
    uint64_t end_offset; /* of its END_STREAM in the session's output */
    int32_t stream_id;
    bool requested;    /* its request went out */
    bool body_done;    /* its last byte was filled in */
    bool waits_to_end; /* on the session's list `ending` */
    struct rpc_reply reply;
    TAILQ_ENTRY(rpc_call) open_link, ending_link;

    /* These are rpc_replay.c's. */
    int64_t window;   /* bytes that the server lets the stream send */
    uint32_t unasked; /* bytes of the response that no credit was given back for */
    bool queued;      /* on one of the session's queues, by queue_link */
    bool paused;      /* its owner had nothing to send */
    TAILQ_ENTRY(rpc_call) queue_link;
    LIST_ENTRY(rpc_call) bucket_link;
};

TAILQ_HEAD(rpc_call_list, rpc_call);

/* What the owner of the calls does. `context` is the one given to rpc_session_create(). None of
 * these may destroy the session or push to or pull from it. Of `fill` and `frames` one is NULL. */
struct rpc_handler {
    /* Writes up to `room` bytes of the call's body to `out` and returns their number; sets *end
     * with the last. 0 without *end means nothing now: rpc_call_resume() makes it ask again. */
    size_t (*fill)(void *context, struct rpc_call *call, uint8_t *out, size_t room, bool *end);

    /* The same with DATA frames for the stream `stream_id`: appends some to `out`, which has room
     * for a full one, with `window` bytes of payload in all at most, and END_STREAM in the last. */
    size_t (*frames)(void *context, struct rpc_call *call, int32_t stream_id, struct output *out,
                     size_t window, bool *end);

    /* The call ended; it is the owner's again and may be started from inside. */
    void (*ended)(void *context, struct rpc_call *call, const struct rpc_outcome *outcome);
};

/* Who is spoken to, and how; the strings are borrowed as long as the session lives. */
struct rpc_peer {
    const char *authority;     /* "host:port" */
    bool secure;               /* through TLS */
    const char *authorization; /* the header's value; "": none */
};

/* `peer` is copied; `handler` and `context` are borrowed. NULL with errno ENOMEM. Destroying ends
 * no calls: rpc_session_fail() does. */
struct rpc_session *rpc_session_create(const struct rpc_peer *peer,
                                       const struct rpc_handler *handler, void *context) MUST_CHECK;
void rpc_session_destroy(struct rpc_session *session);

/* Starts a call of `packets` packets, the number that its Ack must name. Returns 0, -ESHUTDOWN
 * when the session takes no calls any more (GOAWAY came, or it failed), or -ENOMEM. */
int rpc_call_start(struct rpc_session *session, struct rpc_call *call, uint64_t packets) MUST_CHECK;

/* Makes the session ask a call that had nothing to send for more. */
void rpc_call_resume(struct rpc_call *call);

/* Takes bytes that the server sent. Returns 0, -EPROTO when they are not HTTP/2 (most breaches
 * are answered by a GOAWAY instead, after which the session is over) or -ENOMEM. */
int rpc_session_push(struct rpc_session *session, const uint8_t *bytes, size_t length) MUST_CHECK;

/* Appends bytes for the server to `out`, which is empty; it stays so when there is nothing to send
 * now. Returns 0 or -ENOMEM. */
int rpc_session_pull(struct rpc_session *session, struct output *out) MUST_CHECK;

/* Tells that all bytes pulled so far but the last `unsent` were handed to the socket at `now_ns`.
 * From it come the calls' `ended_ns`. */
void rpc_session_handed(struct rpc_session *session, size_t unsent, uint64_t now_ns);

/* True when nothing will be sent or understood any more; `outcome` then says why. */
bool rpc_session_over(const struct rpc_session *session, struct rpc_outcome *outcome);

/* Ends all calls under way as `outcome` says, and takes no more. Returns their number. */
size_t rpc_session_fail(struct rpc_session *session, const struct rpc_outcome *outcome);

#endif
