/*
 * A client session of nghttp2 and the calls on it.
 *
 * A call ends in exactly one place, end_call(): when the response ended (END_STREAM), when its
 * stream closed without that, or when the session failed. It is then detached from its stream, so
 * whatever nghttp2 still reports about the stream finds no call.
 *
 * Output is counted by bytes, from the first byte of the connection: a call whose END_STREAM was
 * rendered waits on `ending` until the socket has taken the bytes up to there.
 */
#include "client/rpc_session.h"

#include "client/rpc_failure.h"
#include "proto/grpc.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(call_list, rpc_call);

struct rpc_session {
    nghttp2_session *http2;
    const struct rpc_handler *handler;
    void *context;
    char *authority;
    struct call_list open;   /* all calls under way */
    struct call_list ending; /* those whose END_STREAM the socket has not taken yet, in order */
    const uint8_t *chunk;    /* rendered by nghttp2 and not yet pulled */
    size_t chunk_left;
    uint64_t rendered;         /* bytes that nghttp2 rendered so far */
    struct rpc_call *finished; /* its last DATA frame is being rendered */
    bool failed;
    bool goaway_came;
    bool breached; /* the peer breaks HTTP/2 */
    uint32_t goaway_code;
};

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
    if (session->finished == call)
        session->finished = NULL;
    TAILQ_REMOVE(&session->open, call, open_link);
    nghttp2_session_set_stream_user_data(session->http2, call->stream_id, NULL);
    call->session = NULL;
    session->handler->ended(session->context, call, outcome);
}

static struct rpc_call *call_of(nghttp2_session *http2, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(http2, stream_id);
}

static ssize_t on_read(nghttp2_session *http2, int32_t stream_id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct rpc_session *session = user;
    struct rpc_call *call = call_of(http2, stream_id);
    bool end = false;
    size_t length;

    (void)source;
    if (!call) /* ended by the server; its RST_STREAM is under way */
        return NGHTTP2_ERR_DEFERRED;
    length = session->handler->fill(session->context, call, out, room, &end);
    if (end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        call->body_done = true;
        session->finished = call;
    } else if (length == 0) {
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)length;
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user)
{
    struct rpc_call *call = call_of(http2, frame->hd.stream_id);

    (void)flags;
    (void)user;
    if (call)
        rpc_reply_header(&call->reply, name, name_length, value, value_length);
    return 0;
}

static int on_data_chunk(nghttp2_session *http2, uint8_t flags, int32_t stream_id,
                         const uint8_t *bytes, size_t length, void *user)
{
    struct rpc_call *call = call_of(http2, stream_id);

    (void)flags;
    (void)user;
    if (call)
        rpc_reply_data(&call->reply, bytes, length);
    return 0;
}

/* A server that ended the response early wants nothing more of the stream: it is reset, unless
 * everything went out already. */
static int end_response(struct rpc_session *session, struct rpc_call *call)
{
    struct rpc_outcome outcome;
    int result = 0;

    if (!call->body_done)
        result = nghttp2_submit_rst_stream(session->http2, NGHTTP2_FLAG_NONE, call->stream_id,
                                           NGHTTP2_CANCEL);
    rpc_reply_judge(&call->reply, call->packets, &outcome);
    if (!call->body_done && outcome.status == GRPC_OK) {
        outcome.status = GRPC_DATA_LOSS;
        snprintf(outcome.message, sizeof outcome.message, "answered OK before all was sent");
    }
    end_call(call, &outcome);
    return nghttp2_is_fatal(result) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame_received(nghttp2_session *http2, const nghttp2_frame *frame, void *user)
{
    struct rpc_session *session = user;
    struct rpc_call *call;

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        session->goaway_came = true;
        session->goaway_code = frame->goaway.error_code;
    } else if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
               frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        call = call_of(http2, frame->hd.stream_id);
        if (call)
            return end_response(session, call);
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *http2, const nghttp2_frame *frame, void *user)
{
    struct rpc_session *session = user;
    struct rpc_call *call;

    if (frame->hd.type == NGHTTP2_GOAWAY) {
        session->breached = true; /* nothing here sends it, so nghttp2 does: it found an error */
    } else if (frame->hd.type == NGHTTP2_HEADERS) {
        call = call_of(http2, frame->hd.stream_id);
        if (call)
            call->requested = true;
    }
    return 0;
}

static void describe_goaway(const struct rpc_session *session, struct rpc_outcome *outcome)
{
    outcome->status = GRPC_UNAVAILABLE;
    snprintf(outcome->message, sizeof outcome->message, "the server is going away (%s)",
             nghttp2_http2_strerror(session->goaway_code));
}

/* The stream closed before the response was whole: reset by the server, or never opened because
 * GOAWAY came first. */
static int on_stream_closed(nghttp2_session *http2, int32_t stream_id, uint32_t error_code,
                            void *user)
{
    struct rpc_session *session = user;
    struct rpc_call *call = call_of(http2, stream_id);
    struct rpc_outcome outcome = {0};

    if (!call)
        return 0;
    if (session->goaway_came && (error_code == NGHTTP2_REFUSED_STREAM || !call->requested)) {
        describe_goaway(session, &outcome);
    } else {
        outcome.status = rpc_failure_of_reset(error_code);
        snprintf(outcome.message, sizeof outcome.message, "stream reset by the server (%s)",
                 nghttp2_http2_strerror(error_code));
    }
    rpc_reply_complete(&call->reply, &outcome);
    end_call(call, &outcome);
    return 0;
}

/* The answer of something that is no HTTP/2 server at all; it usually closes at once, before a
 * GOAWAY could be sent. */
static int on_error(nghttp2_session *http2, int error, const char *message, size_t length,
                    void *user)
{
    struct rpc_session *session = user;

    (void)http2;
    (void)message;
    (void)length;
    if (error == NGHTTP2_ERR_SETTINGS_EXPECTED)
        session->breached = true;
    return 0;
}

static int create_http2(struct rpc_session *session)
{
    nghttp2_session_callbacks *callbacks;
    int result;

    if (nghttp2_session_callbacks_new(&callbacks))
        return -ENOMEM;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    result = nghttp2_session_client_new(&session->http2, callbacks, session);
    nghttp2_session_callbacks_del(callbacks);
    if (!result)
        result = nghttp2_submit_settings(session->http2, NGHTTP2_FLAG_NONE, NULL, 0);
    return result ? -ENOMEM : 0;
}

struct rpc_session *rpc_session_create(const char *authority, const struct rpc_handler *handler,
                                       void *context)
{
    struct rpc_session *session = calloc(1, sizeof *session);

    if (!session)
        return NULL;
    TAILQ_INIT(&session->open);
    TAILQ_INIT(&session->ending);
    session->handler = handler;
    session->context = context;
    session->authority = strdup(authority);
    if (!session->authority || create_http2(session)) {
        rpc_session_destroy(session);
        errno = ENOMEM;
        return NULL;
    }
    return session;
}

void rpc_session_destroy(struct rpc_session *session)
{
    if (!session)
        return;
    nghttp2_session_del(session->http2);
    free(session->authority);
    free(session);
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof name - 1, strlen(value),                     \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }

int rpc_call_start(struct rpc_session *session, struct rpc_call *call, uint64_t packets)
{
    const nghttp2_nv fields[] = {
        FIELD(":method", "POST"),
        FIELD(":scheme", "http"),
        FIELD(":path", GRPC_PATH),
        FIELD(":authority", session->authority),
        FIELD("te", "trailers"),
        FIELD("content-type", GRPC_CONTENT_TYPE),
        FIELD("user-agent", "tally-send/" TALLYD_VERSION),
    };
    const nghttp2_data_provider body = {.read_callback = on_read};

    if (session->failed || !nghttp2_session_check_request_allowed(session->http2))
        return -ESHUTDOWN;
    call->stream_id =
        nghttp2_submit_request(session->http2, NULL, fields, ARRAY_LENGTH(fields), &body, call);
    if (call->stream_id < 0)
        return call->stream_id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ESHUTDOWN;
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
    /* The only error that is possible here says that the stream does not wait. */
    (void)nghttp2_session_resume_data(call->session->http2, call->stream_id);
}

int rpc_session_push(struct rpc_session *session, const uint8_t *bytes, size_t length)
{
    ssize_t result = nghttp2_session_mem_recv(session->http2, bytes, length);

    if (result >= 0)
        return 0;
    return result == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
}

/* Renders the next chunk: one frame, or a part of a header block. */
static int render_chunk(struct rpc_session *session)
{
    ssize_t length = nghttp2_session_mem_send(session->http2, &session->chunk);

    if (length < 0)
        return -ENOMEM;
    session->chunk_left = (size_t)length;
    session->rendered += (uint64_t)length;
    if (session->finished) {
        session->finished->end_offset = session->rendered;
        session->finished->waits_to_end = true;
        TAILQ_INSERT_TAIL(&session->ending, session->finished, ending_link);
        session->finished = NULL;
    }
    return 0;
}

int rpc_session_pull(struct rpc_session *session, uint8_t *out, size_t room)
{
    size_t used = 0, part;

    while (used < room) {
        if (!session->chunk_left && render_chunk(session))
            return -ENOMEM;
        if (!session->chunk_left)
            break;
        part = session->chunk_left < room - used ? session->chunk_left : room - used;
        memcpy(out + used, session->chunk, part);
        session->chunk += part;
        session->chunk_left -= part;
        used += part;
    }
    return (int)used;
}

void rpc_session_handed(struct rpc_session *session, size_t unsent, uint64_t now_ns)
{
    uint64_t handed = session->rendered - session->chunk_left - unsent;
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
    if (session->chunk_left || nghttp2_session_want_read(session->http2) ||
        nghttp2_session_want_write(session->http2))
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
