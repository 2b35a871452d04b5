/*
 * The scan of a whole message. scan_usual() recognises what nearly every client sends and says
 * nothing about the rest; scan_fields() knows the whole grammar (proto/packet_wire.h) and judges
 * what the former did not recognise.
 */
#include "proto/packet.h"

#include "proto/packet_wire.h"

#include <endian.h>
#include <string.h>

/* The message from `at` on; never past `end`. */
struct cursor {
    const uint8_t *at, *end;
};

static bool skip(struct cursor *c, uint64_t bytes)
{
    if (bytes > (uint64_t)(c->end - c->at))
        return false;
    c->at += bytes;
    return true;
}

static bool read_varint(struct cursor *c, unsigned max_bytes, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < max_bytes && c->at < c->end; i++) {
        uint8_t byte = *c->at++;

        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* Takes one field, of which there is at least a byte. */
static bool scan_field(struct cursor *c, struct packet_id *id)
{
    uint64_t tag, value;

    if (!packet_tag_may_start(*c->at) || !read_varint(c, PACKET_TAG_BYTES_MAX, &tag) ||
        !packet_wire_fits((uint32_t)(tag >> 3), tag & 7))
        return false;
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(c, PACKET_VARINT_BYTES_MAX, &value);
    case WIRE_FIXED64:
        return skip(c, 8);
    case WIRE_FIXED32:
        return skip(c, 4);
    }
    if (!read_varint(c, PACKET_LENGTH_BYTES_MAX, &value) || value > PACKET_FIELD_LENGTH_MAX)
        return false;
    if (tag >> 3 == PACKET_DEVICE_ID)
        *id = (struct packet_id){c->at, (size_t)value};
    return skip(c, value);
}

static bool scan_fields(const uint8_t *message, size_t length, struct packet_id *id)
{
    struct cursor c = {message, message + length};

    *id = (struct packet_id){message, 0};
    while (c.at < c.end) {
        if (!scan_field(&c, id))
            return false;
    }
    return true;
}

/* The bytes that a varint takes, 0 if it has no end. Reads up to PACKET_VARINT_BYTES_MAX bytes. */
static size_t varint_bytes(const uint8_t *at)
{
    uint64_t word, ends;

    memcpy(&word, at, sizeof word);
    ends = ~le64toh(word) & 0x8080808080808080u; /* the last byte of a varint is below 0x80 */
    if (likely(ends))
        return (size_t)__builtin_ctzll(ends) / 8 + 1;
    if (at[8] < 0x80)
        return 9;
    return at[9] < 0x80 ? 10 : 0;
}

/*
 * Recognises a message of the usual shape: device_id, then perhaps the timestamp, then perhaps
 * the payload, with the shortest tags, an id of up to 127 bytes and a payload of up to 16,383.
 *
 * True is as good as scan_fields() returning true with this id: each step below takes one field
 * with its right wire type, exactly the bytes that scan_field() would take, and the fields end
 * where the message ends; device_id occurs once, so it is also the last. False means nothing: a
 * step that finds less than it asks for (the timestamp wants a full varint's room behind it)
 * leaves the message to scan_fields().
 */
static inline bool scan_usual(const uint8_t *at, size_t length, struct packet_id *id)
{
    if (length < 2 || at[0] != PACKET_TAG(PACKET_DEVICE_ID, WIRE_BYTES) || at[1] >= 0x80 ||
        at[1] > length - 2)
        return false;
    *id = (struct packet_id){at + 2, at[1]};
    length -= 2 + id->length;
    at += 2 + id->length;

    if (length > PACKET_VARINT_BYTES_MAX && at[0] == PACKET_TAG(PACKET_TIMESTAMP, WIRE_VARINT)) {
        size_t bytes = varint_bytes(at + 1);

        if (bytes == 0)
            return false;
        length -= 1 + bytes;
        at += 1 + bytes;
    }
    if (length >= 3 && at[0] == PACKET_TAG(PACKET_PAYLOAD, WIRE_BYTES)) {
        if (at[1] < 0x80)
            return length == 2u + at[1];
        return at[2] < 0x80 && length == 3u + (at[1] & 0x7fu) + ((size_t)at[2] << 7);
    }
    return length == 0;
}

enum packet_result packet_scan(const uint8_t *message, size_t length, size_t max_id_bytes,
                               struct packet_id *id)
{
    if (unlikely(length == 0))
        return PACKET_ID_EMPTY;
    if (!likely(scan_usual(message, length, id)) && !scan_fields(message, length, id))
        return PACKET_MALFORMED;
    return packet_check_id(id, max_id_bytes);
}

const char *packet_result_text(enum packet_result result)
{
    switch (result) {
    case PACKET_OK:
        return "it is well formed";
    case PACKET_MALFORMED:
        return "it is not a telemetry.Packet";
    case PACKET_ID_EMPTY:
        return "its device_id is empty";
    case PACKET_ID_TOO_LONG:
        return "its device_id is too long";
    case PACKET_ID_NOT_UTF8:
        return "its device_id is not valid UTF-8";
    }
    return "";
}
