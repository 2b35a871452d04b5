/*
 * packet_run() against what it stands in for: whatever it takes, frame_next() must cut out whole
 * and packet_scan() must find good, with the same device_id. And it must take the usual shapes, or
 * it would be of no use.
 */
#include "common/compiler.h"
#include "tests/unit/packet_run_check.h"
#include "tests/unit/packet_samples.h"
#include "tests/unit/random.h"

#define SEED           0x72756e73u
#define SEQUENCES      20000
#define TIMESTAMP_MAX  10    /* bytes of the longest varint */
#define TIMESTAMP_LONG 8     /* bytes of the longest that is usual */
#define PAYLOAD_LONG   16383 /* bytes of the longest that is usual */
#define ID_LONG        127   /* and of the longest id */

/* ---- Shapes ------------------------------------------------------------------------------- */

static void run_usual_shapes_takes_them(void **state)
{
    static const size_t ids[] = {1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 126, ID_LONG};
    static const size_t payloads[] = {
        NO_PAYLOAD, 0, 1, 2, 126, 127, 128, 129, 255, 256, PAYLOAD_LONG - 1, PAYLOAD_LONG};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        for (size_t timestamp = 0; timestamp <= TIMESTAMP_LONG; timestamp++) {
            for (size_t p = 0; p < ARRAY_LENGTH(payloads); p++) {
                struct stream *stream = one_packet(ids[i], timestamp, payloads[p]);

                assert_int_equal(run(stream, &no_limits, ROOM), 1);
                put_packet(stream, ids[i], timestamp, payloads[p]);
                put_packet(stream, 1, 0, NO_PAYLOAD);
                assert_int_equal(run(stream, &no_limits, ROOM), 3);
            }
        }
    }
}

static void run_any_ascii_in_id_takes_it(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 0x80; byte++) {
        struct stream *stream = one_packet(12, 6, 4);

        memset(stream->bytes + FRAME_HEADER_BYTES + 2, (int)byte, 12);
        assert_int_equal(run(stream, &no_limits, ROOM), 1);
    }
}

/* A character of two bytes at each place in ids of each length. */
static void run_utf8_in_id_takes_it(void **state)
{
    (void)state;
    for (size_t length = 2; length <= ID_LONG; length++) {
        for (size_t at = 0; at + 2 <= length; at++) {
            struct stream *stream = one_packet(length, 6, 4);

            memcpy(stream->bytes + FRAME_HEADER_BYTES + 2 + at, "\xc3\xa4", 2);
            assert_int_equal(run(stream, &no_limits, ROOM), 1);
        }
    }
}

/* Good packets, and too long for the usual shape. */
static void run_long_shapes_stops_before_them(void **state)
{
    static const struct {
        size_t id, timestamp, payload;
    } shapes[] = {
        {ID_LONG + 1, 0, NO_PAYLOAD},
        {ID_LONG + 1, 6, 20},
        {300, 6, 20},
        {5, TIMESTAMP_LONG + 1, 20},
        {5, TIMESTAMP_MAX, NO_PAYLOAD},
        {5, TIMESTAMP_MAX, 0},
        {5, 0, PAYLOAD_LONG + 1},
        {5, 6, PAYLOAD_LONG + 1},
        {5, 6, 65500},
        {5, 6, 65536}, /* the lower half of its length is that of a short one */
        {5, 6, 200000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        struct stream *stream = one_packet(shapes[i].id, shapes[i].timestamp, shapes[i].payload);

        assert_int_equal(run(stream, &no_limits, ROOM), 0);
        stream = one_packet(8, 6, 20);
        put_packet(stream, shapes[i].id, shapes[i].timestamp, shapes[i].payload);
        put_packet(stream, 8, 6, 20);
        assert_int_equal(run(stream, &no_limits, ROOM), 1);
    }
}

/* True for messages of packet_samples.h that are of the usual shape, good or not: read a field at a
 * time, by the words of packet_run.c. */
static bool is_usual(const uint8_t *at, size_t length)
{
    const uint8_t *end = at + length;

    if (length < 3 || at[0] != 0x0a || at[1] == 0 || at[1] > length - 2)
        return false;
    at += 2 + at[1];
    if (at < end && *at == 0x10) {
        size_t bytes = 1;

        for (at++; at < end && *at >= 0x80; at++)
            bytes++;
        if (at == end || bytes > TIMESTAMP_LONG)
            return false;
        at++;
    }
    if (at < end && *at == 0x1a) {
        if (end - at >= 2 && at[1] < 0x80)
            at += 2 + at[1];
        else if (end - at >= 3 && at[2] < 0x80)
            at += 3 + (at[1] & 0x7f) + at[2] * 128;
        else
            return false;
    }
    return at == end;
}

/* A table of samples, each alone, and between usual packets. Returns how many were taken. */
static size_t run_table(const struct sample *table, size_t count)
{
    static const struct packet_limits limits = {UINT32_MAX, MAX_ID};
    static struct stream stream;
    size_t taken = 0;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *message = (const uint8_t *)table[i].bytes;
        struct packet_id id;
        bool usual = is_usual(message, table[i].length) &&
                     packet_scan(message, table[i].length, MAX_ID, &id) == PACKET_OK;

        stream.length = 0;
        put_message(&stream, message, table[i].length);
        if (run(&stream, &limits, ROOM) != usual)
            fail_msg("%s: taken, or not, against its shape", table[i].name);
        stream.length = 0;
        put_packet(&stream, 8, 6, 20);
        put_packet(&stream, 3, 0, NO_PAYLOAD);
        put_message(&stream, message, table[i].length);
        put_packet(&stream, 8, 6, 20);
        if (run(&stream, &limits, ROOM) != (usual ? 4 : 2))
            fail_msg("%s: not where the run must stop", table[i].name);
        taken += usual;
    }
    return taken;
}

static void run_samples_stops_before_the_unusual(void **state)
{
    (void)state;
    assert_in_range(run_table(accepted, ARRAY_LENGTH(accepted)), 5, ARRAY_LENGTH(accepted) / 2);
    assert_int_equal(run_table(malformed, ARRAY_LENGTH(malformed)), 0);
    assert_int_equal(run_table(empty_id, ARRAY_LENGTH(empty_id)), 0);
    assert_int_equal(run_table(too_long_id, ARRAY_LENGTH(too_long_id)), 0);
    assert_int_equal(run_table(not_utf8_id, ARRAY_LENGTH(not_utf8_id)), 0);
}

/* Ids whose length takes two bytes, in a message that would be usual if the first of these were
 * the length: the id's end and the timestamp then read as a payload up to the message's end. */
static void run_two_byte_id_length_stops(void **state)
{
    (void)state;
    for (size_t length = ID_LONG + 1; length < 256; length++) {
        struct stream *stream = one_packet(length, 1, 13);

        stream->bytes[FRAME_HEADER_BYTES + 3 + length - 1] = 0x1a;
        assert_int_equal(run(stream, &no_limits, ROOM), 0);
    }
}

/* Payloads that announce a byte more than there is, or less; around the lengths where the
 * length takes a byte more. */
static void run_wrong_payload_length_stops(void **state)
{
    static const size_t payloads[] = {1,     2,     126,   127,   128,   129,   255,   256,
                                      16382, 16383, 16384, 16385, 16511, 16512, 32767, 32768};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(payloads); i++) {
        for (size_t more = 0; more <= 2; more += 2) {
            struct stream *stream = one_packet(5, 6, payloads[i]);
            uint32_t length = (uint32_t)(stream->length - FRAME_HEADER_BYTES + more - 1);

            frame_write_header(stream->bytes, length);
            put_byte(stream, 0); /* the byte more, or the start of a header */
            assert_int_equal(run(stream, &no_limits, ROOM), 0);
        }
    }
}

static void run_high_bit_anywhere_in_id_stops(void **state)
{
    (void)state;
    for (size_t length = 1; length <= ID_LONG; length++) {
        for (size_t at = 0; at < length; at++) {
            struct stream *stream = one_packet(length, 6, 4);

            stream->bytes[FRAME_HEADER_BYTES + 2 + at] |= 0x80;
            assert_int_equal(run(stream, &no_limits, ROOM), 0);
        }
    }
}

/* ---- Limits, room, ends ------------------------------------------------------------------- */

static void run_message_limit_is_kept(void **state)
{
    static const size_t payloads[] = {0, 1, 100, 127, 128, 1000, PAYLOAD_LONG};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(payloads); i++) {
        const struct stream *stream = one_packet(8, 6, payloads[i]);
        uint32_t message = (uint32_t)(stream->length - FRAME_HEADER_BYTES);

        for (uint32_t max = message - 1; max <= message + 1; max++) {
            struct packet_limits limits = {max, SIZE_MAX};

            assert_int_equal(run(stream, &limits, ROOM), max >= message);
        }
        assert_int_equal(run(stream, &(struct packet_limits){0, SIZE_MAX}, ROOM), 0);
    }
}

static void run_id_limit_is_kept(void **state)
{
    static const size_t limits[] = {0, 1, 2, 16, 126, 127, 128, 129, 255, 256, 257, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        for (size_t id = 1; id <= 2 * ID_LONG + 4; id++) {
            struct packet_limits at = {UINT32_MAX, limits[i]};

            assert_int_equal(run(one_packet(id, 6, 4), &at, ROOM),
                             id <= limits[i] && id <= ID_LONG);
        }
    }
}

static void run_room_is_kept(void **state)
{
    static struct stream stream;

    (void)state;
    for (size_t i = 0; i < ROOM; i++)
        put_packet(&stream, 1 + i, i % 9, i % 3 ? i : NO_PAYLOAD);
    for (size_t room = 0; room <= ROOM; room++)
        assert_int_equal(run(&stream, &no_limits, room), room);
}

/* Whatever of a message is missing, in the input that has all before it; and what is missing may
 * stand in the slack, as it does when a buffer is used again. */
static void run_every_truncation_takes_whole_messages(void **state)
{
    static struct stream stream;
    size_t ends[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        put_packet(&stream, 1 + 3 * i, i, i % 2 ? 100 * i : NO_PAYLOAD);
        ends[i] = stream.length;
    }
    for (size_t length = 0; length < stream.length; length++) {
        size_t whole = 0;

        while (ends[whole] <= length)
            whole++;
        assert_int_equal(run_bytes(stream.bytes, length, &no_limits, ROOM), whole);
        assert_int_equal(run_at(stream.bytes, length, &no_limits, ROOM), whole);
    }
}

static void run_no_input_takes_nothing(void **state)
{
    (void)state;
    assert_int_equal(run_bytes((const uint8_t *)"", 0, &no_limits, ROOM), 0);
}

/* ---- Mutations ---------------------------------------------------------------------------- */

static void run_every_byte_mutated_takes_only_the_good(void **state)
{
    static const struct {
        size_t id, timestamp, payload;
    } shapes[] = {{1, 0, NO_PAYLOAD}, {8, 0, NO_PAYLOAD}, {9, 6, NO_PAYLOAD},
                  {5, 8, NO_PAYLOAD}, {8, 6, 20},         {3, 0, 0},
                  {17, 1, 5},         {2, 2, 130},        {127, 8, 1}};
    static const struct packet_limits limits = {200, 100};
    size_t mutants = 0, taken = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        struct stream *stream = one_packet(shapes[i].id, shapes[i].timestamp, shapes[i].payload);
        size_t length = stream->length;

        put_packet(stream, 8, 6, 20); /* so that a length that is too large finds bytes */
        for (size_t at = 0; at < length; at++) {
            uint8_t good = stream->bytes[at];

            for (unsigned byte = 0; byte < 256; byte++) {
                stream->bytes[at] = (uint8_t)byte;
                taken += run(stream, &no_limits, ROOM) > 0;
                run(stream, &limits, ROOM);
                mutants++;
            }
            stream->bytes[at] = good;
        }
    }
    assert_in_range(taken, mutants / 10, mutants * 9 / 10);
}

/* One of the usual shape. */
static void put_random_packet(struct stream *stream, uint64_t *random)
{
    size_t id = 1 + random_below(random, random_below(random, 4) ? 24 : ID_LONG);
    size_t timestamp = random_below(random, TIMESTAMP_LONG + 1);
    size_t payload = random_below(random, random_below(random, 8) ? 40 : 400);

    put_packet(stream, id, timestamp, random_below(random, 3) ? payload : NO_PAYLOAD);
}

/* Streams whose first packets are usual, with a change or two behind them, and cut anywhere. */
static void run_random_sequences_takes_only_the_good(void **state)
{
    static struct stream stream;
    uint64_t random = SEED;

    (void)state;
    for (unsigned i = 0; i < SEQUENCES; i++) {
        struct packet_limits limits = {(uint32_t)(20 + random_below(&random, 500)),
                                       1 + random_below(&random, 2 * ID_LONG)};
        size_t room = random_below(&random, ROOM + 1), usual = random_below(&random, 6), sound;

        stream.length = 0;
        for (size_t packet = 0; packet < usual; packet++)
            put_random_packet(&stream, &random);
        sound = stream.length;
        for (size_t packet = random_below(&random, 4); packet > 0; packet--)
            put_random_packet(&stream, &random);
        for (size_t change = 1 + random_below(&random, 3); change > 0 && sound < stream.length;
             change--)
            stream.bytes[sound + random_below(&random, stream.length - sound)] =
                (uint8_t)random_next(&random);
        stream.length -= random_below(&random, stream.length - sound + 1);

        run(&stream, &limits, room);
        if (run(&stream, &no_limits, ROOM) < usual)
            fail_msg("seed %#x, sequence %u: usual packets were left", SEED, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_usual_shapes_takes_them),
        cmocka_unit_test(run_any_ascii_in_id_takes_it),
        cmocka_unit_test(run_utf8_in_id_takes_it),
        cmocka_unit_test(run_long_shapes_stops_before_them),
        cmocka_unit_test(run_samples_stops_before_the_unusual),
        cmocka_unit_test(run_two_byte_id_length_stops),
        cmocka_unit_test(run_wrong_payload_length_stops),
        cmocka_unit_test(run_high_bit_anywhere_in_id_stops),
        cmocka_unit_test(run_message_limit_is_kept),
        cmocka_unit_test(run_id_limit_is_kept),
        cmocka_unit_test(run_room_is_kept),
        cmocka_unit_test(run_every_truncation_takes_whole_messages),
        cmocka_unit_test(run_no_input_takes_nothing),
        cmocka_unit_test(run_every_byte_mutated_takes_only_the_good),
        cmocka_unit_test(run_random_sequences_takes_only_the_good),
    };

    return cmocka_run_group_tests_name("packet_run", tests, map_guard, unmap_guard);
}
