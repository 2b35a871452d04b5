/*
 * The packet path of a call: call_receive() runs once a chunk of DATA, and its loop once a run of
 * packets of the usual shape and once for each packet between two runs.
 *
 * The ids of a run are gathered, over chunks and calls of the worker, and counted as a group. A
 * call ends at the first packet that is wrong; those before it stay counted. What tokens ask beyond
 * that, prefixes and allowances, costs a stream without them a branch a run and one a chunk.
 */
#include "common/tokens.h"
#include "proto/packet.h"
#include "server/call_private.h"
#include "server/service.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define REJECTED(reason) offsetof(struct balance_rejected, reason)

/* Ends the call because of the packet at hand; `why` is what is wrong with it. */
static void fail_packet(struct call *call, size_t reason, enum grpc_status status, const char *why)
{
    cut_reject(call->context->cut, reason);
    call_fail(call, status, "packet %" PRIu64 " (the first is 0): %s", call->received, why);
}

static void reject_packet(struct call *call, enum packet_result result, const struct packet_id *id)
{
    const char *why = packet_result_text(result);
    char too_long[80];

    switch (result) {
    case PACKET_ID_EMPTY:
        fail_packet(call, REJECTED(device_id), GRPC_INVALID_ARGUMENT, why);
        break;
    case PACKET_ID_TOO_LONG:
        snprintf(too_long, sizeof too_long, "its device_id has %zu bytes, over the limit of %zu",
                 id->length, call->context->limits.max_id_bytes);
        fail_packet(call, REJECTED(device_id), GRPC_INVALID_ARGUMENT, too_long);
        break;
    case PACKET_ID_NOT_UTF8:
        fail_packet(call, REJECTED(utf8), GRPC_INTERNAL, why);
        break;
    default:
        fail_packet(call, REJECTED(malformed), GRPC_INTERNAL, why);
    }
}

static void reject_frame(struct call *call, enum frame_result result)
{
    char too_large[80];

    switch (result) {
    case FRAME_TOO_LARGE:
        snprintf(too_large, sizeof too_large, "%" PRIu32 " bytes are over the limit of %" PRIu32,
                 frame_length(&call->reader), call->context->limits.max_message_bytes);
        fail_packet(call, REJECTED(too_large), GRPC_RESOURCE_EXHAUSTED, too_large);
        break;
    case FRAME_COMPRESSED:
        fail_packet(call, REJECTED(malformed), GRPC_INTERNAL,
                    "it is compressed, and the request names no grpc-encoding");
        break;
    default:
        fail_packet(call, REJECTED(malformed), GRPC_INTERNAL,
                    "its compressed-flag byte is neither 0 nor 1");
    }
}

/* ---- What tokens cover ---------------------------------------------------------------------- */

/* True unless the call's token is for device_ids that start in a way that this one does not. */
static inline bool is_covered(const struct call *call, const struct packet_id *id)
{
    const struct principal *principal = call->principal;

    return likely(!call->has_prefix) ||
           (id->length >= principal->prefix_length &&
            memcmp(id->bytes, principal->prefix, principal->prefix_length) == 0);
}

static void reject_uncovered(struct call *call)
{
    stats_add(&call->context->stats->streams_not_allowed, 1);
    fail_packet(call, REJECTED(denied), GRPC_PERMISSION_DENIED,
                "its device_id does not start as those of this token must");
}

/* What is counted from now on is counted for another call's allowance. */
static NOINLINE void change_allowance(struct call *call)
{
    call_settle(call->context);
    call->context->allowance = call->allowance;
    cut_allow(call->context->cut, call->allowance);
}

/* ---- Packets -------------------------------------------------------------------------------- */

static void take_packet(struct call *call, enum packet_result result, const struct packet_id *id)
{
    if (unlikely(result != PACKET_OK)) {
        reject_packet(call, result, id);
        return;
    }
    if (unlikely(!is_covered(call, id))) {
        reject_uncovered(call);
        return;
    }
    cut_count(call->context->cut, id->bytes, id->length);
    call->received++;
}

static void reject_inflated(struct call *call, enum gunzip_result result)
{
    char too_large[80];

    if (result == GUNZIP_TOO_LARGE) {
        snprintf(too_large, sizeof too_large, "it inflates to more than the limit of %" PRIu32,
                 call->context->limits.max_message_bytes);
        fail_packet(call, REJECTED(too_large), GRPC_RESOURCE_EXHAUSTED, too_large);
    } else if (result == GUNZIP_BUSY) {
        call_fail_for_room(call,
                           "too many compressed messages are under way, before packet %" PRIu64,
                           call->received);
    } else {
        fail_packet(call, REJECTED(malformed), GRPC_INTERNAL,
                    "it is marked as compressed and is no gzip, or not whole");
    }
}

static void feed(void *target, const uint8_t *bytes, size_t length)
{
    packet_feed_part(target, bytes, length);
}

/* Takes a piece of a compressed packet; what it inflates to is never in one place. */
static NOINLINE void take_compressed(struct call *call, const struct frame_piece *piece,
                                     bool is_last)
{
    enum gunzip_result inflated = call_inflate(
        call, piece, is_last, call->context->limits.max_message_bytes, feed, call->feed);
    enum packet_result result;
    struct packet_id id;

    if (inflated != GUNZIP_OK) {
        reject_inflated(call, inflated);
    } else if (is_last) {
        result = packet_feed_end(call->feed, &id);
        take_packet(call, result, &id);
    }
}

/* Takes one packet of any shape, or a part of one, from what stands between `at` and `end`, and
 * returns where it ends. Out of line, as is all that has arrays on its stack, or gives out the
 * addresses of what stands there: the stack's guard would be paid for with each frame. */
static NOINLINE const uint8_t *take_next(struct call *call, const uint8_t *at, const uint8_t *end)
{
    const struct packet_limits *limits = &call->context->limits;
    size_t length = (size_t)(end - at);
    enum packet_result result;
    struct frame_piece piece;
    struct packet_id id;
    enum frame_result got =
        frame_next(&call->reader, &at, &length, limits->max_message_bytes, &piece);

    if (unlikely(call->reader.takes_compressed) && got != FRAME_MORE && got <= FRAME_LAST_PART &&
        piece.compressed) {
        take_compressed(call, &piece, got != FRAME_PART);
        return at;
    }
    switch (got) {
    case FRAME_WHOLE:
        result = packet_scan(piece.bytes, piece.length, limits->max_id_bytes, &id);
        take_packet(call, result, &id);
        break;
    case FRAME_LAST_PART:
        packet_feed_part(call->feed, piece.bytes, piece.length);
        result = packet_feed_end(call->feed, &id);
        take_packet(call, result, &id);
        break;
    case FRAME_PART:
        packet_feed_part(call->feed, piece.bytes, piece.length);
        break;
    case FRAME_MORE:
        break;
    default:
        reject_frame(call, got);
    }
    return at;
}

static inline void gather(struct call *call, size_t count)
{
    call->context->gathered_count += count;
    call->received += count;
}

/* Gathers those of `count` ids that come before the first that the call's token does not cover. */
static NOINLINE void gather_covered(struct call *call, const struct packet_id *ids, size_t count)
{
    size_t n = 0;

    while (n < count && is_covered(call, &ids[n]))
        n++;
    gather(call, n);
    if (n < count)
        reject_uncovered(call);
}

/* Gathers packets of the usual shape, as many as follow one another and there is room for. Returns
 * where they end. */
static inline const uint8_t *gather_run(struct call *call, const uint8_t *at, const uint8_t *end)
{
    struct call_context *context = call->context;
    size_t room = COUNTERS_GROUP - context->gathered_count;
    struct packet_id *ids = context->gathered + context->gathered_count;
    struct packet_run run = packet_run(at, end, &context->limits, ids, room);

    if (unlikely(call->has_prefix))
        gather_covered(call, ids, run.count);
    else
        gather(call, run.count);
    return run.end;
}

/* Out of line, so that what is done once a group takes no registers from what is done once a frame.
 */
NOINLINE void call_settle(struct call_context *context)
{
    if (context->gathered_count == 0)
        return;
    cut_count_each(context->cut, context->gathered, context->gathered_count);
    context->gathered_count = 0;
}

void call_receive(struct call *call, const uint8_t *bytes, size_t length)
{
    const uint8_t *at = bytes, *const end = bytes + length;

    if (unlikely(call->state == CALL_SERVING)) {
        service_receive(call, bytes, length);
        return;
    }
    if (unlikely(call->allowance != call->context->allowance))
        change_allowance(call);
    while (at < end && call->state == CALL_OPEN) { /* and there is room in the group */
        if (frame_at_boundary(&call->reader))
            at = gather_run(call, at, end);
        if (call->context->gathered_count == COUNTERS_GROUP)
            call_settle(call->context);
        else if (at < end && likely(call->state == CALL_OPEN))
            at = take_next(call, at, end);
    }
}
