/*
 * The fast path of the packet path: finds the device_ids of many messages at once, as long as they
 * are of the usual shape.
 *
 * packet_run() only ever recognises what frame_next() would cut out whole and packet_scan() would
 * find good, and finds the same device_id; all else it leaves where it lies, for these two.
 * tests/unit/test_packet_run.c and tests/fuzz/fuzz_run.c hold it to that.
 */
#ifndef TALLYD_PROTO_PACKET_RUN_H
#define TALLYD_PROTO_PACKET_RUN_H

#include "common/compiler.h"
#include "proto/packet.h"

#include <stddef.h>
#include <stdint.h>

/* So many bytes behind the input must be readable; what they are makes no difference. */
#define PACKET_RUN_SLACK_BYTES 8

/* What packets may be; as for frame_next() and packet_scan(). */
struct packet_limits {
    uint32_t max_message_bytes;
    size_t max_id_bytes;
};

/* Two registers' worth, so that the caller of a run of one message, as they come with one message a
 * frame, has nothing of it in memory. */
struct packet_run {
    const uint8_t *end; /* behind the last message that was taken */
    size_t count;       /* of those taken */
};

/* Takes up to `room` messages, prefix and all, from what stands between `at`, where a message
 * begins, and `end`. Their device_ids go to `ids` and point into it. When it takes fewer than
 * `room`, what comes next is of another shape, or bad, or not there whole. Any thread; no state. */
struct packet_run packet_run(const uint8_t *at, const uint8_t *end,
                             const struct packet_limits *limits, struct packet_id *ids,
                             size_t room) MUST_CHECK;

#endif
