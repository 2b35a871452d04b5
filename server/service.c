/*
 * Requests and responses of a call that is not of StreamPackets.
 *
 * A request that lies whole in what came is handed over where it lies; one that is split is
 * gathered, up to SERVICE_REQUEST_BYTES. Responses wait in one buffer until nghttp2 asks for them.
 * What all calls of a worker hold of both is shared (share.h), so a client that opens many calls
 * and reads nothing takes no more than it leaves to others.
 */
#include "server/service.h"

#include "server/call_private.h"

#include <inttypes.h>
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>
#include <string.h>

struct service *service_create(void)
{
    return calloc(1, sizeof(struct service));
}

/* ---- Memory --------------------------------------------------------------------------------- */

/* Makes a buffer of a call larger. Returns false when that is too much. */
static bool grow(struct call *call, uint8_t **buffer, size_t *room, size_t bytes)
{
    struct share *all = &call->context->share;
    uint8_t *grown;

    if (!share_take(all, call->share, SHARE_SERVICE_BYTES, bytes - *room))
        return false;
    grown = realloc(*buffer, bytes);
    if (!grown) {
        share_give(all, call->share, SHARE_SERVICE_BYTES, bytes - *room);
        return false;
    }
    *buffer = grown;
    *room = bytes;
    return true;
}

static void release(struct call *call, uint8_t **buffer, size_t *room)
{
    share_give(&call->context->share, call->share, SHARE_SERVICE_BYTES, *room);
    free(*buffer);
    *buffer = NULL;
    *room = 0;
}

void service_destroy(struct call *call)
{
    struct service *service = call->service;

    if (!service)
        return;
    release(call, &service->request, &service->request_room);
    release(call, &service->output, &service->output_room);
    free(service);
    call->service = NULL;
}

/* ---- Requests ------------------------------------------------------------------------------- */

static void take_request(struct call *call, const uint8_t *bytes, size_t length)
{
    struct service *service = call->service;

    if (call->method->one_request && service->has_request)
        call_fail(call, GRPC_UNIMPLEMENTED, "this method takes one request, and here are more");
    else
        call->method->request(call, bytes, length);
    service->has_request = true;
}

/* Adds to a request that comes in parts; false when the call has failed. */
static bool gather(struct call *call, const uint8_t *bytes, size_t length)
{
    struct service *service = call->service;

    if (!service->request &&
        !grow(call, &service->request, &service->request_room, frame_length(&call->reader) + 1)) {
        call_fail_for_room(call, "too many requests are under way; try later");
        return false;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): grow() has set it */
    memcpy(service->request + service->request_have, bytes, length);
    service->request_have += length;
    return true;
}

static void take_gathered(struct call *call)
{
    struct service *service = call->service;

    take_request(call, service->request, service->request_have);
    service->request_have = 0;
    release(call, &service->request, &service->request_room);
}

static void append(void *target, const uint8_t *bytes, size_t length)
{
    struct service *service = target;

    memcpy(service->request + service->request_have, bytes, length);
    service->request_have += length;
}

/* Takes a piece of a compressed request, which is inflated where requests are gathered. */
static void take_compressed(struct call *call, const struct frame_piece *piece, bool is_last)
{
    struct service *service = call->service;
    enum gunzip_result result = GUNZIP_BUSY;

    if (service->request ||
        grow(call, &service->request, &service->request_room, SERVICE_REQUEST_BYTES))
        result = call_inflate(call, piece, is_last, SERVICE_REQUEST_BYTES, append, service);
    if (result == GUNZIP_TOO_LARGE)
        call_fail(call, GRPC_RESOURCE_EXHAUSTED, "a request inflates to more than %d bytes",
                  SERVICE_REQUEST_BYTES);
    else if (result == GUNZIP_BUSY)
        call_fail_for_room(call, "too many requests are under way; try later");
    else if (result == GUNZIP_BROKEN)
        call_fail(call, GRPC_INTERNAL, "a compressed request is no gzip, or not whole");
    else if (is_last)
        take_gathered(call);
}

static void reject(struct call *call, enum frame_result result)
{
    if (result == FRAME_TOO_LARGE)
        call_fail(call, GRPC_RESOURCE_EXHAUSTED,
                  "a request of %" PRIu32 " bytes is over the limit of %d",
                  frame_length(&call->reader), SERVICE_REQUEST_BYTES);
    else if (result == FRAME_COMPRESSED)
        call_fail(call, GRPC_INTERNAL, "a compressed message, and the request names no encoding");
    else
        call_fail(call, GRPC_INTERNAL, "a message whose compressed-flag byte is neither 0 nor 1");
}

/* Out of line, for it gives out addresses on its stack; see take_next() in call_receive.c. */
NOINLINE void service_receive(struct call *call, const uint8_t *bytes, size_t length)
{
    while (length > 0 && call->state == CALL_SERVING) {
        struct frame_piece piece;
        enum frame_result got =
            frame_next(&call->reader, &bytes, &length, SERVICE_REQUEST_BYTES, &piece);

        if (got != FRAME_MORE && got <= FRAME_LAST_PART && piece.compressed)
            take_compressed(call, &piece, got != FRAME_PART);
        else if (got == FRAME_WHOLE)
            take_request(call, piece.bytes, piece.length);
        else if (got == FRAME_PART)
            gather(call, piece.bytes, piece.length);
        else if (got == FRAME_LAST_PART && gather(call, piece.bytes, piece.length))
            take_gathered(call);
        else if (got > FRAME_LAST_PART)
            reject(call, got);
    }
}

void service_client_ended(struct call *call)
{
    if (!frame_at_boundary(&call->reader))
        call_fail(call, GRPC_INTERNAL, "the stream ended inside a request");
    else if (call->method->one_request && !call->service->has_request)
        call_fail(call, GRPC_UNIMPLEMENTED, "this method takes one request, and there was none");
    else if (!call->method->goes_on)
        call_answer(call);
}

/* ---- Responses ------------------------------------------------------------------------------ */

/* Makes room behind what waits; what is sent makes room, too. False when the call has failed. */
static bool make_room(struct call *call, size_t bytes)
{
    struct service *service = call->service;
    struct call_output *output = &call->output;
    size_t waiting = output->length - output->sent;

    if (output->sent > 0)
        memmove(service->output, service->output + output->sent, waiting);
    output->length = waiting;
    output->sent = 0;
    if (waiting + bytes > SERVICE_OUTPUT_BYTES) {
        call_fail(call, GRPC_RESOURCE_EXHAUSTED, "too many responses wait to be read");
        return false;
    }
    if (waiting + bytes > service->output_room &&
        !grow(call, &service->output, &service->output_room, waiting + bytes)) {
        call_fail_for_room(call, "too many responses of other calls wait to be read; try later");
        return false;
    }
    output->bytes = service->output;
    return true;
}

void service_send(struct call *call, const struct ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *to;

    if (!make_room(call, FRAME_HEADER_BYTES + length))
        return;
    to = call->service->output + call->output.length;
    frame_write_header(to, (uint32_t)length);
    protobuf_c_message_pack(message, to + FRAME_HEADER_BYTES);
    call->output.length += FRAME_HEADER_BYTES + length;
    call_respond(call);
}

void service_sent(struct call *call)
{
    release(call, &call->service->output, &call->service->output_room);
    call->output = (struct call_output){.begun = true, .ends = call->output.ends};
}
