/*
 * A whole session: bytes into the real connection, its nghttp2 session, its calls and a real cut,
 * and what is counted and answered held to what was sent.
 *
 *  - At each cut, received = counted + rejected (promise P3).
 *  - No answer tells more packets than are committed, and all together not more than that (P1).
 *  - While no frame is one that no client sends: each stream is answered with just the packets that
 *    were sent in it up to its end or its first bad one, each device is counted as often as it was
 *    sent, and each bad packet is rejected once.
 *
 * Input: a byte of flags (1: nothing but bytes, 2: these without the client's preface),
 * one that says how what is sent is cut, then steps: a byte that picks one, and one for its
 * details. This file has the steps; session_packets.c what they send, session_client.c the wire,
 * session_server.c what it goes to, session_oracle.c what must come of it.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session_server.h"

#include <string.h>

#define MAX_STEPS      200
#define MAX_STEP_BYTES 4096 /* more than any sends */
#define MAX_BYTES_ONLY 16384
#define PREFACE        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* Static, for what is large in the server's is made once. */
static struct session {
    const uint8_t *steps;
    size_t left;
    struct session_client client;
    struct session_oracle oracle;
    struct session_server server;
} session;

static uint8_t step_byte(void)
{
    if (!session.left)
        return 0;
    session.left--;
    return *session.steps++;
}

static struct session_stream *open_stream(unsigned detail, uint32_t *id)
{
    return session_oracle_open_stream(&session.oracle, detail, id);
}

/* ---- What the client sends ------------------------------------------------------------------ */

static void open_call(unsigned detail)
{
    static const char *const paths[] = {
        "/telemetry.TelemetryIngest/StreamPackets",
        "/telemetry.TelemetryIngest/None",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    };
    unsigned variant = detail % 16, path = variant >= 11 ? variant - 11 : 0;
    struct session_stream *stream = &session.oracle.streams[session.oracle.opened];
    uint32_t id = 2 * session.oracle.opened + 1;
    uint8_t block[512];
    size_t length = 0, half;
    bool ends = detail & 128;

    if (session.oracle.opened == SESSION_STREAMS)
        return;
    stream->counts = path == 0 && variant != 1 && !session.oracle.any_frame;
    stream->gzip = variant == 2;
    stream->timed = variant == 3;
    stream->ended = ends;
    session_header(block, &length, ":method", variant == 1 ? "GET" : "POST");
    session_header(block, &length, ":scheme", "http");
    session_header(block, &length, ":path", paths[path]);
    session_header(block, &length, ":authority", "fuzz");
    session_header(block, &length, "content-type", "application/grpc");
    session_header(block, &length, "te", "trailers");
    if (stream->gzip)
        session_header(block, &length, "grpc-encoding", "gzip");
    if (stream->timed)
        session_header(block, &length, "grpc-timeout", "1S");
    half = detail & 64 ? length / 2 : length;
    if (!session_frame(&session.client, F_HEADERS,
                       (ends ? F_END_STREAM : 0) | (half == length ? F_END_HEADERS : 0), id, block,
                       half))
        return;
    if (half < length)
        session_frame(&session.client, F_CONTINUATION, F_END_HEADERS, id, block + half,
                      length - half);
    session.oracle.opened++;
}

static void send_data(uint32_t id, const uint8_t *bytes, size_t length, bool ends, unsigned padding)
{
    uint8_t padded[2048] = {(uint8_t)padding};

    if (padding) {
        memcpy(padded + 1, bytes, length);
        bytes = padded;
        length += 1 + padding;
    }
    FUZZ_CHECK(length <= sizeof padded);
    session_frame(&session.client, F_DATA, (ends ? F_END_STREAM : 0u) | (padding ? F_PADDED : 0u),
                  id, bytes, length);
}

/* Up to 15 packets, the rest of one that was cut before them, and maybe the start of another. */
static void send_packets(unsigned detail, bool cuts, bool ends)
{
    uint32_t id;
    struct session_stream *stream = open_stream(detail, &id);
    unsigned count = step_byte() % 16, device = detail % SESSION_DEVICES, shape = detail / 8;
    uint8_t bytes[17 * SESSION_PACKET_BYTES];
    size_t length;

    if (!stream)
        return;
    length = stream->rest_length;
    memcpy(bytes, stream->rest, length);
    if (stream->rest_length && !stream->failed)
        stream->packets[stream->rest_device]++;
    stream->rest_length = 0;
    stream->still_ms = 0;
    for (unsigned i = 0; i < count; i++, device = (device + 1) % SESSION_DEVICES) {
        length += session_packet(bytes + length, device, shape, stream->gzip && i % 2);
        if (!stream->failed)
            stream->packets[device]++;
    }
    if (cuts) {
        uint8_t packet[SESSION_PACKET_BYTES];
        size_t whole = session_packet(packet, device, shape, stream->gzip && shape & 1);
        size_t part = 1 + (detail + count) % (whole - 1);

        memcpy(bytes + length, packet, part);
        length += part;
        stream->rest_length = whole - part;
        stream->rest_device = device;
        memcpy(stream->rest, packet + part, whole - part);
    }
    stream->ended = ends;
    stream->failed |= ends && cuts;
    send_data(id, bytes, length, ends, detail & 32 ? 1 + detail % 64 : 0);
}

/* A packet that is rejected, and ends the stream. */
static void send_bad_packet(unsigned detail)
{
    uint32_t id;
    struct session_stream *stream = open_stream(detail, &id);
    const uint8_t *packet;
    size_t length;

    if (!stream || stream->rest_length)
        return;
    if (stream->counts && !stream->failed)
        stream->failed = stream->rejected = true;
    packet = session_bad_packet(detail / 16, &length);
    send_data(id, packet, length, false, 0);
}

static void send_trailers(unsigned detail)
{
    uint32_t id;
    struct session_stream *stream = open_stream(detail, &id);
    uint8_t block[512];
    size_t length = 0;

    if (!stream)
        return;
    session_header(block, &length, "x-end", "here");
    stream->ended = true;
    stream->failed |= stream->rest_length > 0;
    session_frame(&session.client, F_HEADERS, F_END_STREAM | F_END_HEADERS, id, block, length);
}

static void send_reset(unsigned detail)
{
    static const uint8_t cancel[] = {0, 0, 0, 8};
    uint32_t id;
    struct session_stream *stream = open_stream(detail, &id);

    if (!stream)
        return;
    stream->reset = true;
    session_frame(&session.client, F_RST, 0, id, cancel, sizeof cancel);
}

/* Frames about the connection, as any client may send them. */
static void send_control(unsigned detail)
{
    static const uint8_t ping[8] = "12345678", settings[] = {0, 4, 0, 1, 0, 0},
                         window[] = {0, 0, 1, 0}, priority[] = {0, 0, 0, 0, 7},
                         goaway[] = {0, 0, 0, 0, 0, 0, 0, 0};

    switch (detail % 8) {
    case 0:
        session_frame(&session.client, F_PING, 0, 0, ping, sizeof ping);
        break;
    case 1:
        session_frame(&session.client, F_SETTINGS, 0, 0, settings, sizeof settings);
        break;
    case 2:
        session_frame(&session.client, F_SETTINGS, F_ACK, 0, NULL, 0);
        break;
    case 3:
        session_frame(&session.client, F_WINDOW, 0, 0, window, sizeof window);
        break;
    case 4:
        session_frame(&session.client, F_PRIORITY, 0, 2 * (detail / 8) + 1, priority,
                      sizeof priority);
        break;
    case 5:
        session_frame(&session.client, F_GOAWAY, 0, 0, goaway, sizeof goaway);
        break;
    case 6:
        session_frame(&session.client, 0xbe, (uint8_t)detail, 0, ping, detail / 32);
        break;
    default:
        break;
    }
}

/* Any frame, its head and its payload taken from the input; or only bytes. */
static void send_any(unsigned detail)
{
    unsigned type = step_byte() % 16, flags = step_byte();
    uint32_t stream = step_byte();
    size_t length = detail % 64;

    session.oracle.any_frame = true;
    length = length < session.left ? length : session.left;
    if (detail & 64)
        session_frame(&session.client, type, flags, stream, session.steps, length);
    else
        session_put(&session.client, session.steps, length);
    session.steps += length;
    session.left -= length;
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void step(void)
{
    unsigned what = step_byte() % 16, detail = step_byte();

    if (session.client.output_length > sizeof session.client.output - MAX_STEP_BYTES)
        session_server_pump(&session.server); /* or what is sent might find no room */
    switch (what) {
    case 0:
        open_call(detail);
        break;
    case 1:
    case 2:
        send_packets(detail, false, false);
        break;
    case 3:
        send_packets(detail, true, false);
        break;
    case 4:
        send_packets(detail, false, true);
        break;
    case 5:
        send_packets(detail, detail & 1, true);
        break;
    case 6:
        send_bad_packet(detail);
        break;
    case 7:
        send_trailers(detail);
        break;
    case 8:
        send_reset(detail);
        break;
    case 9:
        send_control(detail);
        break;
    case 10:
        send_any(detail);
        break;
    case 11:
        session_server_pump(&session.server);
        session_server_cut(&session.server);
        break;
    case 12:
        session_server_commit(&session.server);
        break;
    case 13:
        session_server_pump(&session.server);
        session_server_pass_time(&session.server, detail * UINT64_C(500));
        break;
    case 14:
        session_server_pump(&session.server);
        if (detail % 8 == 0)
            session_server_interrupt(&session.server, detail & 8, detail & 16, detail & 32);
        break;
    default:
        session_server_pump(&session.server);
    }
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void begin(const uint8_t *data, size_t size)
{
    session.steps = data + 2;
    session.left = size - 2;
    session_oracle_init(&session.oracle, &session.client);
    session_client_init(&session.client,
                        session_server_start(&session.server, &session.oracle, data[1]));
}

static void end(void)
{
    session_server_pump(&session.server);
    session_server_commit(&session.server);
    session_server_cut(&session.server);
    session_server_commit(&session.server);
    session_oracle_check(&session.oracle, session.server.connection != NULL);
    session_server_stop(&session.server);
    session_client_fini(&session.client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    begin(data, size);
    if (!(data[0] & 2) || !(data[0] & 1)) {
        session_put(&session.client, PREFACE, strlen(PREFACE));
        session_frame(&session.client, F_SETTINGS, 0, 0, NULL, 0);
    }
    if (data[0] & 1) {
        session.oracle.any_frame = true;
        session_put(&session.client, session.steps,
                    session.left < MAX_BYTES_ONLY ? session.left : MAX_BYTES_ONLY);
    } else {
        for (int i = 0; i < MAX_STEPS && session.left; i++)
            step();
    }
    end();
    return 0;
}
