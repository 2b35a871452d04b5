/*
 * What a session is whichever HTTP/2 it speaks: the calls on it, how they end, and what is told of
 * them.
 *
 * A call ends in exactly one place, end_call(): when the response ended (END_STREAM), when its
 * stream closed without that, or when the session failed. It is then detached from its stream, so
 * whatever is still reported about the stream finds no call.
 *
 * Output is counted by bytes, from the first byte of the connection: a call whose END_STREAM was
 * rendered waits on `ending` until the socket has taken the bytes up to there.
 */
#include "client/rpc_session.h"

#include "client/rpc_failure.h"
#include "client/rpc_session_private.h"
#include "proto/grpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rpc_session *rpc_session_create(const struct rpc_peer *peer,
                                       const struct rpc_handler *handler, void *context)
{
    const struct rpc_kind *kind = handler->frames ? &rpc_replay_kind : &rpc_nghttp2_kind;
    struct rpc_session *session = kind->create();

    if (!session)
        return NULL;
    session->kind = kind;
    session->handler = handler;
    session->context = context;
    session->peer = *peer;
    TAILQ_INIT(&session->open);
    TAILQ_INIT(&session->ending);
    return session;
}

void rpc_session_destroy(struct rpc_session *session)
{
    if (session)
        session->kind->destroy(session);
}

#define FIELD(name, value)                                                                         \
    (nghttp2_nv)                                                                                   \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof name - 1, strlen(value),                     \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }

size_t rpc_session_request(const struct rpc_session *session, nghttp2_nv fields[RPC_REQUEST_FIELDS])
{
    size_t count = 0;

    fields[count++] = FIELD(":method", "POST");
    fields[count++] = FIELD(":scheme", session->peer.secure ? "https" : "http");
    fields[count++] = FIELD(":path", GRPC_PATH);
    fields[count++] = FIELD(":authority", session->peer.authority);
    fields[count++] = FIELD("te", "trailers");
    fields[count++] = FIELD("content-type", GRPC_CONTENT_TYPE);
    fields[count++] = FIELD("user-agent", "tally-send/" TALLYD_VERSION);
    if (*session->peer.authorization)
        fields[count++] = FIELD("authorization", session->peer.authorization);
    return count;
}

int rpc_call_start(struct rpc_session *session, struct rpc_call *call, uint64_t packets)
{
    int error;

    if (session->failed || session->goaway_came)
        return -ESHUTDOWN;
    error = session->kind->start(session, call);
    if (error)
        return error;
    call->session = session;
    call->packets = packets;
    call->ended_ns = 0;
    call->requested = call->body_done = call->waits_to_end = false;
    rpc_reply_init(&call->reply);
    TAILQ_INSERT_TAIL(&session->open, call, open_link);
    return 0;
}

void rpc_call_resume(struct rpc_call *call)
{
    call->session->kind->resume(call);
}

static void leave_ending(struct rpc_call *call)
{
    if (call->waits_to_end)
        TAILQ_REMOVE(&call->session->ending, call, ending_link);
    call->waits_to_end = false;
}

static void end_call(struct rpc_call *call, const struct rpc_outcome *outcome)
{
    struct rpc_session *session = call->session;

    leave_ending(call);
    TAILQ_REMOVE(&session->open, call, open_link);
    session->kind->detach(session, call);
    call->session = NULL;
    session->handler->ended(session->context, call, outcome);
}

void rpc_session_body_done(struct rpc_call *call, uint64_t end_offset)
{
    call->body_done = true;
    call->end_offset = end_offset;
    call->waits_to_end = true;
    TAILQ_INSERT_TAIL(&call->session->ending, call, ending_link);
}

void rpc_session_answered(struct rpc_call *call)
{
    struct rpc_outcome outcome;

    rpc_reply_judge(&call->reply, call->packets, &outcome);
    if (!call->body_done && outcome.status == GRPC_OK) {
        outcome.status = GRPC_DATA_LOSS;
        snprintf(outcome.message, sizeof outcome.message, "answered OK before all was sent");
    }
    end_call(call, &outcome);
}

static void describe_goaway(const struct rpc_session *session, struct rpc_outcome *outcome)
{
    outcome->status = GRPC_UNAVAILABLE;
    outcome->come_again = session->goaway_code == NGHTTP2_NO_ERROR;
    snprintf(outcome->message, sizeof outcome->message, "the server is going away (%s)",
             nghttp2_http2_strerror(session->goaway_code));
}

void rpc_session_closed(struct rpc_call *call, uint32_t error_code, bool never_opened)
{
    struct rpc_outcome outcome = {0};

    if (never_opened) {
        describe_goaway(call->session, &outcome);
    } else {
        outcome.status = rpc_failure_of_reset(error_code);
        snprintf(outcome.message, sizeof outcome.message, "stream reset by the server (%s)",
                 nghttp2_http2_strerror(error_code));
    }
    rpc_reply_complete(&call->reply, &outcome);
    end_call(call, &outcome);
}

int rpc_session_push(struct rpc_session *session, const uint8_t *bytes, size_t length)
{
    return session->kind->push(session, bytes, length);
}

int rpc_session_pull(struct rpc_session *session, struct output *out)
{
    int error = session->kind->pull(session, out);

    session->pulled += out->length;
    return error;
}

void rpc_session_handed(struct rpc_session *session, size_t unsent, uint64_t now_ns)
{
    uint64_t handed = session->pulled - unsent;
    struct rpc_call *call;

    while ((call = TAILQ_FIRST(&session->ending)) && call->end_offset <= handed) {
        call->ended_ns = now_ns;
        leave_ending(call);
    }
}

bool rpc_session_over(const struct rpc_session *session, struct rpc_outcome *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    if (session->breached) {
        outcome->status = GRPC_INTERNAL;
        snprintf(outcome->message, sizeof outcome->message, "the peer breaks the rules of HTTP/2");
        return true;
    }
    if (!session->kind->idle(session))
        return false;
    describe_goaway(session, outcome);
    return true;
}

size_t rpc_session_fail(struct rpc_session *session, const struct rpc_outcome *outcome)
{
    struct rpc_call *call;
    size_t count = 0;

    session->failed = true;
    while ((call = TAILQ_FIRST(&session->open))) {
        struct rpc_outcome own = *outcome;

        rpc_reply_complete(&call->reply, &own);
        end_call(call, &own);
        count++;
    }
    return count;
}
