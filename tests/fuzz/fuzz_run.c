/*
 * The packet path of a call: packet_run() for what it takes, and for all else frame_next(),
 * packet_scan() and the packet feed, however the stream is cut, must find the same device_ids and
 * come to the same end as these alone do on the whole stream.
 *
 * Input: one byte that picks the limits and what the slack behind each part is filled with, one
 * that says how the stream is cut, then the stream.
 */
#include "proto/frame.h"
#include "proto/packet.h"
#include "proto/packet_run.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define ROOM 3 /* small, so that runs fill it */

enum ending { ENDS_OPEN, ENDS_IN_MESSAGE, ENDS_IN_BAD_FRAME, ENDS_IN_BAD_PACKET };

/* What a reader found: the ids, each with its length before it, and how it ended. */
struct findings {
    uint8_t *ids;
    size_t used;
    enum ending ending;
    unsigned error;  /* enum frame_result or enum packet_result */
    uint64_t length; /* what the error says of one */
};

struct reader {
    struct frame_reader frame;
    struct packet_feed *feed;
    struct packet_limits limits;
    bool with_run;
    struct findings *findings;
};

static struct packet_limits limits_of(uint8_t choice)
{
    static const size_t max_ids[] = {256, 1, 3, 16, 126, 127, 128, 1000};
    static const uint32_t max_messages[] = {UINT32_MAX, 0, 12, 130};

    return (struct packet_limits){max_messages[choice >> 3 & 3], max_ids[choice & 7]};
}

static uint8_t slack_of(uint8_t choice)
{
    static const uint8_t fills[] = {0x00, 0x10, 0x80, 0xff};

    return fills[choice >> 5 & 3];
}

/* An id takes seven bytes of the stream or more besides its own, so there is room for its length.
 */
static void note_id(struct findings *findings, const struct packet_id *id)
{
    memcpy(findings->ids + findings->used, &id->length, sizeof id->length);
    memcpy(findings->ids + findings->used + sizeof id->length, id->bytes, id->length);
    findings->used += sizeof id->length + id->length;
}

static void note_end(struct findings *findings, enum ending ending, unsigned error, uint64_t length)
{
    findings->ending = ending;
    findings->error = error;
    findings->length = length;
}

static void take_packet(struct reader *reader, enum packet_result result,
                        const struct packet_id *id)
{
    if (result == PACKET_OK)
        note_id(reader->findings, id);
    else
        note_end(reader->findings, ENDS_IN_BAD_PACKET, result,
                 result == PACKET_ID_TOO_LONG ? id->length : 0);
}

/* As call.c does it: a packet of any shape, or a part. False when the input is used up. */
static bool take_next(struct reader *reader, const uint8_t **at, size_t *left)
{
    struct frame_piece piece;
    struct packet_id id;
    enum frame_result got =
        frame_next(&reader->frame, at, left, reader->limits.max_message_bytes, &piece);

    switch (got) {
    case FRAME_WHOLE:
        take_packet(reader,
                    packet_scan(piece.bytes, piece.length, reader->limits.max_id_bytes, &id), &id);
        return true;
    case FRAME_PART:
        packet_feed_part(reader->feed, piece.bytes, piece.length);
        return true;
    case FRAME_LAST_PART:
        packet_feed_part(reader->feed, piece.bytes, piece.length);
        take_packet(reader, packet_feed_end(reader->feed, &id), &id);
        return true;
    case FRAME_MORE:
        return false;
    default:
        note_end(reader->findings, ENDS_IN_BAD_FRAME, got, frame_length(&reader->frame));
        return false;
    }
}

static void take_run(struct reader *reader, const uint8_t **at, size_t *left)
{
    const uint8_t *end = *at + *left;
    struct packet_id ids[ROOM];
    struct packet_run run;

    do {
        const uint8_t *from = *at;

        run = packet_run(from, end, &reader->limits, ids, ROOM);
        FUZZ_CHECK(run.count <= ROOM && run.end <= end && (run.count > 0) == (run.end > from));
        for (size_t i = 0; i < run.count; i++) {
            FUZZ_CHECK(ids[i].bytes > from && ids[i].bytes + ids[i].length <= run.end);
            note_id(reader->findings, &ids[i]);
        }
        *at = run.end;
        *left = (size_t)(end - run.end);
    } while (run.count == ROOM);
}

static void read_part(struct reader *reader, const uint8_t *at, size_t left)
{
    while (reader->findings->ending == ENDS_OPEN) {
        if (reader->with_run && frame_at_boundary(&reader->frame))
            take_run(reader, &at, &left);
        if (!take_next(reader, &at, &left))
            return;
    }
}

/* Reads the stream in parts, each at the end of a block of its own with the slack behind it. */
static struct findings read_stream(const uint8_t *data, size_t size, uint8_t choice,
                                   uint8_t pattern, bool with_run)
{
    struct findings findings = {.ids = malloc(size * 2 + 1)};
    struct packet_limits limits = limits_of(choice);
    struct reader reader = {.limits = limits, .with_run = with_run, .findings = &findings};

    reader.feed =
        packet_feed_init(malloc(packet_feed_size(limits.max_id_bytes)), limits.max_id_bytes);
    FUZZ_CHECK(findings.ids);
    for (unsigned turn = 0; size > 0 && findings.ending == ENDS_OPEN; turn++) {
        size_t bytes = fuzz_part_bytes(pattern, turn, size);
        uint8_t *part = malloc(bytes + PACKET_RUN_SLACK_BYTES);

        FUZZ_CHECK(part);
        memcpy(part, data, bytes);
        memset(part + bytes, slack_of(choice), PACKET_RUN_SLACK_BYTES);
        read_part(&reader, part, bytes);
        free(part);
        data += bytes;
        size -= bytes;
    }
    if (findings.ending == ENDS_OPEN && !frame_at_boundary(&reader.frame))
        findings.ending = ENDS_IN_MESSAGE;
    free(reader.feed);
    return findings;
}

static void check_same(const struct findings *a, const struct findings *b)
{
    FUZZ_CHECK(a->used == b->used);
    FUZZ_CHECK(memcmp(a->ids, b->ids, a->used) == 0);
    FUZZ_CHECK(a->ending == b->ending);
    FUZZ_CHECK(a->error == b->error);
    FUZZ_CHECK(a->length == b->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t whole = 0;
    struct findings expected;

    if (size < 2)
        return 0;
    expected = read_stream(data + 2, size - 2, data[0], whole, false);
    for (int i = 0; i < 2; i++) {
        struct findings found = read_stream(data + 2, size - 2, data[0], i ? data[1] : whole, true);

        check_same(&expected, &found);
        free(found.ids);
    }
    free(expected.ids);
    return 0;
}
