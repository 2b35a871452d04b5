/*
 * For test_packet_run.c: streams of packets, and packet_run() called so that all it promises is
 * checked each time.
 *
 * Each input lies before a page that nobody may read, with the slack between them, so that
 * every build sees a read past the slack.
 */
#ifndef TALLYD_TESTS_PACKET_RUN_CHECK_H
#define TALLYD_TESTS_PACKET_RUN_CHECK_H

#include "proto/frame.h"
#include "proto/packet_run.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STREAM_BYTES (256 << 10)
#define ROOM         32
#define NO_PAYLOAD   SIZE_MAX

static const struct packet_limits no_limits = {UINT32_MAX, SIZE_MAX};

/* What the slack is filled with: zeros, ones, continuation bits, tags of fields that could follow,
 * the start of a header, the end of a varint. */
static const uint8_t slack_fills[] = {0x00, 0xff, 0x80, 0x10, 0x1a, 0x0a, 0x01, 0x7f};

static uint8_t *guard; /* the unreadable page behind STREAM_BYTES of memory */

struct stream {
    size_t length;
    uint8_t bytes[STREAM_BYTES];
};

static int map_guard(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory =
        mmap(NULL, STREAM_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    if (memory == MAP_FAILED)
        return -1;
    guard = memory + STREAM_BYTES;
    return mprotect(guard, page, PROT_NONE);
}

static int unmap_guard(void **state)
{
    (void)state;
    return munmap(guard - STREAM_BYTES, STREAM_BYTES + (size_t)sysconf(_SC_PAGESIZE));
}

/* Runs over `length` bytes at `input`, and holds what was taken to frame_next() and packet_scan().
 * Returns the number of messages. */
static size_t run_at(const uint8_t *input, size_t length, const struct packet_limits *limits,
                     size_t room)
{
    struct frame_reader reader = {0};
    struct packet_id ids[ROOM], id;
    const uint8_t *walk = input;
    size_t walk_left = length;
    struct packet_run run = packet_run(input, input + length, limits, ids, room);

    assert_in_range(run.count, 0, room);
    for (size_t i = 0; i < run.count; i++) {
        struct frame_piece piece;

        assert_int_equal(frame_next(&reader, &walk, &walk_left, limits->max_message_bytes, &piece),
                         FRAME_WHOLE);
        assert_int_equal(packet_scan(piece.bytes, piece.length, limits->max_id_bytes, &id),
                         PACKET_OK);
        assert_ptr_equal(ids[i].bytes, id.bytes);
        assert_int_equal(ids[i].length, id.length);
    }
    assert_ptr_equal(run.end, walk); /* so it stops between two messages, and skips nothing */
    return run.count;
}

/* The same with each slack there is, behind a copy of the input; all must end alike. */
static size_t run_bytes(const uint8_t *bytes, size_t length, const struct packet_limits *limits,
                        size_t room)
{
    uint8_t *slack = guard - PACKET_RUN_SLACK_BYTES, *input = slack - length;
    size_t n = 0;

    assert_in_range(room, 0, ROOM);
    memcpy(input, bytes, length);
    for (size_t i = 0; i < sizeof slack_fills; i++) {
        size_t taken;

        memset(slack, slack_fills[i], PACKET_RUN_SLACK_BYTES);
        taken = run_at(input, length, limits, room);
        if (i > 0)
            assert_int_equal(taken, n);
        n = taken;
    }
    return n;
}

static size_t run(const struct stream *stream, const struct packet_limits *limits, size_t room)
{
    return run_bytes(stream->bytes, stream->length, limits, room);
}

/* ---- Streams ------------------------------------------------------------------------------ */

static void put(struct stream *stream, const void *bytes, size_t length)
{
    assert_in_range(length, 0, STREAM_BYTES - PACKET_RUN_SLACK_BYTES - stream->length);
    memcpy(stream->bytes + stream->length, bytes, length);
    stream->length += length;
}

static void put_byte(struct stream *stream, size_t byte)
{
    put(stream, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_length(struct stream *stream, size_t length)
{
    for (; length >= 0x80; length >>= 7)
        put_byte(stream, 0x80 | (length & 0x7f));
    put_byte(stream, length);
}

static void put_filled(struct stream *stream, uint8_t byte, size_t count)
{
    while (count-- > 0)
        put_byte(stream, byte);
}

static void put_message(struct stream *stream, const void *message, size_t length)
{
    uint8_t header[FRAME_HEADER_BYTES];

    frame_write_header(header, (uint32_t)length);
    put(stream, header, sizeof header);
    put(stream, message, length);
}

/* A message with its fields in order: an id of 1 byte or more, a timestamp that takes `timestamp`
 * bytes (0: none), a payload of `payload` bytes (NO_PAYLOAD: none). What follows the id is full of
 * high bits, and the payload looks like fields. */
static void put_packet(struct stream *stream, size_t id, size_t timestamp, size_t payload)
{
    static struct stream message;

    message.length = 0;
    put_byte(&message, 0x0a);
    put_length(&message, id);
    put_filled(&message, 'd', id - 1);
    put_byte(&message, 'a' + id % 26);
    if (timestamp > 0) {
        put_byte(&message, 0x10);
        put_filled(&message, 0xff, timestamp - 1);
        put_byte(&message, 0x01);
    }
    if (payload != NO_PAYLOAD) {
        put_byte(&message, 0x1a);
        put_length(&message, payload);
        for (size_t i = 0; i < payload; i++)
            put_byte(&message, "\xff\x0a\x1a\x10"[i % 4]);
    }
    put_message(stream, message.bytes, message.length);
}

/* A stream of one packet. */
static struct stream *one_packet(size_t id, size_t timestamp, size_t payload)
{
    static struct stream stream;

    stream.length = 0;
    put_packet(&stream, id, timestamp, payload);
    return &stream;
}

#endif
