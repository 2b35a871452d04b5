/*
 * The rules of the wire that packet_scan() and the packet feed share: what protobuf-c makes of
 * tags, lengths and wire types. Private to proto/.
 *
 * Where protobuf-c is laxer or stricter than the protobuf specification, it wins:
 *  - A tag takes at most 5 bytes, of which the field number keeps 32 bits. Its first byte must
 *    carry a continuation bit or a field number; so field 0 is refused as 00 and skipped as an
 *    unknown field when written over-long, as 80 00.
 *  - A length takes at most 5 bytes, over-long forms included, and is at most INT_MAX.
 *  - A varint value takes at most 10 bytes; bits past the 64th are dropped without an error.
 *  - A known field with another wire type than its own is an error, not an unknown field.
 *  - Groups (wire types 3 and 4) are errors.
 *
 * One limit of protobuf-c is not kept: past 2^27 - 16 fields in a message, which take it 4 GiB to
 * list, it gives up. No message of 255 MiB or less can hold as many.
 */
#ifndef TALLYD_PROTO_PACKET_WIRE_H
#define TALLYD_PROTO_PACKET_WIRE_H

#include "common/utf8.h"
#include "proto/packet.h"

#include <limits.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum packet_field { PACKET_DEVICE_ID = 1, PACKET_TIMESTAMP = 2, PACKET_PAYLOAD = 3 };

#define PACKET_TAG(field, wire) ((field) << 3 | (wire)) /* of the fields above: one byte */

#define PACKET_TAG_BYTES_MAX    5
#define PACKET_LENGTH_BYTES_MAX 5
#define PACKET_VARINT_BYTES_MAX 10
#define PACKET_FIELD_LENGTH_MAX INT_MAX

/* True if a tag may start with this byte. */
static inline bool packet_tag_may_start(uint8_t byte)
{
    return (byte & 0xf8) != 0;
}

/* True if a field of that number may have that wire type. */
static inline bool packet_wire_fits(uint32_t field, unsigned wire)
{
    switch (field) {
    case PACKET_TIMESTAMP:
        return wire == WIRE_VARINT;
    case PACKET_DEVICE_ID:
    case PACKET_PAYLOAD:
        return wire == WIRE_BYTES;
    default:
        return wire <= WIRE_BYTES || wire == WIRE_FIXED32;
    }
}

/* What is asked of a device_id beyond protobuf-c. The bytes of one that is too long are not read.
 */
static inline enum packet_result packet_check_id(const struct packet_id *id, size_t max_id_bytes)
{
    if (unlikely(id->length == 0))
        return PACKET_ID_EMPTY;
    if (unlikely(id->length > max_id_bytes))
        return PACKET_ID_TOO_LONG;
    return likely(utf8_is_valid(id->bytes, id->length)) ? PACKET_OK : PACKET_ID_NOT_UTF8;
}

#endif
