/*
 * Compressed messages of calls. A state to inflate with is taken only while one is under way, so
 * streams that stand between messages hold none, and those that stand inside one are bounded.
 */
#include "server/call_private.h"

#define STATES_MAX 1024 /* of a worker, at up to 40 KB each */

static bool take_state(struct call *call)
{
    struct call_context *context = call->context;

    if (!context->gunzips)
        context->gunzips = gunzip_pool_create(STATES_MAX);
    if (!call->gunzip && context->gunzips)
        call->gunzip = gunzip_take(context->gunzips);
    return call->gunzip != NULL;
}

enum gunzip_result call_inflate(struct call *call, const struct frame_piece *piece, bool is_last,
                                uint32_t max_bytes, gunzip_sink *sink, void *target)
{
    enum gunzip_result result;

    if (!take_state(call))
        return GUNZIP_BUSY;
    result = gunzip_part(call->gunzip, piece->bytes, piece->length, max_bytes, sink, target);
    if (result == GUNZIP_OK && is_last && !gunzip_is_whole(call->gunzip))
        result = GUNZIP_BROKEN;
    if (is_last || result != GUNZIP_OK) {
        gunzip_give(call->gunzip);
        call->gunzip = NULL;
    }
    return result;
}
