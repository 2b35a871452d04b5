/*
 * Finds the device_id of a telemetry.Packet on the wire, and checks that the rest is well formed,
 * without allocating and without copying.
 *
 * The contract is protobuf-c: packet_scan() and the packet_feed functions accept exactly what
 * telemetry__packet__unpack() accepts and find the device_id that it returns (last value wins,
 * any order of fields, unknown fields skipped), and ask two things more: the device_id is valid
 * UTF-8 (RFC 3629; NUL is allowed), and it is 1 to `max_id_bytes` bytes long. tests/unit and
 * tests/fuzz hold all three to each other, at every split.
 *
 * When several things are wrong, both report the same one: PACKET_MALFORMED before all others,
 * then PACKET_ID_EMPTY, PACKET_ID_TOO_LONG, PACKET_ID_NOT_UTF8.
 */
#ifndef TALLYD_PROTO_PACKET_H
#define TALLYD_PROTO_PACKET_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_result {
    PACKET_OK,
    PACKET_MALFORMED,   /* not a Packet: protobuf-c would refuse it */
    PACKET_ID_EMPTY,    /* no device_id, or an empty one */
    PACKET_ID_TOO_LONG, /* device_id over max_id_bytes */
    PACKET_ID_NOT_UTF8, /* device_id that is not UTF-8 */
};

struct packet_id {
    const uint8_t *bytes;
    size_t length;
};

/* Scans a message that lies whole in memory. On PACKET_OK `id` points into `message`; on
 * PACKET_ID_TOO_LONG `id->length` tells the length that was found, and its bytes are not to be
 * read. Any thread; no state. */
enum packet_result packet_scan(const uint8_t *message, size_t length, size_t max_id_bytes,
                               struct packet_id *id) MUST_CHECK;

/*
 * The same for a message that comes in parts: a small state machine that remembers where it is
 * and keeps only the device_id. Memory a stream is bounded by max_id_bytes, not by the message.
 */
struct packet_feed;

/* Bytes that a feed for ids of up to `max_id_bytes` takes; the caller embeds or allocates them,
 * aligned as for max_align_t. */
size_t packet_feed_size(size_t max_id_bytes);

/* Makes `memory`, of packet_feed_size(max_id_bytes) bytes, a feed at the start of a message. */
struct packet_feed *packet_feed_init(void *memory, size_t max_id_bytes);

/* Takes the next part. Errors are kept until packet_feed_end(). */
void packet_feed_part(struct packet_feed *feed, const uint8_t *part, size_t length);

/* Ends the message, and makes the feed ready for the next one. On PACKET_OK `id` points into the
 * feed and is valid until the next call on it; PACKET_ID_TOO_LONG is as above. Called by: the owner
 * of `feed`. */
enum packet_result packet_feed_end(struct packet_feed *feed, struct packet_id *id) MUST_CHECK;

/* What is wrong with a packet, for messages: "its device_id is not valid UTF-8". */
const char *packet_result_text(enum packet_result result);

#endif
