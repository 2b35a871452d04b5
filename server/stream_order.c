/*
 * nghttp2 forgets closed streams (no_closed_streams: it would keep as many dead ones as may be
 * open), and then takes what still comes for them without a word. That is right for streams that
 * the server cut short, and for no others: DATA behind the client's own end is an error (RFC 9113,
 * 6.1), and so are HEADERS of a stream whose number is not greater than all before it (5.1.1).
 *
 * Which streams were cut short is remembered as one number, the greatest: below it all of them get
 * the benefit of the doubt. A number that was skipped cannot be told from one that was used, but
 * whether any was skipped can: without a gap, stream n is the (n + 1) / 2nd.
 */
#include "server/stream_order.h"

#include <nghttp2/nghttp2.h>

void stream_order_begin(struct stream_order *order, int32_t stream_id)
{
    order->begun++;
    if (stream_id > order->last)
        order->last = stream_id;
}

void stream_order_cut_short(struct stream_order *order, int32_t stream_id)
{
    if (stream_id > order->cut_short)
        order->cut_short = stream_id;
}

void stream_order_settle(struct stream_order *order, int32_t stream_id)
{
    if (stream_id == order->cut_short)
        order->cut_short = stream_id - 2;
}

bool stream_order_is_broken(const struct stream_order *order, int32_t stream_id, uint32_t *error)
{
    bool gap = order->begun < ((uint32_t)order->last + 1) / 2;

    if (stream_id % 2 == 0 || stream_id > order->last || stream_id <= order->cut_short)
        return false; /* an even number is nghttp2's to judge */
    *error = gap ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED;
    return true;
}
