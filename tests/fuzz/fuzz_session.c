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
 * Input: a byte of flags (1: nothing but bytes, 2: these without the client's preface in front),
 * one that says how what is sent is cut, then steps: a byte that picks one, and one for its
 * details.
 */
#include "aggregator/counters.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/wake.h"
#include "server/connection.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session_client.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define DEVICES           8 /* "d0", "d1", ... */
#define MAX_STREAMS       8 /* at a time */
#define MAX_STEPS         200
#define MAX_PARTS         64 /* of what is sent at once */
#define MAX_ID_BYTES      32
#define MAX_MESSAGE_BYTES 1000
#define PACKET_BYTES      64 /* room for one with its framing, compressed too */
#define STALL_MS          60000
#define DEADLINE_EXCEEDED 4 /* gRPC's numbers for a server that did not wait for us */
#define UNAVAILABLE       14
#define PREFACE           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* What was sent in a stream, and what must come of it. */
struct stream {
    bool counts; /* it is of StreamPackets, with headers that are taken */
    bool gzip;
    bool timed;     /* it has a deadline, past which an answer promises nothing */
    bool ended;     /* by us */
    bool reset;     /* by us */
    bool failed;    /* by a bad packet, or by its end inside one */
    bool rejected;  /* by a bad packet */
    bool uncertain; /* the server ended it before we did: of what we sent, some may not count */
    uint64_t packets[DEVICES];
    uint8_t rest[PACKET_BYTES]; /* of a packet that is sent in part */
    size_t rest_length;
    unsigned rest_device;
    uint64_t still_ms; /* since when we sent nothing more of it */
    bool stalled;      /* for too long, so that the server may end it */
};

static struct session {
    const uint8_t *steps;
    size_t left;
    uint8_t pattern;
    unsigned turn;

    struct connection_context context;
    struct timers *timers;
    struct cut *cut; /* as the context, made once: it is large, and empty after each input */
    struct commits *commits;
    struct stats_worker stats;
    struct connection *connection; /* NULL: it has ended */
    struct session_client client;

    struct stream streams[SESSION_STREAMS];
    unsigned opened;
    bool any_frame; /* some frame was one that no client sends */

    uint64_t cuts;                                         /* asked for */
    bool cut_open;                                         /* the last one is not committed */
    uint64_t counted[DEVICES], others, rejected, received; /* handed over, ever */
    uint64_t committed;
} * session;

static uint8_t step_byte(void)
{
    if (!session->left)
        return 0;
    session->left--;
    return *session->steps++;
}

static void be(enum thread_role role)
{
    thread_adopt(role, "fuzz");
}

/* The time for all below, the server's code too: it passes only when a step says so. libFuzzer
 * reads another clock. */
static uint64_t now_ns = 1000000000000;

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock == CLOCK_REALTIME)
        return (int)syscall(SYS_clock_gettime, clock, time);
    *time = (struct timespec){(time_t)(now_ns / 1000000000), (long)(now_ns % 1000000000)};
    return 0;
}

/* ---- The server ----------------------------------------------------------------------------- */

static void touched(struct call_context *context, struct connection *connection)
{
    (void)context; /* it is sent whatever is due, anyway */
    (void)connection;
}

static void end_connection(void)
{
    connection_destroy(session->connection);
    session->connection = NULL;
}

static uint64_t total_counted(void)
{
    uint64_t total = session->others;

    for (int i = 0; i < DEVICES; i++)
        total += session->counted[i];
    return total;
}

/* A stream that was answered before we ended it has not taken all that we sent, maybe. */
static void look_at_answers(void)
{
    uint64_t answered = 0;

    session_read(&session->client);
    for (unsigned i = 0; i < SESSION_STREAMS; i++) {
        const struct session_answer *answer = &session->client.answers[i];
        struct stream *stream = &session->streams[i];

        if ((answer->has_status || answer->reset) && !stream->ended && !stream->failed)
            stream->uncertain = true;
        if (answer->has_status &&
            (answer->status == DEADLINE_EXCEEDED || answer->status == UNAVAILABLE))
            stream->uncertain = true;
        if (answer->has_status && stream->counts)
            answered += session_answered(answer);
    }
    FUZZ_CHECK(answered <= session->committed);
}

static void send_answers(void)
{
    if (session->connection && !connection_send(session->connection))
        end_connection();
    look_at_answers();
}

/* Receives all there is. */
static void serve(void)
{
    int waiting = 1;

    while (session->connection && waiting > 0) {
        if (!connection_receive(session->connection)) {
            end_connection();
            break;
        }
        if (ioctl(connection_fd(session->connection), FIONREAD, &waiting))
            waiting = 0;
        send_answers();
    }
    look_at_answers();
}

static void pump(void)
{
    struct session_client *client = &session->client;
    size_t at = 0;

    for (int i = 0; at < client->output_length && session->connection; i++) {
        size_t left = client->output_length - at;
        size_t part =
            i < MAX_PARTS ? fuzz_part_bytes(session->pattern, session->turn++, left) : left;
        ssize_t sent = send(client->fd, client->output + at, part, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent <= 0)
            break;
        at += (size_t)sent;
        serve();
    }
    client->output_length = 0;
}

static void take_lane(struct cut_lane lane)
{
    struct counter *counter;
    uint64_t delta;

    while ((counter = counters_pop(lane.counters, lane.lane, &delta))) {
        size_t length;
        const uint8_t *id = counter_id(counter, &length);

        if (length == 2 && id[0] == 'd' && id[1] >= '0' && id[1] < '0' + DEVICES)
            session->counted[id[1] - '0'] += delta;
        else
            session->others += delta;
    }
}

static void make_cut(void)
{
    struct cut_totals totals = {0};

    if (session->cut_open)
        return;
    be(THREAD_FLUSHER);
    cut_request(session->cut, ++session->cuts);
    be(THREAD_WORKER);
    cut_answer(session->cut);
    be(THREAD_FLUSHER);
    FUZZ_CHECK(cut_answered(session->cut, session->cuts));
    take_lane(cut_take(session->cut, &totals));
    be(THREAD_WORKER);
    session->received += totals.received;
    session->rejected += balance_rejected_total(&totals.rejected);
    session->cut_open = true;
    FUZZ_CHECK(session->received == total_counted() + session->rejected);
}

static void commit(void)
{
    if (!session->cut_open)
        return;
    be(THREAD_FLUSHER);
    commits_publish(session->commits, session->cuts);
    be(THREAD_WORKER);
    session->cut_open = false;
    session->committed = total_counted();
    while (session->connection && call_answer_next(&session->context.calls, false))
        ;
    send_answers();
}

/* A stream that stands inside a packet while time passes. */
static void note_stalls(uint64_t ms)
{
    for (unsigned i = 0; i < session->opened; i++) {
        struct stream *stream = &session->streams[i];

        stream->still_ms += stream->rest_length ? ms : 0;
        stream->stalled |= stream->still_ms >= STALL_MS;
    }
}

static void pass_time(unsigned detail)
{
    struct timer *timer;
    size_t calls = 1000;
    uint64_t now;

    now_ns += detail * UINT64_C(500000000);
    note_stalls(detail * UINT64_C(500));
    now = session->context.now_ms = clock_now_ms();
    for (int i = 0; session->connection && (timer = timers_take_due(session->timers, now)); i++) {
        FUZZ_CHECK(i < MAX_STEPS);
        if (timer->kind == TIMER_CALL)
            call_deadline(timer);
        else if (!connection_timer(session->connection))
            end_connection();
    }
    if (session->connection && !connection_tick_calls(session->connection, now, &calls))
        FUZZ_CHECK(!"a thousand calls were not enough");
    send_answers();
}

/* ---- What the client sends ------------------------------------------------------------------ */

/* A stream that may still be sent on, the one that the detail picks; NULL: there is none. */
static struct stream *open_stream(unsigned detail, uint32_t *id)
{
    for (unsigned i = 0; i < session->opened; i++) {
        unsigned place = (i + detail) % session->opened;
        struct stream *stream = &session->streams[place];

        if (!stream->ended && !stream->reset && !session->client.answers[place].has_status &&
            !session->client.answers[place].reset) {
            *id = 2 * place + 1;
            return stream;
        }
    }
    return NULL;
}

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
    struct stream *stream = &session->streams[session->opened];
    uint32_t id = 2 * session->opened + 1;
    uint8_t block[512];
    size_t length = 0, half;
    bool ends = detail & 128;

    if (session->opened == SESSION_STREAMS)
        return;
    stream->counts = path == 0 && variant != 1 && !session->any_frame;
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
    if (!session_frame(&session->client, F_HEADERS,
                       (ends ? F_END_STREAM : 0) | (half == length ? F_END_HEADERS : 0), id, block,
                       half))
        return;
    if (half < length)
        session_frame(&session->client, F_CONTINUATION, F_END_HEADERS, id, block + half,
                      length - half);
    session->opened++;
}

/* Puts a message's framing in front of it. */
static size_t frame_message(uint8_t *to, uint8_t flag, const uint8_t *message, size_t length)
{
    const uint8_t head[] = {flag, 0, 0, (uint8_t)(length >> 8), (uint8_t)length};

    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, message, length);
    return sizeof head + length;
}

static size_t deflated(const uint8_t *message, size_t length, uint8_t *out, size_t room)
{
    z_stream z = {.next_in = (uint8_t *)message,
                  .avail_in = (unsigned)length,
                  .next_out = out,
                  .avail_out = (unsigned)room};

    FUZZ_CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    FUZZ_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* Renders a packet of a device with its framing, in one of some shapes. */
static size_t render_packet(uint8_t to[PACKET_BYTES], unsigned device, unsigned shape, bool gzip)
{
    static const struct {
        const char *before, *behind;
        size_t before_length, behind_length;
    } shapes[] = {
        {"", "\x10\x80\xa0\xc1\xe3\xb8\x31\x1a\x05hello", 0, 14}, /* the usual one */
        {"", "", 0, 0},
        {"\x1a\x02hi\x10\x05", "", 6, 0},   /* in another order */
        {"\x0a\x03odd", "\x22\x01p", 5, 3}, /* the last id wins; a field that is not known */
    };
    uint8_t message[PACKET_BYTES], packed[PACKET_BYTES];
    size_t length = shapes[shape % 4].before_length;

    memcpy(message, shapes[shape % 4].before, length);
    memcpy(message + length,
           "\x0a\x02"
           "d",
           3);
    message[length + 3] = (uint8_t)('0' + device);
    length += 4;
    memcpy(message + length, shapes[shape % 4].behind, shapes[shape % 4].behind_length);
    length += shapes[shape % 4].behind_length;
    if (!gzip)
        return frame_message(to, 0, message, length);
    length = deflated(message, length, packed, sizeof packed - 5);
    return frame_message(to, 1, packed, length);
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
    session_frame(&session->client, F_DATA, (ends ? F_END_STREAM : 0u) | (padding ? F_PADDED : 0u),
                  id, bytes, length);
}

/* Up to 15 packets, the rest of one that was cut before them, and maybe the start of another. */
static void send_packets(unsigned detail, bool cuts, bool ends)
{
    uint32_t id;
    struct stream *stream = open_stream(detail, &id);
    unsigned count = step_byte() % 16, device = detail % DEVICES, shape = detail / 8;
    uint8_t bytes[17 * PACKET_BYTES];
    size_t length;

    if (!stream || session->client.output_length > sizeof session->client.output - 4096)
        return;
    length = stream->rest_length;
    memcpy(bytes, stream->rest, length);
    if (stream->rest_length && !stream->failed)
        stream->packets[stream->rest_device]++;
    stream->rest_length = 0;
    stream->still_ms = 0;
    for (unsigned i = 0; i < count; i++, device = (device + 1) % DEVICES) {
        length += render_packet(bytes + length, device, shape, stream->gzip && i % 2);
        if (!stream->failed)
            stream->packets[device]++;
    }
    if (cuts) {
        uint8_t packet[PACKET_BYTES];
        size_t whole = render_packet(packet, device, shape, stream->gzip && shape & 1);
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
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"\x02\x00\x00\x00\x00", 5},             /* its flag */
        {"\x00\x00\x00\x00\x00", 5},             /* no device_id */
        {"\x00\x00\x00\x00\x03\x0a\x01\xff", 8}, /* one that is no UTF-8 */
        {"\x00\x00\x00\x00\x02\x00\x00", 7},     /* a field of number 0 */
        {"\x00\x00\x00\x03\xe9", 5},             /* one byte too large */
        {"\x00\x00\x00\x00\x23\x0a\x21"          /* an id one byte too long */
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         40},
        {"\x00\x00\x00\x00\x02\x0a\x05", 7}, /* an id past the message's end */
    };
    unsigned which = detail / 16 % (sizeof bad / sizeof *bad);
    uint32_t id;
    struct stream *stream = open_stream(detail, &id);

    if (!stream || stream->rest_length)
        return;
    if (stream->counts && !stream->failed)
        stream->failed = stream->rejected = true;
    send_data(id, (const uint8_t *)bad[which].bytes, bad[which].length, false, 0);
}

static void send_trailers(unsigned detail)
{
    uint32_t id;
    struct stream *stream = open_stream(detail, &id);
    uint8_t block[512];
    size_t length = 0;

    if (!stream)
        return;
    session_header(block, &length, "x-end", "here");
    stream->ended = true;
    stream->failed |= stream->rest_length > 0;
    session_frame(&session->client, F_HEADERS, F_END_STREAM | F_END_HEADERS, id, block, length);
}

static void send_reset(unsigned detail)
{
    static const uint8_t cancel[] = {0, 0, 0, 8};
    uint32_t id;
    struct stream *stream = open_stream(detail, &id);

    if (!stream)
        return;
    stream->reset = true;
    session_frame(&session->client, F_RST, 0, id, cancel, sizeof cancel);
}

/* Frames about the connection, as any client may send them. */
static void send_control(unsigned detail)
{
    static const uint8_t ping[8] = "12345678", settings[] = {0, 4, 0, 1, 0, 0},
                         window[] = {0, 0, 1, 0}, priority[] = {0, 0, 0, 0, 7},
                         goaway[] = {0, 0, 0, 0, 0, 0, 0, 0};

    switch (detail % 8) {
    case 0:
        session_frame(&session->client, F_PING, 0, 0, ping, sizeof ping);
        break;
    case 1:
        session_frame(&session->client, F_SETTINGS, 0, 0, settings, sizeof settings);
        break;
    case 2:
        session_frame(&session->client, F_SETTINGS, F_ACK, 0, NULL, 0);
        break;
    case 3:
        session_frame(&session->client, F_WINDOW, 0, 0, window, sizeof window);
        break;
    case 4:
        session_frame(&session->client, F_PRIORITY, 0, 2 * (detail / 8) + 1, priority,
                      sizeof priority);
        break;
    case 5:
        session_frame(&session->client, F_GOAWAY, 0, 0, goaway, sizeof goaway);
        break;
    case 6:
        session_frame(&session->client, 0xbe, (uint8_t)detail, 0, ping, detail / 32);
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

    session->any_frame = true;
    length = length < session->left ? length : session->left;
    if (detail & 64)
        session_frame(&session->client, type, flags, stream, session->steps, length);
    else
        session_put(&session->client, session->steps, length);
    session->steps += length;
    session->left -= length;
}

static void interrupt(unsigned detail)
{
    if (!session->connection || detail % 8)
        return;
    if (detail & 8)
        connection_announce_goaway(session->connection);
    if (detail & 16)
        connection_goaway(session->connection);
    if (detail & 32) {
        session->context.calls.shutting_down = true;
        connection_interrupt(session->connection);
    }
    send_answers();
}

static void step(void)
{
    unsigned what = step_byte() % 16, detail = step_byte();

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
        pump();
        make_cut();
        break;
    case 12:
        commit();
        break;
    case 13:
        pump();
        pass_time(detail);
        break;
    case 14:
        pump();
        interrupt(detail);
        break;
    default:
        pump();
    }
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* What was sent in a stream is exactly what its answer tells, once there is one. */
static void check_stream(unsigned i, uint64_t least[DEVICES], uint64_t most[DEVICES],
                         uint64_t *least_rejected, uint64_t *most_rejected)
{
    const struct session_answer *answer = &session->client.answers[i];
    const struct stream *stream = &session->streams[i];
    bool uncertain = stream->uncertain || session->context.calls.shutting_down;
    uint64_t sent = 0;

    /* A stream too many is refused, of which we hear nothing when we reset it at once. */
    uncertain |= !answer->has_status && (answer->reset || (stream->reset && i >= MAX_STREAMS));
    /* Nor of a deadline or a stall, when we reset the stream while its answer waits. */
    uncertain |= !answer->has_status && stream->reset && (stream->timed || stream->stalled);

    if (!stream->counts)
        return;
    for (int d = 0; d < DEVICES; d++) {
        sent += stream->packets[d];
        most[d] += stream->packets[d];
        least[d] += uncertain ? 0 : stream->packets[d];
    }
    *most_rejected += stream->rejected;
    *least_rejected += stream->rejected && !uncertain;
    if (!answer->has_status)
        return;
    FUZZ_CHECK(session_answered(answer) <= sent);
    if (answer->status == 0)
        FUZZ_CHECK(stream->ended && !stream->failed && session_answered(answer) == sent);
    if (!uncertain && !stream->timed)
        FUZZ_CHECK(session_answered(answer) == sent);
}

static void check_all(void)
{
    uint64_t least[DEVICES] = {0}, most[DEVICES] = {0}, least_rejected = 0, most_rejected = 0;
    bool alive = session->connection && !session->client.saw_goaway && !session->client.saw_end;

    FUZZ_CHECK(session->received == total_counted() + session->rejected);
    if (session->any_frame)
        return;
    for (unsigned i = 0; i < session->opened; i++) {
        const struct session_answer *answer = &session->client.answers[i];
        const struct stream *stream = &session->streams[i];

        if (alive && stream->counts && (stream->ended || stream->failed) && !stream->reset)
            FUZZ_CHECK(answer->has_status || answer->reset);
        check_stream(i, least, most, &least_rejected, &most_rejected);
    }
    FUZZ_CHECK(session->others == 0);
    FUZZ_CHECK(session->rejected <= most_rejected);
    FUZZ_CHECK(!alive || session->rejected >= least_rejected);
    for (int d = 0; d < DEVICES; d++) {
        FUZZ_CHECK(session->counted[d] <= most[d]);
        FUZZ_CHECK(!alive || session->counted[d] >= least[d]);
    }
}

static void begin(const uint8_t *data, size_t size)
{
    static struct session the_session;
    static const struct hash_key key = {3, 4};
    static const struct connection_options options = {
        .max_streams = MAX_STREAMS,
        .handshake_timeout_ms = 10000,
        .stall_timeout_ms = STALL_MS,
        .keepalive_time_ms = 30000,
        .keepalive_timeout_ms = 20000,
        .max_age_ms = 600000,
        .max_age_grace_ms = 30000,
    };
    static int flusher_fd = -1;
    int fds[2];

    session = &the_session;
    if (flusher_fd < 0) {
        flusher_fd = wake_create();
        log_configure(LOG_ERROR + 1, LOG_TEXT);
        session->cut = cut_create(&key, 1000, flusher_fd);
        session->commits = commits_create();
        FUZZ_CHECK(flusher_fd >= 0 && session->cut && session->commits);
        FUZZ_CHECK(!connection_context_init(&session->context, &options));
    }
    memset(session->streams, 0, sizeof session->streams);
    memset(session->counted, 0, sizeof session->counted);
    session->others = session->rejected = session->received = session->committed = 0;
    session->opened = session->turn = 0;
    session->cut_open = session->any_frame = false;
    session->steps = data + 2;
    session->left = size - 2;
    session->pattern = data[1];
    session->timers = timers_create();
    FUZZ_CHECK(session->timers);
    session->context.now_ms = clock_now_ms();
    session->context.calls = (struct call_context){
        .cut = session->cut,
        .commits = session->commits,
        .stats = &session->stats,
        .stall_timeout_ms = STALL_MS,
        .limits = {MAX_MESSAGE_BYTES, MAX_ID_BYTES},
        .timers = session->timers,
        .touch = touched,
    };
    be(THREAD_FLUSHER);
    commits_exchange_done(session->commits);
    be(THREAD_WORKER);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    session->connection = connection_create(&session->context, fds[0], NULL);
    FUZZ_CHECK(session->connection);
    session_client_init(&session->client, fds[1]);
}

static void end(void)
{
    pump();
    commit();
    make_cut();
    commit();
    check_all();
    end_connection();
    make_cut();
    commit();
    FUZZ_CHECK(!session->context.calls.waiting_first && !session->context.calls.gathered_count);
    FUZZ_CHECK(timers_next_ms(session->timers) == UINT64_MAX);
    call_context_fini(&session->context.calls);
    session_client_fini(&session->client);
    timers_destroy(session->timers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    begin(data, size);
    if (!(data[0] & 2) || !(data[0] & 1)) {
        session_put(&session->client, PREFACE, strlen(PREFACE));
        session_frame(&session->client, F_SETTINGS, 0, 0, NULL, 0);
    }
    if (data[0] & 1) {
        session->any_frame = true;
        session_put(&session->client, session->steps,
                    session->left < 16384 ? session->left : 16384);
    } else {
        for (int i = 0; i < MAX_STEPS && session->left; i++)
            step();
    }
    end();
    return 0;
}
