/*
 * Replay: the packets of a run are rendered once, before it, and the run only frames and copies
 * them. It is for a load generator that must be faster than the server it loads, and shows what
 * the server can take; it does not show what a client costs, since a real client renders each
 * packet when it happens (and its timestamp is of that time, not of the start of the run).
 *
 * What is rendered is a ring: packet i of the run is packet i modulo the ring's packets. Made with
 * a generator of that period, all that is told of packets elsewhere stays exact. A stream's
 * body is a range of bytes of the endless sequence of rings, cut into DATA frames as it goes:
 * only their headers, 9 bytes each, are written during the run. No state a run changes; any
 * thread.
 */
#ifndef TALLYD_CLIENT_REPLAY_H
#define TALLYD_CLIENT_REPLAY_H

#include "client/generator.h"
#include "client/output.h"
#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_FRAME_BYTES 16384 /* the payload every HTTP/2 peer takes (RFC 9113, section 4.2) */

/* Payload after which a stream lets the next one of its connection send: one full frame, or as many
 * whole small ones as reach that. */
#define REPLAY_TURN_BYTES REPLAY_FRAME_BYTES

struct replay;

/* The packets of a ring, for `generator_options->period`: as many as a run of `packets` has, but
 * not more than eight a device (or fill a MiB) nor than fit into `max_bytes`; at least 1. */
uint64_t replay_period(const struct generator_options *options, uint64_t packets,
                       uint64_t max_bytes);

/* Renders the period of `generator`, which must have one and is not used afterwards, with
 * `timestamp_ms`. A DATA frame takes REPLAY_FRAME_BYTES, with packets split where that falls
 * (`frame_packets` is 0), or so many whole packets (split like gRPC libraries do when they are
 * larger than that, or than the server's flow-control window). NULL with errno ENOMEM. */
struct replay *replay_create(const struct generator *generator, int64_t timestamp_ms,
                             uint64_t frame_packets) MUST_CHECK;
void replay_destroy(struct replay *replay);

/* The rendered packets, as one piece; *length is set to their bytes. For tests. */
const uint8_t *replay_bytes(const struct replay *replay, size_t *length);

/* Where a stream stands. Its owner embeds it; the fields belong to replay.c, `next` may be read:
 * the packets before it were begun, the last of them perhaps not ended. */
struct replay_cursor {
    uint64_t next, end;  /* packets */
    uint64_t at, end_at; /* bytes of the endless sequence */
    size_t offset;       /* `at` in the ring */
    uint64_t frame_left; /* bytes of a frame that was cut by a window, or by its size */
};

/* Starts at packet `first`, to end after `count` packets, at least 1. */
void replay_start(const struct replay *replay, struct replay_cursor *cursor, uint64_t first,
                  uint64_t count);

/* Appends DATA frames of the stream `stream_id` to `out`, until the stream's turn is over, `window`
 * bytes of payload or `max_packets` new packets (the rest of a begun one does not count) are used
 * up, or `out` is full; END_STREAM is set in the last of the stream. `out` must have room for a
 * frame, three pieces included. Returns the bytes of payload. */
size_t replay_write(const struct replay *replay, struct replay_cursor *cursor, int32_t stream_id,
                    uint64_t max_packets, size_t window, struct output *out);

/* True once all packets were written whole. */
bool replay_done(const struct replay_cursor *cursor);

#endif
