/*
 * What nghttp2 tells of: streams become calls, DATA reaches them as pointers into the receive
 * buffer, and what serves nobody is counted by the guard.
 *
 * A peer that is past a bound cannot be sent away from inside a callback. The callback leaves its
 * verdict in the connection and returns NGHTTP2_ERR_CALLBACK_FAILURE, which ends the input or
 * output that is under way; whoever began that acts on the verdict.
 */
#include "common/load.h"
#include "server/connection_private.h"

#include <errno.h>
#include <string.h>

#define STREAM_WINDOW_BYTES     (4 << 20)
#define CONNECTION_WINDOW_BYTES (16 << 20)
#define MAX_STREAMS_AT          (9 + 2) /* behind the frame's header and the entry's id */

/* A header block may be spread over so many frames, and grow to so many bytes before work on it
 * stops. What is over CALL_HEADER_LIST_BYTES is answered, so that a client whose headers are a bit
 * too large hears of it; a block of references to one large entry is not worth an answer. */
#define MAX_CONTINUATIONS     128
#define HEADER_BYTES_ANSWERED (4 * CALL_HEADER_LIST_BYTES)

static struct call *find_call(struct connection *connection, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(connection->session, stream_id);
}

/* ---- Headers and DATA ----------------------------------------------------------------------- */

/* Past --max-streams, or its part of what the worker has. nghttp2 would end the connection (see
 * connection_session_create()); a stream that is refused can come again. Its resets are counted
 * here, since they wait to be sent. */
static int refuse_stream(struct connection *connection, int32_t stream_id)
{
    stream_order_cut_short(&connection->strays.order, stream_id);
    if (!guard_reset(&connection->guard, 0, connection->context->now_ms))
        return connection_condemn(connection, BAD_PEER(reset),
                                  "it opens too many streams past what there is room for", NULL);
    nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream_id,
                              NGHTTP2_REFUSED_STREAM);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *connection = user;
    struct call *call;

    connection->in_headers = true;
    connection->partial_ms = 0; /* of this block; see note_progress() in connection_receive.c */
    connection->header_bytes = 0;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    stream_order_begin(&connection->strays.order, frame->hd.stream_id);
    if (connection->share.held[SHARE_CALLS] >= connection->context->options.max_streams ||
        !share_take(&connection->context->calls.share, &connection->share, SHARE_CALLS, 1))
        return refuse_stream(connection, frame->hd.stream_id);
    call = call_create(&connection->context->calls, connection, session, frame->hd.stream_id);
    if (!call) {
        share_give(&connection->context->calls.share, &connection->share, SHARE_CALLS, 1);
        connection->in_headers = false;
        stream_order_cut_short(&connection->strays.order, frame->hd.stream_id);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    }
    call->share = &connection->share;
    call->opened_ms = connection->context->now_ms;
    call->next = connection->calls;
    if (call->next)
        call->next->previous = call;
    connection->calls = call;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user)
{
    struct connection *connection = user;
    struct call *call = find_call(connection, frame->hd.stream_id);

    (void)session;
    (void)flags;
    connection->header_bytes += (uint32_t)(name_length + value_length + 32);
    if (connection->header_bytes > HEADER_BYTES_ANSWERED)
        return connection_condemn(connection, BAD_PEER(headers),
                                  "its request headers are far over the limit", NULL);
    if (call)
        call_header(call, name, name_length, value, value_length);
    return 0;
}

/* Out of line, for what it calls has arrays on the stack, and their guard would be paid for with
 * each frame of DATA. */
static NOINLINE void begin_or_end(struct connection *connection, const nghttp2_frame *frame)
{
    struct call *call = find_call(connection, frame->hd.stream_id);

    connection->completed = true;
    connection->in_headers = false;
    if (!call)
        return;
    if (call->state == CALL_HEADERS)
        call_begin(call);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        call_client_ended(call);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t length, void *user)
{
    struct connection *connection = user;
    struct call *call = connection->last_call;

    (void)session;
    (void)flags;
    if (unlikely(!call || call->stream_id != stream_id)) {
        call = find_call(connection, stream_id);
        if (!call)
            return 0;
        connection->last_call = call;
    }
    connection->useful += length;
    call_receive(call, data, length);
    return 0;
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS ||
        (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        begin_or_end(user, frame);
        return 0;
    }
    if (likely(frame->hd.type == NGHTTP2_DATA && frame->hd.length > frame->data.padlen))
        return 0;
    return connection_take_other(user, frame);
}

/* A frame that breaks a rule, but not so that the connection has to end: a reset of ours, or
 * nothing, is the answer. Resets are counted when they are sent. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *user)
{
    struct connection *connection = user;

    (void)session;
    (void)error;
    stream_order_cut_short(&connection->strays.order, frame->hd.stream_id);
    connection->in_headers = false;
    return connection_take_idle(connection);
}

/* A frame of a type that nobody has defined: to be ignored (RFC 9113, 5.5), but not for ever. */
static int on_unknown_frame(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                            void *user)
{
    struct connection *connection = user;
    int result;

    (void)session;
    (void)payload;
    (void)hd;
    connection->completed = true;
    result = connection_take_idle(connection);
    return result ? result : NGHTTP2_ERR_CANCEL;
}

/* ---- Ends, and what was sent ---------------------------------------------------------------- */

static int on_stream_closed(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user)
{
    struct connection *connection = user;
    struct call *call = find_call(connection, stream_id);

    (void)session;
    (void)error;
    if (!call)
        return 0;
    if (!call->client_ended && stream_id != connection->last_reset)
        stream_order_cut_short(&connection->strays.order, stream_id);
    stray_frames_closed(&connection->strays);
    if (call == connection->last_call)
        connection->last_call = NULL;
    if (call == connection->next_tick)
        connection->next_tick = call->next;
    if (call->previous)
        call->previous->next = call->next;
    else
        connection->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call_destroy(call);
    return 0;
}

/* nghttp2 ends the connection itself, because of an error that it has found. */
static void note_goaway(struct connection *connection, const nghttp2_goaway *goaway)
{
    const struct connection_verdict verdict = {
        goaway->error_code == NGHTTP2_ENHANCE_YOUR_CALM ? BAD_PEER(flood) : BAD_PEER(protocol),
        nghttp2_http2_strerror(goaway->error_code),
        NULL,
    };

    if (goaway->error_code != NGHTTP2_NO_ERROR)
        connection_note_bad_peer(connection, &verdict);
}

/* Resets that we decide on, as CANCEL at a deadline, are not the peer's doing; those of
 * refuse_stream() are counted already. */
static bool is_provoked(uint32_t error)
{
    return error != NGHTTP2_NO_ERROR && error != NGHTTP2_CANCEL && error != NGHTTP2_REFUSED_STREAM;
}

static int take_reset_sent(struct connection *connection, const nghttp2_frame *frame)
{
    uint32_t error = frame->rst_stream.error_code;

    /* A change of SETTINGS_INITIAL_WINDOW_SIZE that takes a window past 2^31 - 1 is an error of the
     * connection (RFC 9113, 6.9.2); nghttp2 resets a stream. WINDOW_UPDATE may share its fate. */
    if (error == NGHTTP2_FLOW_CONTROL_ERROR)
        return nghttp2_session_terminate_session(connection->session, error);
    if (!is_provoked(error))
        return 0;
    return connection_take_reset(connection, find_call(connection, frame->hd.stream_id));
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *connection = user;
    struct call *call;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        guard_sent(&connection->guard);
        if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            return 0;
        call = find_call(connection, frame->hd.stream_id);
        if (call)
            call_response_sent(call);
        return 0;
    case NGHTTP2_RST_STREAM:
        return take_reset_sent(connection, frame);
    case NGHTTP2_GOAWAY:
        note_goaway(connection, &frame->goaway);
        return 0;
    default:
        return 0;
    }
}

/* ---- The session ---------------------------------------------------------------------------- */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unknown_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

/* nghttp2's own bounds behind the guard's: 32 entries in SETTINGS, 1,000 answers to SETTINGS and
 * PING that wait to be sent. Its limit of resets is set above ours, which tells whose fault it was.
 */
static void set_options(nghttp2_option *option, uint32_t max_streams)
{
    nghttp2_option_set_no_closed_streams(option, 1); /* or up to max_streams dead ones are kept */
    for (int type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
#ifdef HAVE_NGHTTP2_MAX_CONTINUATIONS
    nghttp2_option_set_max_continuations(option, MAX_CONTINUATIONS);
#endif
#ifdef HAVE_NGHTTP2_RESET_RATE_LIMIT
    nghttp2_option_set_stream_reset_rate_limit(option, 4 * (uint64_t)max_streams + 1000, 1000);
#else
    (void)max_streams;
#endif
}

int connection_session_init(struct connection_context *context)
{
    if (nghttp2_session_callbacks_new(&context->callbacks) ||
        nghttp2_option_new(&context->session_options))
        return -ENOMEM;
    set_callbacks(context->callbacks);
    set_options(context->session_options, context->options.max_streams);
    return 0;
}

void connection_session_fini(struct connection_context *context)
{
    nghttp2_session_callbacks_del(context->callbacks);
    nghttp2_option_del(context->session_options);
}

/*
 * nghttp2 ends the connection when a client opens a stream too many, where RFC 9113, 5.1.2, has an
 * error of the stream, which clients get over. So it is told that there may be any number, and the
 * true one is written into the frame that goes out first.
 */
void connection_session_preface(const struct connection *connection, uint8_t *frame, size_t length)
{
    uint32_t value = connection->context->options.max_streams;

    if (length < MAX_STREAMS_AT + 4 || frame[3] != NGHTTP2_SETTINGS)
        return;
    store_be32(frame + MAX_STREAMS_AT, value);
}

int connection_session_create(struct connection *connection)
{
    struct connection_context *context = connection->context;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, INT32_MAX}, /* at MAX_STREAMS_AT */
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CALL_HEADER_LIST_BYTES},
    };

    if (nghttp2_session_server_new2(&connection->session, context->callbacks, connection,
                                    context->session_options) ||
        nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings,
                                ARRAY_LENGTH(settings)) ||
        nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW_BYTES))
        return -ENOMEM;
    return 0;
}
