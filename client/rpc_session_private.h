/*
 * What the two kinds of sessions share with rpc_session.c, and with nobody else. A kind embeds
 * struct rpc_session as its first member, so that a pointer to one is a pointer to the other.
 */
#ifndef TALLYD_CLIENT_RPC_SESSION_PRIVATE_H
#define TALLYD_CLIENT_RPC_SESSION_PRIVATE_H

#include "client/rpc_session.h"

#include <nghttp2/nghttp2.h>

struct rpc_session {
    const struct rpc_kind *kind;
    const struct rpc_handler *handler;
    void *context;
    struct rpc_peer peer;
    struct rpc_call_list open;   /* all calls under way */
    struct rpc_call_list ending; /* those whose END_STREAM the socket has not taken yet, in order */
    uint64_t pulled;             /* bytes, from the first one of the connection */
    bool failed;
    bool breached; /* the peer breaks HTTP/2 */
    bool goaway_came;
    uint32_t goaway_code;
};

/* The functions of rpc_session.h whose names they bear, where nothing else is said. */
struct rpc_kind {
    /* NULL when memory is short. */
    struct rpc_session *(*create)(void);
    void (*destroy)(struct rpc_session *session);
    int (*start)(struct rpc_session *session, struct rpc_call *call);
    void (*resume)(struct rpc_call *call);
    int (*push)(struct rpc_session *session, const uint8_t *bytes, size_t length);
    int (*pull)(struct rpc_session *session, struct output *out);

    /* The call ends: nothing that comes for its stream may find it any more. */
    void (*detach)(struct rpc_session *session, struct rpc_call *call);

    /* True when nothing is left to send or to come. */
    bool (*idle)(const struct rpc_session *session);
};

extern const struct rpc_kind rpc_nghttp2_kind, rpc_replay_kind;

#define RPC_REQUEST_FIELDS 8 /* at most */

/* The header fields of a request, and their number. They point to what the session points to. */
size_t rpc_session_request(const struct rpc_session *session,
                           nghttp2_nv fields[RPC_REQUEST_FIELDS]);

/* The call's END_STREAM went out, ending at byte `end_offset` of all that is pulled. */
void rpc_session_body_done(struct rpc_call *call, uint64_t end_offset);

/* The call's response ended: judges it and ends the call. */
void rpc_session_answered(struct rpc_call *call);

/* The call's stream closed with an HTTP/2 error code before its response was whole. `never_opened`
 * says that the server did not look at it, because it is going away. */
void rpc_session_closed(struct rpc_call *call, uint32_t error_code, bool never_opened);

#endif
