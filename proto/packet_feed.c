/*
 * The scan of a message that comes in parts: the grammar of proto/packet_wire.h as a state
 * machine. Tags, lengths and varints are taken a byte at a time, the bytes of a field in bulk.
 *
 * Invariant: `varint_have` is 0 except within a tag, a length or a varint; so a message may end
 * exactly in state FEED_TAG with varint_have 0. `id_length` is the length of the last device_id
 * so far; all of its bytes that have come are in `id`, unless it is over the limit.
 */
#include "proto/packet.h"
#include "proto/packet_wire.h"

#include <string.h>

enum feed_state {
    FEED_TAG,    /* in a tag, or before one */
    FEED_VARINT, /* in a varint value */
    FEED_LENGTH, /* in the length of a field */
    FEED_SKIP,   /* in a value that nobody reads; `left` bytes of it are to come */
    FEED_ID,     /* the same in a device_id that is kept */
    FEED_BROKEN, /* malformed; the rest of the message is ignored */
};

struct packet_feed {
    size_t max_id_bytes;
    size_t id_length;
    size_t left;         /* in FEED_SKIP and FEED_ID, more than none */
    uint64_t varint;     /* the value of the bytes that came so far */
    uint32_t field;      /* the number of the field whose length is read */
    uint8_t varint_have; /* the number of these bytes */
    enum feed_state state;
    uint8_t id[];
};

size_t packet_feed_size(size_t max_id_bytes)
{
    return sizeof(struct packet_feed) + max_id_bytes;
}

static void start_message(struct packet_feed *feed)
{
    feed->state = FEED_TAG;
    feed->varint = 0;
    feed->varint_have = 0;
    feed->id_length = 0;
}

struct packet_feed *packet_feed_init(void *memory, size_t max_id_bytes)
{
    struct packet_feed *feed = memory;

    feed->max_id_bytes = max_id_bytes;
    start_message(feed);
    return feed;
}

/* Enters a value of `length` bytes; an empty one is over at once. */
static enum feed_state enter_bytes(struct packet_feed *feed, size_t length, bool keep)
{
    feed->left = length;
    if (length == 0)
        return FEED_TAG;
    return keep ? FEED_ID : FEED_SKIP;
}

static enum feed_state enter_field(struct packet_feed *feed, uint64_t tag)
{
    feed->field = (uint32_t)(tag >> 3);
    if (!packet_wire_fits(feed->field, tag & 7))
        return FEED_BROKEN;
    switch (tag & 7) {
    case WIRE_VARINT:
        return FEED_VARINT;
    case WIRE_FIXED64:
        return enter_bytes(feed, 8, false);
    case WIRE_FIXED32:
        return enter_bytes(feed, 4, false);
    }
    return FEED_LENGTH;
}

static enum feed_state enter_length(struct packet_feed *feed, uint64_t length)
{
    if (length > PACKET_FIELD_LENGTH_MAX)
        return FEED_BROKEN;
    if (feed->field != PACKET_DEVICE_ID)
        return enter_bytes(feed, (size_t)length, false);
    feed->id_length = (size_t)length;
    return enter_bytes(feed, (size_t)length, length <= feed->max_id_bytes);
}

/* The state after the varint of this state is complete. */
static enum feed_state finish_varint(struct packet_feed *feed)
{
    uint64_t value = feed->varint;

    feed->varint = 0;
    feed->varint_have = 0;
    if (feed->state == FEED_TAG)
        return enter_field(feed, value);
    return feed->state == FEED_LENGTH ? enter_length(feed, value) : FEED_TAG;
}

/* Takes a byte of a tag, length or varint. */
static void take_byte(struct packet_feed *feed, uint8_t byte)
{
    static const uint8_t bytes_max[] = {
        [FEED_TAG] = PACKET_TAG_BYTES_MAX,
        [FEED_VARINT] = PACKET_VARINT_BYTES_MAX,
        [FEED_LENGTH] = PACKET_LENGTH_BYTES_MAX,
    };

    if (feed->state == FEED_TAG && feed->varint_have == 0 && !packet_tag_may_start(byte)) {
        feed->state = FEED_BROKEN;
        return;
    }
    feed->varint |= (uint64_t)(byte & 0x7f) << (7 * feed->varint_have++);
    if (byte < 0x80)
        feed->state = finish_varint(feed);
    else if (feed->varint_have == bytes_max[feed->state])
        feed->state = FEED_BROKEN;
}

/* Takes what there is of a value, and returns how many bytes that was. */
static size_t take_bytes(struct packet_feed *feed, const uint8_t *part, size_t length)
{
    size_t used = length < feed->left ? length : feed->left;

    if (feed->state == FEED_ID)
        memcpy(feed->id + (feed->id_length - feed->left), part, used);
    feed->left -= used;
    if (feed->left == 0)
        feed->state = FEED_TAG;
    return used;
}

void packet_feed_part(struct packet_feed *feed, const uint8_t *part, size_t length)
{
    while (length > 0 && feed->state != FEED_BROKEN) {
        size_t used = 1;

        if (feed->state == FEED_SKIP || feed->state == FEED_ID)
            used = take_bytes(feed, part, length);
        else
            take_byte(feed, *part);
        part += used;
        length -= used;
    }
}

enum packet_result packet_feed_end(struct packet_feed *feed, struct packet_id *id)
{
    bool complete = feed->state == FEED_TAG && feed->varint_have == 0;

    *id = (struct packet_id){feed->id, feed->id_length};
    start_message(feed);
    return complete ? packet_check_id(id, feed->max_id_bytes) : PACKET_MALFORMED;
}
