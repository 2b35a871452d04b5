/*
 * Finds the frames that nghttp2 would take without a word and that RFC 9113 has as errors: DATA and
 * HEADERS on streams that are closed (5.1, 5.1.1, 6.1), and CONTINUATIONs over the greatest size
 * (4.2). nghttp2 calls nobody for the first, so this looks at the frames' headers before it does.
 *
 * Thread: worker, the one that owns the connection.
 */
#ifndef TALLYD_SERVER_STRAY_FRAMES_H
#define TALLYD_SERVER_STRAY_FRAMES_H

#include "server/stream_order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRAY_HEADER_BYTES 9

struct nghttp2_session;

struct stray_frames {
    struct stream_order order; /* the owner of the session tells it of streams */
    uint32_t skip;             /* bytes up to the next frame's header */
    uint64_t usual;            /* what stands in the header of DATA of a stream that is open */
    int32_t newest;            /* the greatest stream that HEADERS named */
    uint8_t head[STRAY_HEADER_BYTES];
    uint8_t head_length; /* of a header that came in parts */
    bool after_reset;    /* the last frame was RST_STREAM */
};

/* For a connection of which nothing has come, its preface included. */
void stray_frames_init(struct stray_frames *strays);

/* A stream is closed. */
void stray_frames_closed(struct stray_frames *strays);

/* Looks at bytes that came, before `session` takes them. Returns how many of them it may take: all,
 * or those up to a frame that can be judged only once it has taken them, in which case the rest is
 * to be looked at next. When a frame that begins there is an error, `*error` is the error code to
 * end the connection with, and nothing more is to be taken; otherwise it is NGHTTP2_NO_ERROR. */
size_t stray_frames_look(struct stray_frames *strays, struct nghttp2_session *session,
                         const uint8_t *bytes, size_t length, uint32_t *error);

#endif
