/*
 * A session that speaks HTTP/2 through nghttp2, and asks the calls' owner to fill each DATA frame.
 */
#include "client/rpc_session_private.h"
#include "common/compiler.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

struct rpc_nghttp2 {
    struct rpc_session session; /* first */
    nghttp2_session *http2;
    const uint8_t *chunk; /* rendered by nghttp2 and not yet pulled */
    size_t chunk_left;
    struct rpc_call *finished; /* its last DATA frame is being rendered */
};

static struct rpc_nghttp2 *of(struct rpc_session *session)
{
    return (struct rpc_nghttp2 *)session;
}

static struct rpc_call *call_of(nghttp2_session *http2, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(http2, stream_id);
}

static ssize_t on_read(nghttp2_session *http2, int32_t stream_id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct rpc_nghttp2 *own = user;
    struct rpc_session *session = &own->session;
    struct rpc_call *call = call_of(http2, stream_id);
    bool end = false;
    size_t length;

    (void)source;
    if (!call) /* ended by the server; its RST_STREAM is under way */
        return NGHTTP2_ERR_DEFERRED;
    length = session->handler->fill(session->context, call, out, room, &end);
    if (end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        own->finished = call;
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
static int end_response(nghttp2_session *http2, struct rpc_call *call)
{
    int result = 0;

    if (!call->body_done)
        result =
            nghttp2_submit_rst_stream(http2, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
    rpc_session_answered(call);
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
            return end_response(http2, call);
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

/* The stream closed before the response was whole: reset by the server, or never opened because
 * GOAWAY came first. */
static int on_stream_closed(nghttp2_session *http2, int32_t stream_id, uint32_t error_code,
                            void *user)
{
    struct rpc_session *session = user;
    struct rpc_call *call = call_of(http2, stream_id);

    if (call)
        rpc_session_closed(call, error_code,
                           session->goaway_came &&
                               (error_code == NGHTTP2_REFUSED_STREAM || !call->requested));
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

static int create_http2(struct rpc_nghttp2 *own)
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
    result = nghttp2_session_client_new(&own->http2, callbacks, own);
    nghttp2_session_callbacks_del(callbacks);
    if (!result)
        result = nghttp2_submit_settings(own->http2, NGHTTP2_FLAG_NONE, NULL, 0);
    return result ? -ENOMEM : 0;
}

static void destroy(struct rpc_session *session)
{
    nghttp2_session_del(of(session)->http2);
    free(session);
}

static struct rpc_session *create(void)
{
    struct rpc_nghttp2 *own = calloc(1, sizeof *own);

    if (!own)
        return NULL;
    if (create_http2(own)) {
        destroy(&own->session);
        errno = ENOMEM;
        return NULL;
    }
    return &own->session;
}

static int start(struct rpc_session *session, struct rpc_call *call)
{
    const nghttp2_data_provider body = {.read_callback = on_read};
    nghttp2_nv fields[RPC_REQUEST_FIELDS];
    nghttp2_session *http2 = of(session)->http2;
    size_t count;

    if (!nghttp2_session_check_request_allowed(http2))
        return -ESHUTDOWN;
    count = rpc_session_request(session, fields);
    call->stream_id = nghttp2_submit_request(http2, NULL, fields, count, &body, call);
    if (call->stream_id < 0)
        return call->stream_id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ESHUTDOWN;
    return 0;
}

static void detach(struct rpc_session *session, struct rpc_call *call)
{
    struct rpc_nghttp2 *own = of(session);

    if (own->finished == call)
        own->finished = NULL;
    nghttp2_session_set_stream_user_data(own->http2, call->stream_id, NULL);
}

static void resume(struct rpc_call *call)
{
    /* The only error that is possible here says that the stream does not wait. */
    (void)nghttp2_session_resume_data(of(call->session)->http2, call->stream_id);
}

static int push(struct rpc_session *session, const uint8_t *bytes, size_t length)
{
    ssize_t result = nghttp2_session_mem_recv(of(session)->http2, bytes, length);

    if (result >= 0)
        return 0;
    return result == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
}

/* Renders the next chunk: one frame, or a part of a header block. `offset` is where it begins. */
static int render_chunk(struct rpc_nghttp2 *own, uint64_t offset)
{
    ssize_t length = nghttp2_session_mem_send(own->http2, &own->chunk);

    if (length < 0)
        return -ENOMEM;
    own->chunk_left = (size_t)length;
    if (own->finished)
        rpc_session_body_done(own->finished, offset + (uint64_t)length);
    own->finished = NULL;
    return 0;
}

static int pull(struct rpc_session *session, struct output *out)
{
    struct rpc_nghttp2 *own = of(session);
    size_t room;

    while ((room = out->size - out->used)) {
        size_t part;

        if (!own->chunk_left && render_chunk(own, session->pulled + out->length))
            return -ENOMEM;
        if (!own->chunk_left)
            break;
        part = own->chunk_left < room ? own->chunk_left : room;
        memcpy(output_claim(out, part), own->chunk, part);
        output_keep(out, part);
        own->chunk += part;
        own->chunk_left -= part;
    }
    return 0;
}

static bool idle(const struct rpc_session *session)
{
    const struct rpc_nghttp2 *own = (const struct rpc_nghttp2 *)session;

    return !own->chunk_left && !nghttp2_session_want_read(own->http2) &&
           !nghttp2_session_want_write(own->http2);
}

const struct rpc_kind rpc_nghttp2_kind = {
    .create = create,
    .destroy = destroy,
    .start = start,
    .resume = resume,
    .push = push,
    .pull = pull,
    .detach = detach,
    .idle = idle,
};
