/* The ring and its frames: what is framed is what was rendered, wherever it is cut. */
#include "client/replay.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS    1767225600123
#define STREAM    0x01020305
#define BODY_MAX  (1 << 22)
#define UNLIMITED SIZE_MAX

struct rig {
    struct generator *generator;
    struct replay *replay;
    uint8_t store[65536];
    struct output out;
};

static void open_rig(struct rig *rig, uint64_t period, uint64_t packet_bytes,
                     uint64_t frame_packets)
{
    struct generator_options options = {.devices = 100,
                                        .payload = GENERATOR_MIX,
                                        .prefix = "device-",
                                        .packet_bytes = packet_bytes,
                                        .period = period};

    rig->generator = generator_create(&options);
    assert_non_null(rig->generator);
    rig->replay = replay_create(rig->generator, NOW_MS, frame_packets);
    assert_non_null(rig->replay);
    output_init(&rig->out, rig->store, sizeof rig->store);
}

static void close_rig(struct rig *rig)
{
    replay_destroy(rig->replay);
    generator_destroy(rig->generator);
}

/* What the stream is to carry, from the generator itself. The caller frees it. */
static uint8_t *render(const struct rig *rig, uint64_t first, uint64_t count, size_t *length)
{
    struct generator_cursor cursor;
    uint8_t *body = malloc(BODY_MAX);

    assert_non_null(body);
    generator_start(&cursor, first, count);
    *length = generator_fill(rig->generator, &cursor, NOW_MS, UINT64_MAX, body, BODY_MAX);
    assert_true(generator_done(&cursor));
    return body;
}

/* What a reader of the frames found. */
struct found {
    uint8_t *body;
    size_t length, frames, frame; /* the last frame's payload, */
    size_t least, most;           /* and that of all but the last */
    bool ended;
};

/* Reads the frames in the output, and empties it. */
static void read_frames(struct rig *rig, struct found *found)
{
    static uint8_t bytes[2 << 20];
    size_t length = 0, at = 0;

    for (size_t i = rig->out.first; i < rig->out.first + rig->out.count; i++) {
        memcpy(bytes + length, rig->out.pieces[i].iov_base, rig->out.pieces[i].iov_len);
        length += rig->out.pieces[i].iov_len;
    }
    assert_int_equal(length, rig->out.length);
    while (at < length) {
        if (found->frames++) {
            found->least = found->frame < found->least ? found->frame : found->least;
            found->most = found->frame > found->most ? found->frame : found->most;
        }
        assert_false(found->ended);
        found->frame = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        assert_in_range(found->frame, 1, REPLAY_FRAME_BYTES);
        assert_memory_equal(bytes + at + 5, "\x01\x02\x03\x05", 4);
        assert_int_equal(bytes[at + 3], 0);
        assert_in_range(bytes[at + 4], 0, 1);
        found->ended = bytes[at + 4];
        memcpy(found->body + found->length, bytes + at + 9, found->frame);
        found->length += found->frame;
        at += 9 + found->frame;
    }
    output_init(&rig->out, rig->store, sizeof rig->store);
}

/* Sends a stream with windows of `window` bytes and at most `credit` new packets at a time, and
 * holds what was framed to what was rendered. */
static void check_stream(struct rig *rig, uint64_t first, uint64_t count, size_t window,
                         uint64_t credit, struct found *found)
{
    struct replay_cursor cursor;
    size_t length;
    uint8_t *body = render(rig, first, count, &length);

    *found = (struct found){.body = malloc(BODY_MAX), .least = SIZE_MAX};
    assert_non_null(found->body);
    replay_start(rig->replay, &cursor, first, count);
    assert_int_equal(cursor.next, first);
    while (!replay_done(&cursor)) {
        uint64_t before = cursor.next;
        size_t written = replay_write(rig->replay, &cursor, STREAM, credit, window, &rig->out);

        assert_in_range(written, 1, window);
        assert_in_range(cursor.next - before, 0, credit);
        if (credit != UINT64_MAX && window == UNLIMITED)
            assert_true(cursor.next - before == credit || cursor.next == first + count);
        if (rig->out.size - rig->out.used < 40000 || output_pieces_left(&rig->out) < 3)
            read_frames(rig, found);
    }
    read_frames(rig, found);
    assert_int_equal(cursor.next, first + count);
    assert_true(found->ended);
    assert_int_equal(found->length, length);
    assert_memory_equal(found->body, body, length);
    free(found->body);
    free(body);
}

static void write_full_frames_are_full(void **state)
{
    struct found found;
    struct rig rig;

    (void)state;
    open_rig(&rig, 1000, 0, 0);
    check_stream(&rig, 0, 20000, UNLIMITED, UINT64_MAX, &found);
    assert_int_equal(found.least, REPLAY_FRAME_BYTES);
    assert_int_equal(found.most, REPLAY_FRAME_BYTES);
    close_rig(&rig);
}

static void write_whole_packets_are_whole(void **state)
{
    static const uint64_t counts[] = {1, 2, 7, 16, 100, 300};
    struct found found;
    struct rig rig;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        open_rig(&rig, 997, 45, counts[i]);
        check_stream(&rig, 3, 5000, UNLIMITED, UINT64_MAX, &found);
        assert_int_equal(found.least, 50 * counts[i]);
        assert_int_equal(found.most, 50 * counts[i]);
        assert_int_equal(found.frames, (5000 + counts[i] - 1) / counts[i]);
        close_rig(&rig);
    }
}

/* A message of gRPC that no frame can hold goes on in the next one. */
static void write_packets_over_a_frame_are_split(void **state)
{
    struct found found;
    struct rig rig;

    (void)state;
    open_rig(&rig, 10, 16384, 1);
    check_stream(&rig, 0, 25, UNLIMITED, UINT64_MAX, &found);
    assert_int_equal(found.frames, 50);
    assert_int_equal(found.least, 5);
    close_rig(&rig);
    open_rig(&rig, 100, 1000, 40);
    check_stream(&rig, 0, 80, UNLIMITED, UINT64_MAX, &found);
    assert_int_equal(found.frames, 6);
    close_rig(&rig);
}

/* Small rings, so that streams begin and end anywhere in several laps. */
static void write_any_range_window_and_credit_gives_the_same_bytes(void **state)
{
    static const uint64_t periods[] = {1, 2, 15, 16, 17, 100, 640};
    static const uint64_t modes[] = {0, 1, 3};
    static const size_t windows[] = {1, 7, 49, 50, 51, 1000, 1500, 16384, 20000, UNLIMITED};
    static const uint64_t credits[] = {1, 10, UINT64_MAX};
    struct found found;
    struct rig rig;

    (void)state;
    for (size_t m = 0; m < ARRAY_LENGTH(modes); m++) {
        for (size_t p = 0; p < ARRAY_LENGTH(periods); p++) {
            open_rig(&rig, periods[p], 0, modes[m]);
            for (size_t w = 0; w < ARRAY_LENGTH(windows) * ARRAY_LENGTH(credits); w++)
                check_stream(&rig, 5 * w, 30 + 11 * w, windows[w / ARRAY_LENGTH(credits)],
                             credits[w % ARRAY_LENGTH(credits)], &found);
            close_rig(&rig);
        }
    }
}

/* With windows that fit the frames, no frame is cut by them. */
static void write_window_of_a_frame_does_not_split(void **state)
{
    struct found found;
    struct rig rig;

    (void)state;
    open_rig(&rig, 100, 45, 1);
    check_stream(&rig, 0, 500, 50, UINT64_MAX, &found);
    assert_int_equal(found.least, 50);
    check_stream(&rig, 0, 500, 70, UINT64_MAX, &found);
    assert_int_equal(found.most, 50); /* 50, 20 | 30, 40 | 10, 50, 10 | ... */
    assert_int_equal(found.least, 10);
    close_rig(&rig);
}

static void write_no_credit_ends_the_begun_packet_only(void **state)
{
    struct replay_cursor cursor;
    struct rig rig;

    (void)state;
    open_rig(&rig, 100, 45, 0);
    replay_start(rig.replay, &cursor, 0, 10);
    assert_int_equal(replay_write(rig.replay, &cursor, STREAM, 0, 1000, &rig.out), 0);
    assert_int_equal(rig.out.length, 0);
    assert_int_equal(replay_write(rig.replay, &cursor, STREAM, 2, 60, &rig.out), 60);
    assert_int_equal(cursor.next, 2);
    assert_int_equal(replay_write(rig.replay, &cursor, STREAM, 0, 1000, &rig.out), 40);
    assert_int_equal(replay_write(rig.replay, &cursor, STREAM, 0, 1000, &rig.out), 0);
    assert_int_equal(cursor.next, 2);
    close_rig(&rig);
}

static void period_table(void **state)
{
    static const struct {
        uint64_t devices, packet_bytes, packets, max_bytes, period;
    } table[] = {
        {100, 45, 1000, 1 << 30, 1000},                 /* no more than are sent */
        {100, 45, 1000000000, 1 << 30, (1 << 20) / 50}, /* the least */
        {1000000, 45, 1000000000, 1 << 30, 8000000},
        {1000000, 45, 1000000000, 1 << 20, (1 << 20) / 50},
        {100, 16384, 1000, 1, 1},
        {1, 0, 1, 1 << 30, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct generator_options options = {.devices = table[i].devices,
                                            .prefix = "device-",
                                            .packet_bytes = table[i].packet_bytes};

        assert_int_equal(replay_period(&options, table[i].packets, table[i].max_bytes),
                         table[i].period);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_full_frames_are_full),
        cmocka_unit_test(write_whole_packets_are_whole),
        cmocka_unit_test(write_packets_over_a_frame_are_split),
        cmocka_unit_test(write_any_range_window_and_credit_gives_the_same_bytes),
        cmocka_unit_test(write_window_of_a_frame_does_not_split),
        cmocka_unit_test(write_no_credit_ends_the_begun_packet_only),
        cmocka_unit_test(period_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
