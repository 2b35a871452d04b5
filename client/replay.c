/*
 * The ring and its framing.
 *
 * The ring's first bytes stand again behind its end, so that every frame lies in one piece. Marks,
 * one every MARK_PACKETS packets, say where packets begin; between two marks, the messages'
 * own length prefixes do.
 *
 * Frames of at least POINT_BYTES are sent from where they lie, since a piece more costs the kernel
 * less than a copy costs here: full frames of 45-byte packets take 11.2 ns of the sender's CPU a
 * packet, and 12.4 with the copy. Smaller ones are copied behind their headers.
 */
#include "client/replay.h"

#include "common/load.h"
#include "proto/frame.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#define MARK_PACKETS       16
#define POINT_BYTES        1024
#define HTTP2_HEADER_BYTES 9
#define PACKETS_A_DEVICE   8         /* one device in 3,000 is left out, with uniform ones */
#define LEAST_BYTES        (1 << 20) /* fits a second-level cache */

struct replay {
    uint8_t *bytes; /* the ring, and REPLAY_FRAME_BYTES more */
    size_t length;  /* of the ring */
    uint64_t *marks;
    uint64_t packets; /* of the ring */
    uint64_t frame_packets;
};

uint64_t replay_period(const struct generator_options *options, uint64_t packets,
                       uint64_t max_bytes)
{
    uint64_t fitting = max_bytes / generator_packet_bound(options);
    uint64_t least = LEAST_BYTES / generator_packet_bound(options);
    uint64_t wanted = options->devices * PACKETS_A_DEVICE;

    if (wanted < least)
        wanted = least;
    if (wanted > fitting)
        wanted = fitting;
    if (wanted > packets)
        wanted = packets;
    return wanted ? wanted : 1;
}

/* Bytes of the rendered packet at `packet`, its prefix included. */
static inline size_t packet_length(const uint8_t *packet)
{
    return FRAME_HEADER_BYTES + (size_t)load_be32(packet + 1);
}

/* Renders the ring into `room` bytes. */
static void render(struct replay *replay, const struct generator *generator, int64_t timestamp_ms,
                   size_t room)
{
    struct generator_cursor cursor;

    for (uint64_t i = 0; i < replay->packets; i += MARK_PACKETS) {
        uint64_t left = replay->packets - i;

        replay->marks[i / MARK_PACKETS] = replay->length;
        generator_start(&cursor, i, left < MARK_PACKETS ? left : MARK_PACKETS);
        replay->length += generator_fill(generator, &cursor, timestamp_ms, UINT64_MAX,
                                         replay->bytes + replay->length, room - replay->length);
    }
    if (replay->packets % MARK_PACKETS == 0)
        replay->marks[replay->packets / MARK_PACKETS] = replay->length;
}

/* Gives memory back that the longest packets would have taken, and repeats the ring's beginning. */
static void close_ring(struct replay *replay)
{
    uint8_t *bytes = realloc(replay->bytes, replay->length + REPLAY_FRAME_BYTES);

    if (bytes)
        replay->bytes = bytes;
    for (size_t i = 0; i < REPLAY_FRAME_BYTES; i++)
        replay->bytes[replay->length + i] = replay->bytes[i];
}

struct replay *replay_create(const struct generator *generator, int64_t timestamp_ms,
                             uint64_t frame_packets)
{
    struct replay *replay = calloc(1, sizeof *replay);
    size_t room;

    if (!replay)
        return NULL;
    replay->frame_packets = frame_packets;
    replay->packets = generator_period(generator);
    room = replay->packets * generator_bound(generator);
    replay->bytes = malloc(room + REPLAY_FRAME_BYTES);
    replay->marks = calloc(replay->packets / MARK_PACKETS + 1, sizeof *replay->marks);
    if (!replay->bytes || !replay->marks) {
        replay_destroy(replay);
        errno = ENOMEM;
        return NULL;
    }
    render(replay, generator, timestamp_ms, room);
    close_ring(replay);
    return replay;
}

void replay_destroy(struct replay *replay)
{
    if (!replay)
        return;
    free(replay->bytes);
    free(replay->marks);
    free(replay);
}

const uint8_t *replay_bytes(const struct replay *replay, size_t *length)
{
    *length = replay->length;
    return replay->bytes;
}

/* Where packet `packet` of the endless sequence begins. */
static uint64_t position_of(const struct replay *replay, uint64_t packet)
{
    uint64_t index = packet % replay->packets, offset = replay->marks[index / MARK_PACKETS];

    for (uint64_t i = 0; i < index % MARK_PACKETS; i++)
        offset += packet_length(replay->bytes + offset);
    return packet / replay->packets * replay->length + offset;
}

/* Counts the packets that begin before `cursor->at`, from those that did before. */
static void count_begun(const struct replay *replay, struct replay_cursor *cursor)
{
    uint64_t lap = cursor->at / replay->length, lap_start = lap * replay->packets, index, offset;

    index = cursor->next > lap_start ? (cursor->next - lap_start) / MARK_PACKETS : 0;
    while ((index + 1) * MARK_PACKETS < replay->packets &&
           replay->marks[index + 1] < cursor->offset)
        index++;
    offset = replay->marks[index];
    index *= MARK_PACKETS;
    for (; offset < cursor->offset; index++)
        offset += packet_length(replay->bytes + offset);
    cursor->next = lap_start + index;
}

void replay_start(const struct replay *replay, struct replay_cursor *cursor, uint64_t first,
                  uint64_t count)
{
    cursor->next = first;
    cursor->end = first + count;
    cursor->at = position_of(replay, first);
    cursor->end_at = position_of(replay, cursor->end);
    cursor->offset = cursor->at % replay->length;
    cursor->frame_left = 0;
}

/* The length of the frame that begins at the cursor, were there no bounds to one. */
static inline uint64_t plan_frame(const struct replay *replay, const struct replay_cursor *cursor,
                                  uint64_t limit)
{
    uint64_t left = limit - cursor->at, length = 0;
    size_t offset = cursor->offset;

    if (replay->frame_packets == 0)
        return left < REPLAY_FRAME_BYTES ? left : REPLAY_FRAME_BYTES;
    for (uint64_t i = 0; i < replay->frame_packets && length < left; i++) {
        size_t packet = packet_length(replay->bytes + offset);

        length += packet;
        offset += packet;
        if (offset == replay->length)
            offset = 0;
    }
    return length;
}

static inline void write_header(uint8_t *out, size_t length, uint8_t flags, int32_t stream_id)
{
    store_be32(out, (uint32_t)length << 8 | NGHTTP2_DATA);
    out[4] = flags;
    store_be32(out + 5, (uint32_t)stream_id);
}

/* Frames written into the store of an output and not yet appended to it. */
struct run {
    uint8_t *start, *next, *end;
};

static inline void append_run(struct run *run, struct output *out)
{
    if (run->next > run->start)
        output_keep(out, (size_t)(run->next - run->start));
    run->start = run->next;
}

/* Writes one frame of `length` bytes. Returns false when `out` is full. */
static inline bool write_frame(const struct replay *replay, const struct replay_cursor *cursor,
                               int32_t stream_id, size_t length, struct run *run,
                               struct output *out)
{
    const uint8_t *bytes = replay->bytes + cursor->offset;
    uint8_t flags = cursor->at + length == cursor->end_at ? NGHTTP2_FLAG_END_STREAM : 0;
    bool copy = length < POINT_BYTES;

    if ((size_t)(run->end - run->next) < HTTP2_HEADER_BYTES + (copy ? length : 0) ||
        (!copy && output_pieces_left(out) < 3)) /* for the run, the bytes, and a run behind them */
        return false;
    write_header(run->next, length, flags, stream_id);
    run->next += HTTP2_HEADER_BYTES;
    if (copy) {
        memcpy(run->next, bytes, length);
        run->next += length;
    } else {
        append_run(run, out);
        output_point(out, bytes, length);
    }
    return true;
}

/* The length of the next frame, with `window` bytes left. */
static inline size_t next_length(const struct replay *replay, struct replay_cursor *cursor,
                                 uint64_t limit, size_t window)
{
    size_t length = window < REPLAY_FRAME_BYTES ? window : REPLAY_FRAME_BYTES;

    if (!cursor->frame_left || !replay->frame_packets)
        cursor->frame_left = plan_frame(replay, cursor, limit);
    return length < cursor->frame_left ? length : cursor->frame_left;
}

/* Works on copies, which the compiler can keep in registers: it must assume that a byte written to
 * the output might be any field. */
size_t replay_write(const struct replay *replay, struct replay_cursor *cursor, int32_t stream_id,
                    uint64_t max_packets, size_t window, struct output *out)
{
    const struct replay ring = *replay;
    struct replay_cursor here = *cursor;
    struct run run = {out->store + out->used, out->store + out->used, out->store + out->size};
    uint64_t limit = max_packets < here.end - here.next
                         ? position_of(replay, here.next + max_packets)
                         : here.end_at;
    size_t written = 0;

    while (written < REPLAY_TURN_BYTES && written < window && here.at < limit) {
        size_t length = next_length(&ring, &here, limit, window - written);

        if (!write_frame(&ring, &here, stream_id, length, &run, out))
            break;
        written += length;
        here.frame_left -= length;
        here.at += length;
        here.offset += length;
        if (here.offset >= ring.length)
            here.offset %= ring.length;
    }
    append_run(&run, out);
    if (written)
        count_begun(&ring, &here);
    *cursor = here;
    return written;
}

bool replay_done(const struct replay_cursor *cursor)
{
    return cursor->at == cursor->end_at;
}
