/*
 * The limit of the protocol library: an nghttp2 server that discards DATA, with the windows, the
 * options and the receive buffer of tallyd, and an Ack at a stream's end. What tallyd needs more
 * than this goes to framing, scanning and counting.
 *
 * It never looks into the messages. So that a client that checks its Acks is content, it can be
 * told how long each message is on the wire; the Ack then says the stream's bytes by that length,
 * and 0 otherwise.
 */
#include "loop.h"
#include "program.h"
#include "proto/frame.h"
#include "proto/grpc.h"
#include "proto/telemetry.pb-c.h"

#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

/* As in server/connection.c. */
#define STREAM_WINDOW_BYTES     (4 << 20)
#define CONNECTION_WINDOW_BYTES (16 << 20)
#define MAX_STREAMS             1024

struct options {
    uint64_t port, message_bytes;
    bool help;
};

static const struct opt_row rows[] = {
    PROGRAM_NUMBER("port", port, "0", 0, 65535, "PORT", "TCP port of 127.0.0.1; 0 is a free one"),
    PROGRAM_NUMBER("message-bytes", message_bytes, "0", 0, UINT32_MAX, "BYTES",
                   "length of every message with its 5-byte prefix, for the Acks; 0 acknowledges 0 "
                   "messages"),
    PROGRAM_HELP,
};

static const struct opt_table table = {
    .synopsis = "Usage: bench_h2_discard [options]\n\n"
                "Receives HTTP/2 and discards its DATA until SIGTERM, then prints how many bytes\n"
                "of DATA and how many streams came, as JSON.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

struct server {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    uint64_t message_bytes;
    uint64_t data_bytes, streams; /* of the streams that ended */
};

struct connection {
    struct server *server;
    nghttp2_session *session;
    int fd;

    /* The stream that the last DATA was for, and how much DATA it has had. The other streams'
     * bytes lie in nghttp2, in place of a pointer to user data. */
    int32_t stream_id;
    uintptr_t stream_bytes;
};

#define HEADER(n, v)                                                                               \
    {                                                                                              \
        .name = (uint8_t *)(n), .value = (uint8_t *)(v), .namelen = sizeof(n) - 1,                 \
        .valuelen = sizeof(v) - 1                                                                  \
    }

/* ---- nghttp2's callbacks ------------------------------------------------------------------- */

static void select_stream(struct connection *connection, int32_t stream_id)
{
    nghttp2_session *session = connection->session;

    if (likely(connection->stream_id == stream_id))
        return;
    /* Fails when that stream is over: then nobody asks for its bytes any more. */
    nghttp2_session_set_stream_user_data(session, connection->stream_id,
                                         (void *)connection->stream_bytes);
    connection->stream_id = stream_id;
    connection->stream_bytes = (uintptr_t)nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t length, void *user)
{
    struct connection *connection = user;

    (void)session;
    (void)flags;
    (void)data;
    select_stream(connection, stream_id);
    connection->stream_bytes += length;
    return 0;
}

static ssize_t read_ack(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t size,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    const nghttp2_nv trailers[] = {HEADER("grpc-status", "0")};
    Telemetry__Ack ack = TELEMETRY__ACK__INIT;
    size_t length;

    (void)user;
    ack.received = (uintptr_t)source->ptr;
    length = telemetry__ack__get_packed_size(&ack);
    if (size < FRAME_HEADER_BYTES + length)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    frame_write_header(out, (uint32_t)length);
    telemetry__ack__pack(&ack, out + FRAME_HEADER_BYTES);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(session, stream_id, trailers, ARRAY_LENGTH(trailers)))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return (ssize_t)(FRAME_HEADER_BYTES + length);
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    const nghttp2_nv headers[] = {HEADER(":status", "200"),
                                  HEADER("content-type", GRPC_CONTENT_TYPE)};
    struct connection *connection = user;
    struct server *server = connection->server;
    nghttp2_data_provider body = {.read_callback = read_ack};

    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    select_stream(connection, frame->hd.stream_id);
    server->data_bytes += connection->stream_bytes;
    server->streams++;
    if (server->message_bytes)
        body.source.ptr = (void *)(uintptr_t)(connection->stream_bytes / server->message_bytes);
    if (nghttp2_submit_response(session, frame->hd.stream_id, headers, ARRAY_LENGTH(headers),
                                &body))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

/* ---- Connections ---------------------------------------------------------------------------- */

static void close_connection(void *own)
{
    struct connection *connection = own;

    nghttp2_session_del(connection->session);
    free(connection);
}

static void *open_connection(void *context, int fd)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
    };
    struct server *server = context;
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    connection->server = server;
    connection->fd = fd;
    if (nghttp2_session_server_new2(&connection->session, server->callbacks, connection,
                                    server->option) ||
        nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings,
                                ARRAY_LENGTH(settings)) ||
        nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW_BYTES)) {
        close_connection(connection);
        return NULL;
    }
    return connection;
}

static bool receive(void *own, const uint8_t *bytes, size_t length)
{
    struct connection *connection = own;
    const uint8_t *output;
    ssize_t n = nghttp2_session_mem_recv(connection->session, bytes, length);

    if (n < 0)
        return false;
    while ((n = nghttp2_session_mem_send(connection->session, &output)) > 0) {
        if (loop_send(connection->fd, output, (size_t)n))
            return false;
    }
    return n == 0;
}

/* ---- The program ---------------------------------------------------------------------------- */

static int prepare(struct server *server)
{
    nghttp2_session_callbacks *callbacks;

    if (nghttp2_session_callbacks_new(&server->callbacks) || nghttp2_option_new(&server->option))
        return -1;
    callbacks = server->callbacks;
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_option_set_no_closed_streams(server->option, 1);
    return 0;
}

int main(int argc, char **argv)
{
    const struct loop_handler handler = {open_connection, receive, close_connection};
    struct server server = {0};
    struct options options = {0};
    int error;

    program_options("bench_h2_discard", &table, &options, &options.help, argc, argv);
    server.message_bytes = options.message_bytes;
    if (prepare(&server)) {
        fprintf(stderr, "bench_h2_discard: out of memory\n");
        return EXIT_FAILURE;
    }
    error = loop_run((uint16_t)options.port, &handler, &server);
    if (error) {
        fprintf(stderr, "bench_h2_discard: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    printf("{\"data_bytes\": %" PRIu64 ", \"streams\": %" PRIu64 "}\n", server.data_bytes,
           server.streams);
    nghttp2_session_callbacks_del(server.callbacks);
    nghttp2_option_del(server.option);
    return EXIT_SUCCESS;
}
