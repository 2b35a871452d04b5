/*
 * What is asked of a call: its headers, and whether it is let in. They come from anybody, so the
 * answer to a wrong one is short, and nothing of them is kept but what it says.
 */
#include "common/clock.h"
#include "common/pressure.h"
#include "common/thread.h"
#include "common/tokens.h"
#include "server/call_private.h"
#include "server/service.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

static bool is(const uint8_t *bytes, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

/* Finds out whose token it is right here: the secret itself is kept nowhere. */
static void take_authorization(struct call *call, const uint8_t *value, size_t length)
{
    struct tokens *tokens = call->context->tokens;

    call->has_two_authorizations = call->has_authorization;
    call->has_authorization = true;
    if (!tokens || call->has_two_authorizations)
        return;
    call->tokens_generation = tokens_generation(tokens);
    call->principal = tokens_find(tokens, (const char *)value, length);
}

void call_header(struct call *call, const uint8_t *name, size_t name_length, const uint8_t *value,
                 size_t value_length)
{
    size_t bytes = call->header_bytes + name_length + value_length + 32;

    call->is_too_large |= bytes > CALL_HEADER_LIST_BYTES;
    if (call->is_too_large)
        return;
    call->header_bytes = (uint32_t)bytes;
    if (call->state != CALL_HEADERS)
        return; /* trailers: counted, so that they cannot be endless, and of no use */
    if (is(name, name_length, ":method")) {
        call->is_post = is(value, value_length, "POST");
        call->is_head = is(value, value_length, "HEAD");
    } else if (is(name, name_length, ":path")) {
        call->method = method_find(value, value_length, &call->is_known_service);
    } else if (is(name, name_length, "content-type")) {
        call->is_grpc = grpc_is_content_type(value, value_length);
        call->is_proto = grpc_is_proto_type(value, value_length);
    } else if (is(name, name_length, "grpc-encoding")) {
        call->reader.takes_compressed = is(value, value_length, "gzip");
        call->is_bad_encoding =
            !call->reader.takes_compressed && !is(value, value_length, "identity");
    } else if (is(name, name_length, "grpc-timeout")) {
        call->has_timeout = true;
        call->is_bad_timeout = grpc_parse_timeout(value, value_length, &call->timeout_ms) != 0;
    } else if (is(name, name_length, "authorization")) {
        take_authorization(call, value, value_length);
    }
}

/* ---- Letting in ----------------------------------------------------------------------------- */

static void count_opened(struct call *call)
{
    struct stats_worker *stats = call->context->stats;

    call->is_counted = true;
    if (call_is_stream(call))
        stats_add(&stats->streams_opened, 1);
    else
        stats_add(&stats->service_calls_opened, 1);
}

/* What each of these says no to, it has refused. First, whether it is a call at all. */
static bool is_call(struct call *call)
{
    static const char too_large[] = "the request's headers are over the limit of 16 KiB";

    if (call->is_too_large) /* 431 means nothing to gRPC's clients */
        call_refuse_http(call, call->is_grpc ? "200" : "431", GRPC_RESOURCE_EXHAUSTED, too_large);
    else if (!call->is_post)
        call_refuse_http(call, "405", GRPC_INTERNAL, "gRPC asks with POST");
    else if (!call->is_grpc)
        call_refuse_http(call, "415", GRPC_INVALID_ARGUMENT,
                         "this is no content-type of gRPC's; send " GRPC_CONTENT_TYPE);
    else if (call->is_bad_timeout)
        call_refuse_http(
            call, "400", GRPC_INTERNAL,
            "malformed grpc-timeout; send one to eight digits and a unit, H M S m u n");
    else if (!call->is_known_service)
        call_refuse(call, GRPC_UNIMPLEMENTED, "unknown service; this server has " GRPC_PATH);
    else if (!call->method)
        call_refuse(call, GRPC_UNIMPLEMENTED,
                    "unknown method of a known service; this server has " GRPC_PATH);
    else if (!call->is_proto)
        call_refuse(call, GRPC_UNIMPLEMENTED,
                    "messages are protobuf here; send " GRPC_CONTENT_TYPE);
    else if (call->is_bad_encoding)
        call_refuse(call, GRPC_UNIMPLEMENTED, "unknown grpc-encoding; send identity or gzip");
    else
        return true;
    return false;
}

/* Whether who calls may. */
static bool is_allowed(struct call *call)
{
    struct stats_worker *stats = call->context->stats;
    const struct principal *principal = call->principal;

    if (!call->context->tokens || call->method->access == METHOD_PUBLIC)
        return true;
    if (!principal || call->has_two_authorizations) {
        if (call_is_stream(call))
            stats_add(&stats->streams_unauthenticated, 1);
        call_refuse(call, GRPC_UNAUTHENTICATED,
                    call->has_two_authorizations ? "send one token, not two"
                    : call->has_authorization    ? "this token is not known here"
                                                 : "send a token: authorization: Bearer TOKEN");
        return false;
    }
    if (call->method->access == METHOD_INGEST && !token_allows(principal->rights, TOKEN_INGEST)) {
        stats_add(&stats->streams_denied, 1);
        call_refuse(call, GRPC_PERMISSION_DENIED, "this token does not allow to send packets");
        return false;
    }
    call->allowance = principal->allowance;
    call->has_prefix = principal->prefix_length > 0;
    return true;
}

static void refuse_overload(struct call *call, const char *why)
{
    if (call_is_stream(call))
        stats_add(&call->context->stats->streams_overload, 1);
    call->is_overload = true;
    call_refuse(call, GRPC_UNAVAILABLE, why);
}

/* Whether there is room for it. Health is told as long as there is any: who restarts a server that
 * is busy makes nothing better. */
static bool is_room(struct call *call)
{
    struct call_context *context = call->context;

    call->is_let_in = share_take(&context->share, call->share, SHARE_OPEN_CALLS, 1);
    if (context->shutting_down)
        call_refuse(call, GRPC_UNAVAILABLE, "shutting down");
    else if (!call->is_let_in)
        refuse_overload(call, "too many streams; end some first");
    else if (call->method->access != METHOD_PUBLIC &&
             pressure_level(context->pressure) == PRESSURE_FULL)
        refuse_overload(call, "memory is short; come again later");
    else if (call_is_stream(call) && commits_redis_down(context->commits, context->redis_grace_ms))
        call_refuse(call, GRPC_UNAVAILABLE, "redis down");
    else
        return true;
    return false;
}

/* Makes what the call needs. */
static bool is_prepared(struct call *call)
{
    if (call->has_timeout && call->timeout_ms == 0) {
        if (call_is_stream(call))
            stats_add(&call->context->stats->streams_expired, 1);
        call->reset_code = NGHTTP2_CANCEL;
        call_refuse(call, GRPC_DEADLINE_EXCEEDED, "the deadline of grpc-timeout had passed");
        return false;
    }
    if (call->has_timeout &&
        timers_set(call->context->timers, &call->deadline, clock_now_ms() + call->timeout_ms)) {
        refuse_overload(call, "memory is short; come again later");
        return false;
    }
    if (call_is_stream(call))
        return true;
    call->service = service_create();
    if (!call->service)
        refuse_overload(call, "memory is short; come again later");
    return call->service != NULL;
}

void call_begin(struct call *call)
{
    thread_assert_role(THREAD_WORKER);
    count_opened(call);
    if (is_call(call) && is_allowed(call) && is_room(call) && is_prepared(call))
        call->state = call_is_stream(call) ? CALL_OPEN : CALL_SERVING;
}
