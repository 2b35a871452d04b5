/*
 * The usual shape: an uncompressed message of up to 65,535 bytes that is device_id, then perhaps
 * timestamp, then perhaps payload, each with the shortest tag; an id of 1 to 127 bytes; a timestamp
 * of up to 8 bytes; a payload of up to 16,383 bytes. Nearly every client sends nothing else, since
 * protobuf encoders write fields in order.
 *
 * Why a message that is taken is a good one: each step takes one field with its right wire type,
 * exactly the bytes that the general scan would take, and the fields end where the message ends;
 * device_id occurs once, so it is also the last; the limits are asked, and so is UTF-8. Steps read
 * whole words, past the message if it is short; whatever is there, the message is then refused,
 * because what these bytes belong to does not end where the message ends.
 */
#include "proto/packet_run.h"

#include "common/load.h"
#include "proto/frame.h"
#include "proto/packet_wire.h"

#include <endian.h>

/* A message with its prefix begins with flag 0, the length's upper two bytes 0, its lower two, the
 * tag of device_id, the id's length. Each is looked at where it lies: all of them are in one cache
 * line or two, and a comparison with memory takes no register. */
#define HEAD_ZERO_BITS    0xffffffu /* of the first four bytes */
#define HEAD_TAG          FRAME_HEADER_BYTES
#define HEAD_ID_LENGTH    (FRAME_HEADER_BYTES + 1)
#define HEAD_BYTES        (FRAME_HEADER_BYTES + 2)
#define ID_LENGTH_MAX     127
#define CONTINUATION_BITS 0x8080808080808080u

static inline uint64_t load_le64(const uint8_t *bytes)
{
    return le64toh(load_u64(bytes));
}

static inline bool is_usual_head(const uint8_t *head)
{
    return (le32toh(load_u32(head)) & HEAD_ZERO_BITS) == 0 &&
           head[HEAD_TAG] == PACKET_TAG(PACKET_DEVICE_ID, WIRE_BYTES);
}

/* `length` is not 0. Reads up to 7 bytes past the id. */
static inline bool is_ascii(const uint8_t *id, size_t length)
{
    uint64_t all = load_le64(id);

    if (likely(length > 8)) {
        all |= load_le64(id + length - 8);
        for (size_t i = 8; unlikely(i + 8 < length); i += 8)
            all |= load_le64(id + i);
    } else {
        all <<= 64 - 8 * length;
    }
    return (all & CONTINUATION_BITS) == 0;
}

/* True if timestamp and payload, or what there is of them, reach from `at` to `end` exactly:
 * offsets in `message`. Reads up to 8 bytes past the end. */
static inline bool ends_usual(const uint8_t *message, size_t at, size_t end)
{
    if (unlikely(at >= end))
        return at == end;
    if (likely(message[at] == PACKET_TAG(PACKET_TIMESTAMP, WIRE_VARINT))) {
        uint64_t last = ~load_le64(message + at + 1) & CONTINUATION_BITS;

        if (unlikely(!last))
            return false;
        at += 2 + (unsigned)__builtin_ctzll(last) / 8;
    }
    if (unlikely(at >= end || message[at] != PACKET_TAG(PACKET_PAYLOAD, WIRE_BYTES)))
        return at == end;
    if (likely(message[at + 1] < 0x80))
        return at + 2 + message[at + 1] == end;
    return message[at + 2] < 0x80 &&
           at + 3 + (message[at + 1] & 0x7fu) + ((size_t)message[at + 2] << 7) == end;
}

NOINLINE struct packet_run packet_run(const uint8_t *at, const uint8_t *end,
                                      const struct packet_limits *limits, struct packet_id *ids,
                                      size_t room)
{
    const uint64_t max_framed = FRAME_HEADER_BYTES + (uint64_t)limits->max_message_bytes;
    const size_t max_id =
        limits->max_id_bytes < ID_LENGTH_MAX ? limits->max_id_bytes : (size_t)ID_LENGTH_MAX;
    struct packet_id *id = ids, *const last = ids + room;

    while (id < last && at < end) {
        size_t framed = FRAME_HEADER_BYTES + load_be16(at + FRAME_HEADER_BYTES - 2);

        id->bytes = at + HEAD_BYTES;
        id->length = at[HEAD_ID_LENGTH];
        if (!is_usual_head(at) || framed > (size_t)(end - at) || framed > max_framed ||
            id->length - 1 >= max_id || !ends_usual(at, HEAD_BYTES + id->length, framed) ||
            !(likely(is_ascii(id->bytes, id->length)) || utf8_is_valid(id->bytes, id->length)))
            break;
        id++;
        at += framed;
    }
    return (struct packet_run){at, (size_t)(id - ids)};
}
