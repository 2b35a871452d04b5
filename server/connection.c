/*
 * Joins a socket, an nghttp2 session, and the calls.
 *
 * The session reads straight from the worker's one receive buffer, and DATA reaches the calls as
 * pointers into it. Flow-control credit goes back automatically, since nothing is ever stored:
 * nghttp2 sends a WINDOW_UPDATE once half a window is used, so large windows make them rare.
 */
#include "server/connection.h"

#include "common/clock.h"
#include "server/stray_frames.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_WINDOW_BYTES     (4 << 20)
#define CONNECTION_WINDOW_BYTES (16 << 20)
#define MAX_STREAMS             1024              /* a connection */
#define MAX_OUTBOUND_FRAMES     (4 * MAX_STREAMS) /* waiting for a peer that does not read */

struct connection {
    struct connection_links links;
    struct connection_context *context;
    nghttp2_session *session;
    struct call *calls;     /* the newest first */
    struct call *last_call; /* the one that the last DATA was for */
    struct call *next_tick; /* where connection_tick_calls() goes on; NULL: at the first */
    struct stray_frames strays;
    int32_t last_reset; /* the stream that the client reset last */
    bool deaf;          /* it broke HTTP/2, and what it says has no meaning any more */
    int fd;
    uint64_t shut_ms; /* when the sending side was ended; 0: not yet */

    /* What nghttp2 rendered and the socket did not take; valid until the session renders more. */
    const uint8_t *output;
    size_t output_length;
};

/* ---- Bad peers ------------------------------------------------------------------------------ */

const char *connection_peer(const struct connection *connection, char peer[CONNECTION_PEER_BYTES])
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    snprintf(peer, CONNECTION_PEER_BYTES, "?");
    if (getpeername(connection->fd, (struct sockaddr *)&address, &length) == 0) {
        if (address.ss_family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, peer,
                      CONNECTION_PEER_BYTES);
        else if (address.ss_family == AF_INET6)
            inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, peer,
                      CONNECTION_PEER_BYTES);
    }
    return peer;
}

static void note_bad_peer(struct connection *connection, const char *why)
{
    struct connection_context *context = connection->context;
    char peer[CONNECTION_PEER_BYTES];

    stats_add(&context->calls.stats->bad_peers, 1);
    if (!log_limit_allows(&context->bad_peer_limit))
        return;
    log_warn("closed a connection from %s: %s (%" PRIu64 " others before it were not shown)",
             connection_peer(connection, peer), why, context->bad_peer_limit.suppressed);
}

/* ---- nghttp2's callbacks ------------------------------------------------------------------- */

static struct call *find_call(struct connection *connection, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(connection->session, stream_id);
}

/* nghttp2 resets the stream, or ends the connection. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *user)
{
    struct connection *connection = user;

    (void)session;
    (void)error;
    stream_order_cut_short(&connection->strays.order, frame->hd.stream_id);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *connection = user;
    struct call *call;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    stream_order_begin(&connection->strays.order, frame->hd.stream_id);
    call = call_create(&connection->context->calls, connection, session, frame->hd.stream_id);
    if (!call) {
        stream_order_cut_short(&connection->strays.order, frame->hd.stream_id);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    }
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
    struct call *call = find_call(user, frame->hd.stream_id);

    (void)session;
    (void)flags;
    if (!call)
        return 0;
    if (call_header(call, name, name_length, value, value_length))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
}

/* Out of line, for what it calls has arrays on the stack, and their guard would be paid for with
 * each frame of DATA. */
static NOINLINE void begin_or_end(struct connection *connection, const nghttp2_frame *frame)
{
    struct call *call = find_call(connection, frame->hd.stream_id);

    if (!call)
        return;
    if (call->state == CALL_HEADERS)
        call_begin(call);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        call_client_ended(call);
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct connection *connection = user;

    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS ||
        (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        begin_or_end(connection, frame);
    else if (frame->hd.type == NGHTTP2_RST_STREAM)
        connection->last_reset = frame->hd.stream_id;
    return 0;
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
    call_receive(call, data, length);
    return 0;
}

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

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct call *call;

    (void)session;
    /* A change of SETTINGS_INITIAL_WINDOW_SIZE that takes a window past 2^31 - 1 is an error of the
     * connection (RFC 9113, 6.9.2); nghttp2 resets a stream. WINDOW_UPDATE may share its fate. */
    if (frame->hd.type == NGHTTP2_RST_STREAM &&
        frame->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR)
        return nghttp2_session_terminate_session(session, NGHTTP2_FLOW_CONTROL_ERROR);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        note_bad_peer(user, nghttp2_http2_strerror(frame->goaway.error_code));
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    call = find_call(user, frame->hd.stream_id);
    if (call)
        call_response_sent(call);
    return 0;
}

/* ---- Create and destroy --------------------------------------------------------------------- */

static int create_session(struct connection *connection)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int error = -ENOMEM;

    if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&option))
        goto done;
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_option_set_no_closed_streams(option, 1); /* or up to MAX_STREAMS dead ones are kept */
    if (nghttp2_session_server_new2(&connection->session, callbacks, connection, option) == 0)
        error = 0;
done:
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return error;
}

static int submit_preface(nghttp2_session *session)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CALL_HEADER_LIST_BYTES},
    };

    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_LENGTH(settings)) ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW_BYTES))
        return -ENOMEM;
    return 0;
}

struct connection *connection_create(struct connection_context *context, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection) {
        close(fd);
        errno = ENOMEM;
        return NULL;
    }
    connection->context = context;
    connection->fd = fd;
    stray_frames_init(&connection->strays);
    if (create_session(connection) || submit_preface(connection->session)) {
        connection_destroy(connection);
        errno = ENOMEM;
        return NULL;
    }
    return connection;
}

void connection_destroy(struct connection *connection)
{
    if (!connection)
        return;
    while (connection->calls) {
        struct call *next = connection->calls->next;

        call_destroy(connection->calls);
        connection->calls = next;
    }
    nghttp2_session_del(connection->session);
    close(connection->fd);
    free(connection);
}

/* ---- Receive -------------------------------------------------------------------------------- */

/* True of the first line of an HTTP/1 request: "GET / HTTP/1.1". */
static bool is_http1(const uint8_t *bytes, size_t length)
{
    static const char version[] = " HTTP/1.";
    const uint8_t *line_end = memchr(bytes, '\r', length);

    return line_end && isupper(bytes[0]) &&
           memmem(bytes, (size_t)(line_end - bytes), version, sizeof version - 1);
}

/* A peer that speaks HTTP/1 gets an answer in its own words: most likely a person with curl. */
static void answer_http1(const struct connection *connection)
{
    static const char text[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        "This is tallyd's gRPC port: it speaks HTTP/2. Counts are on the HTTP port, at /metrics.\n";

    if (send(connection->fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
}

/* Gives what came to the session. Returns 0 or nghttp2's error. */
static int feed(struct connection *connection, const uint8_t *bytes, size_t length)
{
    uint32_t error = NGHTTP2_NO_ERROR;

    while (length > 0 && !error) {
        size_t n =
            stray_frames_look(&connection->strays, connection->session, bytes, length, &error);
        ssize_t used = nghttp2_session_mem_recv(connection->session, bytes, n);

        if (used < 0)
            return (int)used;
        bytes += n;
        length -= n;
    }
    if (!error)
        return 0;
    connection->deaf = true;
    return nghttp2_session_terminate_session(connection->session, error);
}

bool connection_receive(struct connection *connection)
{
    struct connection_context *context = connection->context;
    ssize_t got = recv(connection->fd, context->buffer, context->buffer_bytes, MSG_DONTWAIT);
    int error;

    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0)
        return false;
    if (connection->shut_ms || connection->deaf)
        return true;
    stats_add(&context->calls.stats->bytes_received, (uint64_t)got);
    error = feed(connection, context->buffer, (size_t)got);
    call_settle(&context->calls); /* the buffer is used again, and a cut may be answered, next */
    if (error == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        note_bad_peer(connection, "it does not speak HTTP/2 with prior knowledge, as gRPC does");
        if (is_http1(context->buffer, (size_t)got))
            answer_http1(connection);
        return false;
    }
    if (error) {
        note_bad_peer(connection, nghttp2_strerror(error));
        return false;
    }
    return true;
}

/* ---- Send ----------------------------------------------------------------------------------- */

/* The socket takes no more, and too many answers wait. */
static bool is_flooded(struct connection *connection)
{
    if (nghttp2_session_get_outbound_queue_size(connection->session) <= MAX_OUTBOUND_FRAMES)
        return false;
    note_bad_peer(connection, "it makes the server answer and does not read");
    return true;
}

/* Ends the sending side. What comes is discarded from then on, and the peer's end is awaited:
 * closing a socket with unread input would send a reset, which may overtake the last answers. */
static void shut(struct connection *connection)
{
    if (connection->shut_ms)
        return;
    connection->shut_ms = clock_now_ms();
    shutdown(connection->fd, SHUT_WR);
}

bool connection_send(struct connection *connection)
{
    for (;;) {
        ssize_t n;

        if (!connection->output_length) {
            n = nghttp2_session_mem_send(connection->session, &connection->output);
            if (n < 0)
                return false;
            if (n == 0)
                break;
            connection->output_length = (size_t)n;
        }
        n = send(connection->fd, connection->output, connection->output_length,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return (errno == EAGAIN || errno == EINTR) && !is_flooded(connection);
        connection->output += n;
        connection->output_length -= (size_t)n;
    }
    if (!nghttp2_session_want_read(connection->session) &&
        !nghttp2_session_want_write(connection->session))
        shut(connection);
    return true;
}

bool connection_wants_write(const struct connection *connection)
{
    return connection->output_length > 0;
}

void connection_announce_goaway(struct connection *connection)
{
    nghttp2_submit_shutdown_notice(connection->session);
}

void connection_goaway(struct connection *connection)
{
    nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(connection->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

void connection_interrupt(struct connection *connection)
{
    for (struct call *call = connection->calls; call; call = call->next)
        call_interrupt(call);
}

bool connection_tick_calls(struct connection *connection, uint64_t now_ms, size_t *left)
{
    struct call *call = connection->next_tick ? connection->next_tick : connection->calls;

    for (; call && *left > 0; call = call->next, --*left)
        call_tick(call, now_ms);
    connection->next_tick = call;
    return !call;
}

uint64_t connection_shut_ms(const struct connection *connection)
{
    return connection->shut_ms;
}

int connection_fd(const struct connection *connection)
{
    return connection->fd;
}

struct connection_links *connection_links(struct connection *connection)
{
    return &connection->links;
}
