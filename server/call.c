/*
 * The life of a call: how it is made, how it ends, how it waits for its commit.
 *
 * Invariants: a call is in the waiting list exactly while it is ENDED; `received` grows only while
 * it is OPEN; `cut` is set when it ends, so no packet of it is in a later cut: those gathered and
 * not yet counted are settled before the worker answers a cut. The waiting list is in order of
 * `cut`, since cuts only grow.
 *
 * A deadline is a promise both ways: the client waits no longer, and the server works no longer.
 * So a stream whose deadline has passed ends, as by any error: what it counted stays counted, and
 * the error names it. To name it truly takes a commit, which takes some milliseconds where Redis is
 * at hand, and which can take for ever where it is not; therefore the answer waits for it for
 * DEADLINE_GRACE_MS and no longer, and then goes without: tally-received is 0, which is what it can
 * vouch for, and the message, of whichever error, tells how many wait. A stream that waits for its
 * Ack when its deadline passes has waited already, and is answered at once.
 */
#include "common/clock.h"
#include "common/thread.h"
#include "common/tokens.h"
#include "proto/packet.h"
#include "server/call_private.h"
#include "server/service.h"

#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_GRACE_MS 100

void call_context_fini(struct call_context *context)
{
    gunzip_pool_destroy(context->gunzips);
    context->gunzips = NULL;
}

struct call *call_create(struct call_context *context, struct connection *connection,
                         struct nghttp2_session *session, int32_t stream_id)
{
    size_t feed_offset =
        (sizeof(struct call) + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct call *call = calloc(1, feed_offset + packet_feed_size(context->limits.max_id_bytes));

    thread_assert_role(THREAD_WORKER);
    if (!call)
        return NULL;
    call->context = context;
    call->connection = connection;
    call->session = session;
    call->stream_id = stream_id;
    call->reset_code = NGHTTP2_NO_ERROR;
    call->deadline.kind = TIMER_CALL;
    call->feed = packet_feed_init((char *)call + feed_offset, context->limits.max_id_bytes);
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
    thread_assert_role(THREAD_WORKER);
    if (!call)
        return;
    if (call->state == CALL_ENDED)
        waiting_remove(call);
    if (call->deadline.place)
        timers_cancel(call->context->timers, &call->deadline);
    if (call->is_counted && call_is_stream(call))
        stats_count_end(&call->context->stats->streams_closed);
    else if (call->is_counted)
        stats_count_end(&call->context->stats->service_calls_closed);
    call_inflate_end(call);
    service_destroy(call);
    if (call->is_let_in)
        share_give(&call->context->share, call->share, SHARE_OPEN_CALLS, 1);
    share_give(&call->context->share, call->share, SHARE_CALLS, 1);
    tokens_release(call->principal);
    free(call);
}

/* The answer of a call that gives up waiting for its commit vouches for nothing. */
static void answer_uncommitted(struct call *call)
{
    call->received = 0;
    waiting_remove(call);
    call_answer(call);
}

struct call *call_answer_next(struct call_context *context, bool force)
{
    struct call *call = context->waiting_first;

    thread_assert_role(THREAD_WORKER);
    if (!call)
        return NULL;
    if (call->cut <= commits_number(context->commits)) {
        waiting_remove(call);
        call_answer(call);
        return call;
    }
    if (!force)
        return NULL;
    if (call->status == GRPC_OK)
        stats_add(&context->stats->streams_failed, 1);
    call->status = GRPC_UNAVAILABLE;
    snprintf(call->message, sizeof call->message,
             "the server stopped before these packets were committed");
    answer_uncommitted(call);
    return call;
}

/* ---- Ends --------------------------------------------------------------------------------- */

static void end(struct call *call)
{
    if (call->received == 0) {
        call_answer(call);
        return;
    }
    call->state = CALL_ENDED;
    call->cut = cut_number(call->context->cut);
    waiting_append(call);
    cut_hurry(call->context->cut);
}

static PRINTF_LIKE(3, 0) void fail(struct call *call, enum grpc_status status, const char *format,
                                   va_list args)
{
    vsnprintf(call->message, sizeof call->message, format, args);
    call->status = status;
    if (call_is_stream(call))
        stats_add(&call->context->stats->streams_failed, 1);
    end(call);
}

void call_fail(struct call *call, enum grpc_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail(call, status, format, args);
    va_end(args);
}

void call_fail_for_room(struct call *call, const char *format, ...)
{
    va_list args;

    call->is_overload = true;
    va_start(args, format);
    fail(call, GRPC_UNAVAILABLE, format, args);
    va_end(args);
}

static bool is_open(const struct call *call)
{
    return call->state == CALL_OPEN || call->state == CALL_SERVING;
}

void call_client_ended(struct call *call)
{
    call->client_ended = true;
    if (!is_open(call))
        return;
    if (call->is_too_large) /* by its trailers */
        call_fail(call, GRPC_RESOURCE_EXHAUSTED, "the trailers are over the limit of 16 KiB");
    else if (call->state == CALL_SERVING)
        service_client_ended(call);
    else if (frame_at_boundary(&call->reader))
        end(call);
    else
        call_fail(call, GRPC_INTERNAL, "the stream ended inside packet %" PRIu64, call->received);
}

void call_interrupt(struct call *call, const char *why)
{
    if (is_open(call))
        call_fail(call, GRPC_UNAVAILABLE, "%s", why);
}

/* ---- The deadline --------------------------------------------------------------------------- */

static const char deadline_passed[] = "the deadline of grpc-timeout has passed";

/* Says behind an error what its tally-received does not. A long one loses its end to that. */
static void add_what_waits(struct call *call)
{
    char waits[80];
    size_t length = (size_t)snprintf(
        waits, sizeof waits, "; the %" PRIu64 " packets that were counted will be committed",
        call->received);
    size_t at = strlen(call->message), last = sizeof call->message - 1 - length;

    memcpy(call->message + (at < last ? at : last), waits, length + 1);
}

static void give_up_waiting(struct call *call)
{
    if (call->status == GRPC_OK) {
        stats_add(&call->context->stats->streams_failed, 1);
        stats_add(&call->context->stats->streams_expired, 1);
        call->status = GRPC_DEADLINE_EXCEEDED;
        snprintf(call->message, sizeof call->message, "%s", deadline_passed);
    }
    add_what_waits(call);
    answer_uncommitted(call);
}

void call_deadline(struct timer *timer)
{
    struct call *call = (struct call *)((char *)timer - offsetof(struct call, deadline));

    call->reset_code = NGHTTP2_CANCEL;
    if (call->state == CALL_ENDED) {
        give_up_waiting(call);
    } else if (is_open(call)) {
        if (call_is_stream(call))
            stats_add(&call->context->stats->streams_expired, 1);
        call_fail(call, GRPC_DEADLINE_EXCEEDED, "%s", deadline_passed);
        if (call->state == CALL_ENDED &&
            timers_set(call->context->timers, &call->deadline, clock_now_ms() + DEADLINE_GRACE_MS))
            give_up_waiting(call);
    }
}

/* ---- The tick ------------------------------------------------------------------------------- */

/* True when the call has stood inside one message for too long. A tick sees that nothing moved
 * since the last one, so the packet path need not note when something did. */
static bool has_stalled(struct call *call, uint64_t now_ms)
{
    const struct call_progress now = {now_ms, call->received, call->reader.left,
                                      call->reader.header_have};
    struct call_progress *last = &call->progress;

    if (frame_at_boundary(&call->reader) || last->since_ms == 0 || now.received != last->received ||
        now.left != last->left || now.header_have != last->header_have) {
        *last = now;
        return false;
    }
    return call->context->stall_timeout_ms &&
           now_ms - last->since_ms >= call->context->stall_timeout_ms;
}

/* True when the token that let the call in is no longer good. */
static bool has_lost_token(struct call *call)
{
    struct tokens *tokens = call->context->tokens;
    uint64_t generation;

    if (!call->principal)
        return false;
    generation = tokens_generation(tokens);
    if (generation == call->tokens_generation)
        return false;
    call->tokens_generation = generation;
    return !tokens_hold(tokens, call->principal);
}

void call_tick(struct call *call, uint64_t now_ms)
{
    if (!is_open(call))
        return;
    if (has_lost_token(call))
        call_fail(call, GRPC_UNAUTHENTICATED, "the token is no longer good");
    else if (has_stalled(call, now_ms))
        call_fail(call, GRPC_DEADLINE_EXCEEDED, "nothing came for %" PRIu64 " ms inside a message",
                  call->context->stall_timeout_ms);
    else if (call->method->tick)
        call->method->tick(call);
}
