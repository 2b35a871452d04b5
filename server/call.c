/*
 * The life of a call; call_receive.c has its packets.
 *
 * Invariants: a call is in the waiting list exactly while it is ENDED; `received` grows only while
 * it is OPEN; `cut` is set when it ends, so no packet of it is in a later cut: those gathered and
 * not yet counted are settled before the worker answers a cut. The waiting list is in order of
 * `cut`, since cuts only grow.
 */
#include "proto/packet.h"
#include "proto/telemetry.pb-c.h"
#include "server/call_private.h"

#include <errno.h>
#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 21

#define HEADER(n, v, l)                                                                            \
    ((nghttp2_nv){(uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, (l), NGHTTP2_NV_FLAG_NONE})

struct call *call_create(struct call_context *context, struct connection *connection,
                         struct nghttp2_session *session, int32_t stream_id)
{
    size_t feed_offset =
        (sizeof(struct call) + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct call *call = calloc(1, feed_offset + packet_feed_size(context->limits.max_id_bytes));

    if (!call)
        return NULL;
    call->context = context;
    call->connection = connection;
    call->session = session;
    call->stream_id = stream_id;
    call->feed = packet_feed_init((char *)call + feed_offset, context->limits.max_id_bytes);
    stats_add(&context->stats->streams_opened, 1);
    return call;
}

/* ---- The waiting list --------------------------------------------------------------------- */

static void waiting_append(struct call *call)
{
    struct call_context *context = call->context;

    call->waiting_previous = context->waiting_last;
    call->waiting_next = NULL;
    if (context->waiting_last)
        context->waiting_last->waiting_next = call;
    else
        context->waiting_first = call;
    context->waiting_last = call;
    stats_add(&context->stats->streams_waiting, 1);
}

static void waiting_remove(struct call *call)
{
    struct call_context *context = call->context;

    if (call->waiting_previous)
        call->waiting_previous->waiting_next = call->waiting_next;
    else
        context->waiting_first = call->waiting_next;
    if (call->waiting_next)
        call->waiting_next->waiting_previous = call->waiting_previous;
    else
        context->waiting_last = call->waiting_previous;
    stats_add(&context->stats->streams_waiting, -1);
}

void call_destroy(struct call *call)
{
    if (!call)
        return;
    if (call->state == CALL_ENDED)
        waiting_remove(call);
    stats_add(&call->context->stats->streams_closed, 1);
    free(call);
}

/* ---- Answers ------------------------------------------------------------------------------ */

/* Without memory for an answer the client at least hears of the stream's end. */
static bool submit(struct call *call, const nghttp2_nv *headers, size_t count,
                   const nghttp2_data_provider *body)
{
    if (nghttp2_submit_response(call->session, call->stream_id, headers, count, body) == 0)
        return true;
    nghttp2_submit_rst_stream(call->session, NGHTTP2_FLAG_NONE, call->stream_id,
                              NGHTTP2_INTERNAL_ERROR);
    return false;
}

/* nghttp2 asks for the response's body: the Ack, and then the trailers that say OK. */
static ssize_t read_ack(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t size,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct call *call = source->ptr;
    size_t left = (size_t)(call->ack_length - call->ack_sent), n = left < size ? left : size;
    const nghttp2_nv trailers[] = {HEADER("grpc-status", "0", 1)};

    (void)user;
    memcpy(out, call->ack + call->ack_sent, n);
    call->ack_sent += (uint8_t)n;
    if (n == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, stream_id, trailers, ARRAY_LENGTH(trailers)))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

static void answer_ok(struct call *call)
{
    const nghttp2_nv headers[] = {
        HEADER(":status", "200", 3),
        HEADER("content-type", GRPC_CONTENT_TYPE, sizeof GRPC_CONTENT_TYPE - 1),
    };
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_ack};
    Telemetry__Ack ack = TELEMETRY__ACK__INIT;
    size_t length;

    ack.received = call->received;
    length = telemetry__ack__pack(&ack, call->ack + FRAME_HEADER_BYTES);
    frame_write_header(call->ack, (uint32_t)length);
    call->ack_length = (uint8_t)(FRAME_HEADER_BYTES + length);
    if (submit(call, headers, ARRAY_LENGTH(headers), &body))
        stats_add(&call->context->stats->streams_acknowledged, 1);
}

/* Trailers only: one HEADERS frame that is the whole response. */
static void answer_error(struct call *call)
{
    char status[NUMBER_BYTES], received[NUMBER_BYTES], message[3 * CALL_MESSAGE_BYTES];
    int status_length = snprintf(status, sizeof status, "%d", call->status);
    int received_length = snprintf(received, sizeof received, "%" PRIu64, call->received);
    size_t message_length = grpc_encode_message(call->message, message, sizeof message);
    const nghttp2_nv headers[] = {
        HEADER(":status", "200", 3),
        HEADER("content-type", GRPC_CONTENT_TYPE, sizeof GRPC_CONTENT_TYPE - 1),
        HEADER("grpc-status", status, (size_t)status_length),
        HEADER("grpc-message", message, message_length),
        HEADER("tally-received", received, (size_t)received_length),
        HEADER("grpc-accept-encoding", "identity", 8),
    };

    submit(call, headers, ARRAY_LENGTH(headers), NULL);
}

/* An answer that is no gRPC at all, for a peer that speaks none. */
static void answer_http(struct call *call, const char *http_status)
{
    const nghttp2_nv headers[] = {HEADER(":status", http_status, 3)};

    call->state = CALL_ANSWERED;
    stats_add(&call->context->stats->streams_refused, 1);
    submit(call, headers, ARRAY_LENGTH(headers), NULL);
}

static void answer(struct call *call)
{
    call->state = CALL_ANSWERED;
    if (call->status == GRPC_OK)
        answer_ok(call);
    else
        answer_error(call);
}

struct call *call_answer_next(struct call_context *context, bool force)
{
    struct call *call = context->waiting_first;

    if (!call)
        return NULL;
    if (call->cut > commits_number(context->commits)) {
        if (!force)
            return NULL;
        if (call->status == GRPC_OK)
            stats_add(&context->stats->streams_failed, 1);
        call->status = GRPC_UNAVAILABLE;
        snprintf(call->message, sizeof call->message,
                 "the server stopped before these packets were committed");
        call->received = 0; /* that is what this answer can vouch for */
    }
    waiting_remove(call);
    answer(call);
    return call;
}

void call_response_sent(struct call *call)
{
    if (!call->client_ended)
        nghttp2_submit_rst_stream(call->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                  NGHTTP2_NO_ERROR);
}

/* ---- Ends --------------------------------------------------------------------------------- */

static void end(struct call *call)
{
    if (call->received == 0) {
        answer(call);
        return;
    }
    call->state = CALL_ENDED;
    call->cut = cut_number(call->context->cut);
    waiting_append(call);
    cut_hurry(call->context->cut);
}

void call_fail(struct call *call, enum grpc_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(call->message, sizeof call->message, format, args);
    va_end(args);
    call->status = status;
    stats_add(&call->context->stats->streams_failed, 1);
    end(call);
}

/* Refuses the call before anything of it is counted. */
static void refuse(struct call *call, enum grpc_status status, const char *message)
{
    snprintf(call->message, sizeof call->message, "%s", message);
    call->status = status;
    stats_add(&call->context->stats->streams_refused, 1);
    answer(call);
}

void call_client_ended(struct call *call)
{
    call->client_ended = true;
    if (call->state != CALL_OPEN)
        return;
    if (frame_at_boundary(&call->reader))
        end(call);
    else
        call_fail(call, GRPC_INTERNAL, "the stream ended inside packet %" PRIu64, call->received);
}

void call_interrupt(struct call *call)
{
    if (call->state == CALL_OPEN)
        call_fail(call, GRPC_UNAVAILABLE, "shutting down");
}

void call_deadline(struct timer *timer)
{
    (void)timer;
}

void call_tick(struct call *call, uint64_t now_ms)
{
    (void)call;
    (void)now_ms;
}

/* ---- Headers ------------------------------------------------------------------------------ */

static bool is(const uint8_t *bytes, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

int call_header(struct call *call, const uint8_t *name, size_t name_length, const uint8_t *value,
                size_t value_length)
{
    size_t bytes = call->header_bytes + name_length + value_length + 32;

    if (bytes > CALL_HEADER_LIST_BYTES)
        return -E2BIG;
    call->header_bytes = (uint32_t)bytes;
    if (call->state != CALL_HEADERS)
        return 0; /* trailers: counted, so that they cannot be endless, and of no use */
    if (is(name, name_length, ":method"))
        call->is_post = is(value, value_length, "POST");
    else if (is(name, name_length, ":path"))
        call->is_known_path = is(value, value_length, GRPC_PATH);
    else if (is(name, name_length, "content-type"))
        call->is_grpc = grpc_is_content_type(value, value_length);
    else if (is(name, name_length, "grpc-encoding"))
        call->is_bad_encoding = !is(value, value_length, "identity");
    return 0;
}

static uint64_t open_calls(const struct call_context *context)
{
    return stats_get(&context->stats->streams_opened) - stats_get(&context->stats->streams_closed);
}

void call_begin(struct call *call)
{
    if (!call->is_post)
        answer_http(call, "405");
    else if (!call->is_grpc)
        answer_http(call, "415");
    else if (!call->is_known_path)
        refuse(call, GRPC_UNIMPLEMENTED, "unknown method; this server has " GRPC_PATH);
    else if (call->is_bad_encoding)
        refuse(call, GRPC_UNIMPLEMENTED, "unsupported grpc-encoding; send identity");
    else if (call->context->shutting_down)
        refuse(call, GRPC_UNAVAILABLE, "shutting down");
    else if (open_calls(call->context) > CALL_MAX)
        refuse(call, GRPC_RESOURCE_EXHAUSTED, "too many streams; end some first");
    else if (commits_redis_down(call->context->commits, call->context->redis_grace_ms))
        refuse(call, GRPC_UNAVAILABLE, "redis down");
    else
        call->state = CALL_OPEN;
}
