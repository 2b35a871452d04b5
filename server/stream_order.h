/*
 * What a connection knows of the streams that nghttp2 has forgotten: which of them the client may
 * still speak of, since the server ended them and the client need not know yet, and which it may
 * not (RFC 9113, 5.1 and 5.1.1). A few numbers, however many streams there were.
 *
 * Thread: worker, the one that owns the connection.
 */
#ifndef TALLYD_SERVER_STREAM_ORDER_H
#define TALLYD_SERVER_STREAM_ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* All zero at first. */
struct stream_order {
    int32_t last;      /* the greatest stream that began */
    uint32_t begun;    /* how many began */
    int32_t cut_short; /* the greatest that the server ended before the client had */
};

/* The client has begun a stream. */
void stream_order_begin(struct stream_order *order, int32_t stream_id);

/* The server ended a stream, or refused it, before the client had ended or reset it. */
void stream_order_cut_short(struct stream_order *order, int32_t stream_id);

/* The client has ended or reset a stream that may have been cut short: it knows, too. */
void stream_order_settle(struct stream_order *order, int32_t stream_id);

/* Judges DATA or HEADERS on a stream that is not open. Returns false when all is well: it is a new
 * stream, or one of those that were cut short. Otherwise `*error` is the error code to end the
 * connection with. */
bool stream_order_is_broken(const struct stream_order *order, int32_t stream_id, uint32_t *error);

#endif
