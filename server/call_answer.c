/*
 * What a call answers: a body, if there is one, and a status in the trailers; or one HEADERS frame
 * that is both. Each error has an id, which the client gets and the log shows, so that the two can
 * be brought together.
 */
#include "common/log.h"
#include "proto/telemetry.pb-c.h"
#include "server/call_private.h"
#include "server/connection.h"
#include "server/service.h"

#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define NUMBER_BYTES    21
#define ID_BYTES        17
#define ACCEPT_ENCODING "identity,gzip"
#define PUSHBACK_MS     1000 /* and up to as much again, so that they do not all come at once */

/* Names and values live as long as the fields: nghttp2 copies them. */
struct fields {
    nghttp2_nv list[12];
    size_t count;
    char status[NUMBER_BYTES], received[NUMBER_BYTES], pushback[NUMBER_BYTES], id[ID_BYTES];
    char message[3 * CALL_MESSAGE_BYTES];
};

static void add(struct fields *fields, const char *name, const char *value)
{
    fields->list[fields->count++] = (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name),
                                                 strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void add_headers(struct fields *fields, const char *http_status)
{
    add(fields, ":status", http_status);
    add(fields, "content-type", GRPC_CONTENT_TYPE);
    add(fields, "grpc-accept-encoding", ACCEPT_ENCODING);
}

/* A number that spreads ids over 0 to PUSHBACK_MS - 1 (Knuth's multiplicative hash). */
static unsigned spread(uint64_t id)
{
    return (unsigned)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) % PUSHBACK_MS;
}

/* The ids of a worker count from a random number, so that two workers' are never the same, nor
 * those of two runs. */
static uint64_t next_id(struct call_context *context)
{
    if (context->request_id == 0 &&
        getrandom(&context->request_id, sizeof context->request_id, 0) < 0)
        context->request_id = (uint64_t)(uintptr_t)context;
    return ++context->request_id;
}

/* Errors that show a fault, of the client's or of ours, or an attack; the others are all in a day's
 * work. */
static enum log_level level_of(const struct call *call)
{
    switch (call->status) {
    case GRPC_INTERNAL:
    case GRPC_INVALID_ARGUMENT:
    case GRPC_PERMISSION_DENIED:
    case GRPC_RESOURCE_EXHAUSTED:
    case GRPC_UNAUTHENTICATED:
        return LOG_WARN;
    case GRPC_UNAVAILABLE:
        return call->context->shutting_down ? LOG_DEBUG : LOG_WARN;
    default:
        return LOG_DEBUG;
    }
}

static void log_error_answer(const struct call *call, const char *id)
{
    char peer[NETWORK_NAME_BYTES];
    struct log_about about = {
        .kind = "request_failed",
        .request_id = id,
        .peer = connection_peer(call->connection, peer),
        .limit = &call->context->error_limits[call->status],
    };

    log_event(level_of(call), &about, "%s: %s", grpc_status_name(call->status), call->message);
}

static void add_error(struct fields *fields, const struct call *call)
{
    uint64_t id = next_id(call->context);

    grpc_encode_message(call->message, fields->message, sizeof fields->message);
    add(fields, "grpc-message", fields->message);
    if (call_is_stream(call)) {
        snprintf(fields->received, sizeof fields->received, "%" PRIu64, call->received);
        add(fields, "tally-received", fields->received);
    }
    snprintf(fields->id, sizeof fields->id, "%016" PRIx64, id);
    add(fields, "tally-request-id", fields->id);
    if (call->is_overload) {
        snprintf(fields->pushback, sizeof fields->pushback, "%u", PUSHBACK_MS + spread(id));
        add(fields, "grpc-retry-pushback-ms", fields->pushback);
    }
    log_error_answer(call, fields->id);
}

static void add_trailers(struct fields *fields, const struct call *call)
{
    snprintf(fields->status, sizeof fields->status, "%d", call->status);
    add(fields, "grpc-status", fields->status);
    if (call->status != GRPC_OK)
        add_error(fields, call);
}

/* Without memory for an answer the client at least hears of the stream's end. */
static bool submitted(struct call *call, int error)
{
    if (error == 0)
        return true;
    nghttp2_submit_rst_stream(call->session, NGHTTP2_FLAG_NONE, call->stream_id,
                              NGHTTP2_INTERNAL_ERROR);
    return false;
}

static void touch(struct call *call)
{
    if (call->context->touch)
        call->context->touch(call->context, call->connection);
}

/* nghttp2 asks for the response's body, and behind its end for the trailers. */
static ssize_t read_output(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t size,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct call *call = source->ptr;
    struct call_output *output = &call->output;
    size_t left = output->length - output->sent, n = left < size ? left : size;
    struct fields trailers = {.count = 0};

    (void)user;
    if (n > 0)
        memcpy(out, output->bytes + output->sent, n);
    output->sent += n;
    if (n < left)
        return (ssize_t)n;
    if (call->service)
        service_sent(call);
    if (!output->ends)
        return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    add_trailers(&trailers, call);
    if (nghttp2_submit_trailer(session, stream_id, trailers.list, trailers.count))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return (ssize_t)n;
}

/* Begins the response, or goes on with it; false when there is no memory for that. */
static bool respond(struct call *call)
{
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_output};
    struct fields headers = {.count = 0};
    int error;

    touch(call);
    if (call->output.begun) {
        error = nghttp2_session_resume_data(call->session, call->stream_id);
        return submitted(call, error == NGHTTP2_ERR_NOMEM ? error : 0); /* else it was not held */
    }
    call->output.begun = true;
    add_headers(&headers, "200");
    return submitted(call, nghttp2_submit_response(call->session, call->stream_id, headers.list,
                                                   headers.count, &body));
}

void call_respond(struct call *call)
{
    if (!respond(call))
        call->state = CALL_ANSWERED;
}

/* One HEADERS frame that is the whole response. */
static void answer_without_body(struct call *call, const char *http_status)
{
    struct fields fields = {.count = 0};

    touch(call);
    add_headers(&fields, http_status);
    add_trailers(&fields, call);
    submitted(call, nghttp2_submit_response(call->session, call->stream_id, fields.list,
                                            fields.count, NULL));
}

static ssize_t read_text(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct call_output *output = &((struct call *)source->ptr)->output;
    size_t left = output->length - output->sent, n = left < size ? left : size;

    (void)session;
    (void)stream_id;
    (void)user;
    memcpy(out, output->bytes + output->sent, n);
    output->sent += n;
    if (n == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* For a peer that speaks no gRPC: its message as text, for a person to read. */
static void answer_text(struct call *call, const char *http_status)
{
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_text};
    struct fields fields = {.count = 0};

    touch(call);
    add(&fields, ":status", http_status);
    add(&fields, "content-type", "text/plain; charset=utf-8");
    add_trailers(&fields, call);
    call->output.bytes = (const uint8_t *)call->message;
    call->output.length = strlen(call->message) + 1;
    call->message[call->output.length - 1] = '\n'; /* the end of the text is no longer needed */
    submitted(call, nghttp2_submit_response(call->session, call->stream_id, fields.list,
                                            fields.count, call->is_head ? NULL : &body));
}

static void write_ack(struct call *call)
{
    Telemetry__Ack ack = TELEMETRY__ACK__INIT;
    size_t length;

    ack.received = call->received;
    length = telemetry__ack__pack(&ack, call->ack + FRAME_HEADER_BYTES);
    frame_write_header(call->ack, (uint32_t)length);
    call->output.bytes = call->ack;
    call->output.length = FRAME_HEADER_BYTES + length;
}

static bool is_acknowledged(const struct call *call)
{
    return call_is_stream(call) && call->status == GRPC_OK;
}

void call_answer(struct call *call)
{
    call->state = CALL_ANSWERED;
    if (is_acknowledged(call))
        write_ack(call);
    call->output.ends = true;
    if (!call->output.begun && call->output.length == 0)
        answer_without_body(call, "200");
    else
        respond(call);
}

void call_refuse(struct call *call, enum grpc_status status, const char *message)
{
    call_refuse_http(call, "200", status, message);
}

void call_refuse_http(struct call *call, const char *http_status, enum grpc_status status,
                      const char *message)
{
    bool is_grpc = call->is_post && call->is_grpc;

    snprintf(call->message, sizeof call->message, "%s", message);
    call->status = status;
    call->state = CALL_ANSWERED;
    if (call_is_stream(call))
        stats_add(&call->context->stats->streams_refused, 1);
    if (is_grpc)
        answer_without_body(call, http_status);
    else
        answer_text(call, http_status);
}

void call_response_sent(struct call *call)
{
    if (is_acknowledged(call))
        stats_add(&call->context->stats->streams_acknowledged, 1);
    if (!call->client_ended)
        nghttp2_submit_rst_stream(call->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                  call->reset_code);
}
