/*
 * The scan of a whole message: the whole grammar of proto/packet_wire.h, a field at a time. What
 * nearly every client sends does not come here: proto/packet_run.c takes it.
 */
#include "proto/packet.h"

#include "proto/packet_wire.h"

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

enum packet_result packet_scan(const uint8_t *message, size_t length, size_t max_id_bytes,
                               struct packet_id *id)
{
    if (!scan_fields(message, length, id))
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
