/*
 * Compressed messages of calls. A state to inflate with is taken only while one is under way, so
 * streams that stand between messages hold none, and those that stand inside one are bounded. A
 * message that lies whole in what came needs one for that moment only, and always gets it.
 */
#include "server/call_private.h"

static bool take_state(struct call *call)
{
    struct call_context *context = call->context;

    if (!context->gunzips)
        context->gunzips = gunzip_pool_create(SIZE_MAX); /* the bound is the share's */
    if (!call->gunzip && context->gunzips)
        call->gunzip = gunzip_take(context->gunzips);
    return call->gunzip != NULL;
}

/* The message goes on in what comes next. */
static bool keep_state(struct call *call)
{
    if (!call->is_inflating)
        call->is_inflating = share_take(&call->context->share, call->share, SHARE_INFLATING, 1);
    return call->is_inflating;
}

void call_inflate_end(struct call *call)
{
    gunzip_give(call->gunzip);
    call->gunzip = NULL;
    if (call->is_inflating)
        share_give(&call->context->share, call->share, SHARE_INFLATING, 1);
    call->is_inflating = false;
}

enum gunzip_result call_inflate(struct call *call, const struct frame_piece *piece, bool is_last,
                                uint32_t max_bytes, gunzip_sink *sink, void *target)
{
    enum gunzip_result result = GUNZIP_BUSY;

    if (take_state(call) && (is_last || keep_state(call)))
        result = gunzip_part(call->gunzip, piece->bytes, piece->length, max_bytes, sink, target);
    if (result == GUNZIP_OK && is_last && !gunzip_is_whole(call->gunzip))
        result = GUNZIP_BROKEN;
    if (is_last || result != GUNZIP_OK)
        call_inflate_end(call);
    return result;
}
