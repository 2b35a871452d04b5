/*
 * Renders the session by the contract's own code (protobuf-c, nghttp2's HPACK) and cuts it into
 * DATA frames by hand: all but the last are of one size, so the payload in any part of a pass,
 * which is what counts against the windows, is simple arithmetic.
 */
#include "tests/bench/ingest_client.h"

#include "proto/frame.h"
#include "proto/grpc.h"
#include "proto/telemetry.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES         9 /* of a frame: RFC 9113, 4.1 */
#define STREAM_ID          1
#define FIRST_WINDOW_BYTES 65535 /* before any SETTINGS: RFC 9113, 6.9.2 */
#define SETTING_BYTES      6
#define READ_BYTES         65536
#define REQUEST_BYTES      1024
#define MIN_DIGITS         3
#define ID_BYTES           40
#define SHORT_MAX_BYTES    127 /* a length of one byte */
#define TIMESTAMP_MS       1700000000000
#define GOLDEN             0x9e3779b97f4a7c15u

struct ingest_client {
    struct ingest_client_options options;
    int fd;
    int digits;         /* of a device's number */
    uint64_t *expected; /* packets of a pass, by device */
    uint8_t *pass;      /* DATA frames */
    size_t pass_bytes, frame_payload_bytes;
    size_t sent; /* of this pass */
    int64_t connection_window, stream_window;
    bool settings_came, answered;
    size_t held; /* bytes of a frame that is not whole yet */
    uint8_t input[READ_BYTES];
};

_Noreturn void ingest_die(const char *format, ...)
{
    va_list args;

    fputs("ingest_loop: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static void *take_memory(size_t bytes)
{
    void *memory = calloc(1, bytes);

    if (!memory)
        ingest_die("no memory for %zu bytes", bytes);
    return memory;
}

/* ---- Render --------------------------------------------------------------------------------- */

/* Devices in no order, the same in every run: splitmix64 (Steele, Lea, Flood, 2014). */
static uint64_t device_of(const struct ingest_client *client, uint64_t packet)
{
    uint64_t value = (packet + 1) * GOLDEN;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return (value ^ value >> 31) % client->options.devices;
}

/* Writes one message with its framing to `out`, which has room for exactly that. */
static void render_packet(struct ingest_client *client, uint64_t packet, uint8_t *out)
{
    static uint8_t payload[INGEST_FRAME_MAX_BYTES];
    Telemetry__Packet message = TELEMETRY__PACKET__INIT;
    uint64_t device = device_of(client, packet);
    size_t want = client->options.packet_bytes, empty;
    char id[ID_BYTES];

    snprintf(id, sizeof id, "device-%0*" PRIu64, client->digits, device);
    client->expected[device]++;
    message.device_id = id;
    message.timestamp = TIMESTAMP_MS;
    empty = telemetry__packet__get_packed_size(&message);
    message.payload.data = payload;
    if (want > empty + 2) {
        message.payload.len = want - empty - 2; /* a tag and a length */
        if (message.payload.len > SHORT_MAX_BYTES)
            message.payload.len--;
    }
    if (telemetry__packet__get_packed_size(&message) != want)
        ingest_die("a packet of exactly %zu bytes is not possible", want);
    frame_write_header(out, (uint32_t)want);
    telemetry__packet__pack(&message, out + FRAME_HEADER_BYTES);
}

static void write_head(uint8_t out[HEAD_BYTES], size_t length, uint8_t type, uint8_t flags,
                       uint32_t stream_id)
{
    const uint8_t head[HEAD_BYTES] = {
        (uint8_t)(length >> 16),
        (uint8_t)(length >> 8),
        (uint8_t)length,
        type,
        flags,
        (uint8_t)(stream_id >> 24),
        (uint8_t)(stream_id >> 16),
        (uint8_t)(stream_id >> 8),
        (uint8_t)stream_id,
    };

    memcpy(out, head, HEAD_BYTES);
}

static void render_pass(struct ingest_client *client)
{
    size_t framed = FRAME_HEADER_BYTES + client->options.packet_bytes;
    size_t all = framed * client->options.packets, done = 0;
    size_t frame = client->frame_payload_bytes, frames = (all + frame - 1) / frame;
    uint8_t *messages = take_memory(all), *out;

    for (uint64_t i = 0; i < client->options.packets; i++)
        render_packet(client, i, messages + framed * i);
    client->pass_bytes = all + HEAD_BYTES * frames;
    out = client->pass = take_memory(client->pass_bytes);
    while (done < all) {
        size_t part = all - done < frame ? all - done : frame;

        write_head(out, part, NGHTTP2_DATA, NGHTTP2_FLAG_NONE, STREAM_ID);
        memcpy(out + HEAD_BYTES, messages + done, part);
        out += HEAD_BYTES + part;
        done += part;
    }
    free(messages);
}

/* DATA payload in the first `bytes` bytes of a pass. */
static int64_t payload_within(const struct ingest_client *client, size_t bytes)
{
    size_t frame = HEAD_BYTES + client->frame_payload_bytes, rest = bytes % frame;

    return (int64_t)(bytes / frame * client->frame_payload_bytes +
                     (rest > HEAD_BYTES ? rest - HEAD_BYTES : 0));
}

struct ingest_client *ingest_client_create(const struct ingest_client_options *options, int fd)
{
    struct ingest_client *client = take_memory(sizeof *client);
    size_t framed = FRAME_HEADER_BYTES + options->packet_bytes;

    client->options = *options;
    client->fd = fd;
    client->digits = snprintf(NULL, 0, "%" PRIu64, options->devices - 1);
    if (client->digits < MIN_DIGITS)
        client->digits = MIN_DIGITS;
    client->expected = take_memory(options->devices * sizeof *client->expected);
    client->frame_payload_bytes =
        options->frame_packets ? options->frame_packets * framed : INGEST_FRAME_MAX_BYTES;
    if (client->frame_payload_bytes > INGEST_FRAME_MAX_BYTES)
        ingest_die("%" PRIu64 " packets do not fit into a frame", options->frame_packets);
    client->connection_window = client->stream_window = FIRST_WINDOW_BYTES;
    render_pass(client);
    return client;
}

void ingest_client_destroy(struct ingest_client *client)
{
    if (!client)
        return;
    close(client->fd);
    free(client->expected);
    free(client->pass);
    free(client);
}

uint64_t ingest_client_expected(const struct ingest_client *client, const uint8_t *id,
                                size_t length)
{
    static const char prefix[] = "device-";
    char text[ID_BYTES] = "", *end;
    uint64_t device;

    if (length != sizeof prefix - 1 + (size_t)client->digits ||
        memcmp(id, prefix, sizeof prefix - 1) != 0)
        return 0;
    memcpy(text, id + sizeof prefix - 1, (size_t)client->digits);
    device = strtoull(text, &end, 10);
    return *end || device >= client->options.devices ? 0 : client->expected[device];
}

/* ---- Send ----------------------------------------------------------------------------------- */

static void send_bytes(struct ingest_client *client, const void *bytes, size_t length)
{
    if (send(client->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        ingest_die("the socket does not take %zu bytes at once: %s", length, strerror(errno));
}

static void send_empty(struct ingest_client *client, uint8_t type, uint8_t flags,
                       uint32_t stream_id)
{
    uint8_t head[HEAD_BYTES];

    write_head(head, 0, type, flags, stream_id);
    send_bytes(client, head, sizeof head);
}

void ingest_client_greet(struct ingest_client *client)
{
    send_bytes(client, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    send_empty(client, NGHTTP2_SETTINGS, NGHTTP2_FLAG_NONE, 0);
}

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof name - 1, sizeof value - 1,                  \
            NGHTTP2_NV_FLAG_NONE                                                                   \
    }

void ingest_client_request(struct ingest_client *client)
{
    const nghttp2_nv fields[] = {
        FIELD(":method", "POST"),  FIELD(":scheme", "http"),
        FIELD(":path", GRPC_PATH), FIELD(":authority", "bench"),
        FIELD("te", "trailers"),   FIELD("content-type", GRPC_CONTENT_TYPE),
    };
    uint8_t request[HEAD_BYTES + REQUEST_BYTES];
    nghttp2_hd_deflater *deflater;
    ssize_t length;

    if (!client->settings_came)
        ingest_die("the server sent no SETTINGS");
    if (nghttp2_hd_deflate_new(&deflater, 0))
        ingest_die("no memory");
    length = nghttp2_hd_deflate_hd(deflater, request + HEAD_BYTES, REQUEST_BYTES, fields,
                                   ARRAY_LENGTH(fields));
    nghttp2_hd_deflate_del(deflater);
    if (length < 0)
        ingest_die("cannot render the request: %s", nghttp2_strerror((int)length));
    send_empty(client, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0);
    write_head(request, (size_t)length, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, STREAM_ID);
    send_bytes(client, request, HEAD_BYTES + (size_t)length);
}

bool ingest_client_send(struct ingest_client *client, size_t bytes)
{
    size_t left = client->pass_bytes - client->sent;
    int64_t payload;

    if (!left) {
        client->sent = 0;
        return false;
    }
    if (bytes > left)
        bytes = left;
    payload = payload_within(client, client->sent + bytes) - payload_within(client, client->sent);
    client->connection_window -= payload;
    client->stream_window -= payload;
    if (client->connection_window < 0 || client->stream_window < 0)
        ingest_die("the server's windows do not hold %zu bytes", bytes);
    send_bytes(client, client->pass + client->sent, bytes);
    client->sent += bytes;
    return true;
}

void ingest_client_end(struct ingest_client *client)
{
    send_empty(client, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, STREAM_ID);
}

/* ---- Read ----------------------------------------------------------------------------------- */

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void take_settings(struct ingest_client *client, const uint8_t *payload, size_t length)
{
    client->settings_came = true;
    for (; length >= SETTING_BYTES; payload += SETTING_BYTES, length -= SETTING_BYTES) {
        if ((payload[0] << 8 | payload[1]) == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE)
            client->stream_window += (int64_t)read_u32(payload + 2) - FIRST_WINDOW_BYTES;
    }
}

static void take_frame(struct ingest_client *client, const uint8_t *frame, size_t length)
{
    uint8_t type = frame[3], flags = frame[4];
    uint32_t stream_id = read_u32(frame + 5);
    const uint8_t *payload = frame + HEAD_BYTES;

    switch (type) {
    case NGHTTP2_SETTINGS:
        if (!(flags & NGHTTP2_FLAG_ACK))
            take_settings(client, payload, length);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        if (stream_id)
            client->stream_window += read_u32(payload);
        else
            client->connection_window += read_u32(payload);
        break;
    case NGHTTP2_RST_STREAM:
        ingest_die("the server reset the stream: %s", nghttp2_http2_strerror(read_u32(payload)));
    case NGHTTP2_GOAWAY:
        ingest_die("the server goes away: %s", nghttp2_http2_strerror(read_u32(payload + 4)));
    case NGHTTP2_HEADERS:
        if (flags & NGHTTP2_FLAG_END_STREAM)
            client->answered = true;
    }
}

void ingest_client_read(struct ingest_client *client)
{
    ssize_t got;

    while ((got = recv(client->fd, client->input + client->held, READ_BYTES - client->held, 0)) >
           0) {
        const uint8_t *frame = client->input;
        size_t have = client->held + (size_t)got, length;

        while (have >= HEAD_BYTES) {
            length = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
            if (have < HEAD_BYTES + length)
                break;
            take_frame(client, frame, length);
            frame += HEAD_BYTES + length;
            have -= HEAD_BYTES + length;
        }
        memmove(client->input, frame, have);
        client->held = have;
    }
    if (got == 0 || errno != EAGAIN)
        ingest_die("the server closed the connection");
}

bool ingest_client_answered(const struct ingest_client *client)
{
    return client->answered;
}
