/* The gRPC framing reader: whole messages, errors, and the same messages at every split. */
#include "common/compiler.h"
#include "proto/frame.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES   1000
#define BYTES(text) ((const uint8_t *)(text)), (sizeof(text) - 1)

/* Four messages: "abc", an empty one, "d", and one of 20 bytes that looks like a header. */
static const uint8_t stream[] = "\0\0\0\0\3abc"
                                "\0\0\0\0\0"
                                "\0\0\0\0\1d"
                                "\0\0\0\0\24e\0\0\0\0\1fghijklmnopqrs";
#define STREAM_BYTES (sizeof stream - 1)
static const char stream_messages[] = "[abc][][d][e00001fghijklmnopqrs]";

/* What a reader saw: messages in brackets, their bytes 0 and 1 as digits; "!" for an error. */
struct transcript {
    char text[128];
    size_t used;
};

static void note(struct transcript *transcript, const void *bytes, size_t length)
{
    assert_in_range(length, 0, sizeof transcript->text - 1 - transcript->used);
    for (const char *c = bytes; length > 0; c++, length--)
        transcript->text[transcript->used++] = *c > 1 ? *c : (char)('0' + *c);
}

/* Reads `input` to its end or to an error. `in_message` lasts from a message's first part to its
 * last. The input is copied to a block of its size, so that a sanitizer sees reads past it. */
static void read_input(struct frame_reader *reader, const uint8_t *input, size_t length,
                       bool *in_message, struct transcript *transcript)
{
    uint8_t *copy = malloc(length + 1);
    const uint8_t *at = copy + 1;
    struct frame_piece piece;

    assert_non_null(copy);
    memcpy(copy + 1, input, length);
    for (;;) {
        enum frame_result result = frame_next(reader, &at, &length, MAX_BYTES, &piece);

        if (result == FRAME_MORE)
            break;
        if (result > FRAME_LAST_PART) {
            note(transcript, "!", 1);
            break;
        }
        assert_int_equal(result == FRAME_LAST_PART, *in_message && result != FRAME_PART);
        if (!*in_message)
            note(transcript, "[", 1);
        note(transcript, piece.bytes, piece.length);
        *in_message = result == FRAME_PART;
        if (!*in_message)
            note(transcript, "]", 1);
    }
    free(copy);
}

static void next_whole_messages_returns_them_in_place(void **state)
{
    struct frame_reader reader = {0};
    const uint8_t *at = stream;
    size_t length = STREAM_BYTES;
    struct frame_piece piece;

    (void)state;
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_WHOLE);
    assert_ptr_equal(piece.bytes, stream + 5);
    assert_int_equal(piece.length, 3);
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_WHOLE);
    assert_int_equal(piece.length, 0);
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_WHOLE);
    assert_ptr_equal(piece.bytes, stream + 18);
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_WHOLE);
    assert_int_equal(piece.length, 20);
    assert_ptr_equal(at, stream + STREAM_BYTES);
    assert_int_equal(length, 0);
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_MORE);
}

/* At the limit, and one byte within it. */
static void next_whole_message_leaves_reader_untouched(void **state)
{
    static const struct frame_reader fresh = {0};

    (void)state;
    for (uint32_t max_bytes = 3; max_bytes <= 4; max_bytes++) {
        struct frame_reader reader = {0};
        const uint8_t *at = stream;
        size_t length = 8;
        struct frame_piece piece;

        assert_int_equal(frame_next(&reader, &at, &length, max_bytes, &piece), FRAME_WHOLE);
        assert_memory_equal(&reader, &fresh, sizeof reader);
    }
}

static void next_no_input_returns_more(void **state)
{
    struct frame_reader reader = {0};
    const uint8_t *at = NULL;
    size_t length = 0;
    struct frame_piece piece;

    (void)state;
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_MORE);
    assert_true(frame_at_boundary(&reader));
}

static void next_split_after_header_returns_whole(void **state)
{
    struct frame_reader reader = {0};
    const uint8_t *at = stream;
    size_t length = FRAME_HEADER_BYTES;
    struct frame_piece piece;

    (void)state;
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_MORE);
    assert_int_equal(length, 0);
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_MORE);
    assert_int_equal(frame_length(&reader), 3);
    length = 3;
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_WHOLE);
    assert_ptr_equal(piece.bytes, stream + 5);
    assert_int_equal(piece.length, 3);
}

static void next_split_in_message_returns_parts(void **state)
{
    struct frame_reader reader = {0};
    const uint8_t *at = stream;
    size_t length = 6;
    struct frame_piece piece;

    (void)state;
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_PART);
    assert_ptr_equal(piece.bytes, stream + 5);
    assert_int_equal(piece.length, 1);
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_MORE);
    length = 7;
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_LAST_PART);
    assert_ptr_equal(piece.bytes, stream + 6);
    assert_int_equal(piece.length, 2);
    assert_int_equal(frame_next(&reader, &at, &length, MAX_BYTES, &piece), FRAME_WHOLE);
    assert_int_equal(piece.length, 0);
}

static void next_every_two_splits_return_same_messages(void **state)
{
    (void)state;
    for (size_t first = 0; first <= STREAM_BYTES; first++) {
        for (size_t second = first; second <= STREAM_BYTES; second++) {
            struct transcript transcript = {.used = 0};
            struct frame_reader reader = {0};
            bool in_message = false;

            read_input(&reader, stream, first, &in_message, &transcript);
            read_input(&reader, stream + first, second - first, &in_message, &transcript);
            read_input(&reader, stream + second, STREAM_BYTES - second, &in_message, &transcript);
            assert_string_equal(transcript.text, stream_messages);
            assert_true(frame_at_boundary(&reader));
        }
    }
}

static void next_byte_by_byte_returns_same_messages(void **state)
{
    struct transcript transcript = {.used = 0};
    struct frame_reader reader = {0};
    bool in_message = false;

    (void)state;
    for (size_t i = 0; i < STREAM_BYTES; i++)
        read_input(&reader, stream + i, 1, &in_message, &transcript);
    assert_string_equal(transcript.text, stream_messages);
}

static void at_boundary_is_true_between_messages_only(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= STREAM_BYTES; cut++) {
        struct transcript transcript = {.used = 0};
        struct frame_reader reader = {0};
        bool in_message = false;

        read_input(&reader, stream, cut, &in_message, &transcript);
        assert_int_equal(frame_at_boundary(&reader),
                         cut == 0 || cut == 8 || cut == 13 || cut == 19 || cut == STREAM_BYTES);
    }
}

static void next_bad_header_returns_its_error(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t length;
        enum frame_result result;
        uint32_t announced;
    } headers[] = {
        {BYTES("\1\0\0\0\0"), FRAME_COMPRESSED, 0},
        {BYTES("\1\0\0\0\1x"), FRAME_COMPRESSED, 1},
        {BYTES("\1\377\377\377\377"), FRAME_COMPRESSED, 0xffffffff},
        {BYTES("\2\0\0\0\0"), FRAME_BAD_FLAG, 0},
        {BYTES("\377\377\377\377\377"), FRAME_BAD_FLAG, 0xffffffff},
        {BYTES("\0\0\0\3\351"), FRAME_TOO_LARGE, MAX_BYTES + 1},
        {BYTES("\0\377\377\377\377"), FRAME_TOO_LARGE, 0xffffffff},
        {BYTES("\0\0\0\3\350"), FRAME_MORE, MAX_BYTES},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        for (size_t cut = 0; cut <= headers[i].length; cut++) {
            struct frame_reader reader = {0};
            const uint8_t *at = headers[i].bytes;
            size_t length = cut;
            struct frame_piece piece;
            enum frame_result result = frame_next(&reader, &at, &length, MAX_BYTES, &piece);

            if (cut < FRAME_HEADER_BYTES)
                assert_int_equal(result, FRAME_MORE);
            length += headers[i].length - cut;
            if (result == FRAME_MORE)
                result = frame_next(&reader, &at, &length, MAX_BYTES, &piece);
            assert_int_equal(result, headers[i].result);
            assert_int_equal(frame_length(&reader), headers[i].announced);
        }
    }
}

/* Where messages may be compressed, each tells whether it is, however it is split. */
static void next_compressed_message_is_marked(void **state)
{
    static const uint8_t mixed[] = "\1\0\0\0\2ab"
                                   "\0\0\0\0\1c"
                                   "\1\0\0\0\0"
                                   "\0\0\0\0\0"
                                   "\1\0\0\0\1d";
    static const bool compressed[] = {true, false, true, false, true};

    (void)state;
    for (size_t cut = 0; cut < sizeof mixed; cut++) {
        struct frame_reader reader = {.takes_compressed = true};
        const uint8_t *at = mixed;
        size_t ends[] = {cut, sizeof mixed - 1}, message = 0;

        for (int i = 0; i < 2; i++) {
            size_t length = ends[i] - (size_t)(at - mixed);
            struct frame_piece piece;
            enum frame_result result;

            while ((result = frame_next(&reader, &at, &length, 2, &piece)) != FRAME_MORE) {
                assert_in_range(result, FRAME_WHOLE, FRAME_LAST_PART);
                assert_in_range(message, 0, ARRAY_LENGTH(compressed) - 1);
                assert_int_equal(piece.compressed, compressed[message]);
                message += result != FRAME_PART;
            }
        }
        assert_int_equal(message, ARRAY_LENGTH(compressed));
    }
}

static void next_compressed_message_over_the_limit_is_too_large(void **state)
{
    struct frame_reader reader = {.takes_compressed = true};
    const uint8_t *at = (const uint8_t *)"\1\0\0\0\3abc";
    size_t length = 8;
    struct frame_piece piece;

    (void)state;
    assert_int_equal(frame_next(&reader, &at, &length, 2, &piece), FRAME_TOO_LARGE);
}

static void next_too_large_message_in_input_is_not_returned(void **state)
{
    struct frame_reader reader = {0};
    const uint8_t *at = stream;
    size_t length = STREAM_BYTES;
    struct frame_piece piece;

    (void)state;
    assert_int_equal(frame_next(&reader, &at, &length, 2, &piece), FRAME_TOO_LARGE);
    assert_int_equal(frame_length(&reader), 3);
}

static void next_largest_length_is_counted_in_full(void **state)
{
    struct frame_reader reader = {0};
    const uint8_t *at = (const uint8_t *)"\0\377\377\377\377x";
    size_t length = 6;
    struct frame_piece piece;

    (void)state;
    assert_int_equal(frame_next(&reader, &at, &length, UINT32_MAX, &piece), FRAME_PART);
    assert_int_equal(piece.length, 1);
    assert_int_equal(frame_length(&reader), UINT32_MAX);
    assert_false(frame_at_boundary(&reader));
}

static void write_header_is_read_back(void **state)
{
    static const uint32_t lengths[] = {0, 1, 255, 256, 65535, 65536, 0x01020304, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        uint8_t header[FRAME_HEADER_BYTES];
        struct frame_reader reader = {0};
        const uint8_t *at = header;
        size_t length = sizeof header;
        struct frame_piece piece;

        frame_write_header(header, lengths[i]);
        assert_int_equal(header[0], 0);
        assert_int_equal(frame_next(&reader, &at, &length, UINT32_MAX, &piece),
                         lengths[i] ? FRAME_MORE : FRAME_WHOLE);
        if (lengths[i])
            assert_int_equal(frame_length(&reader), lengths[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_whole_messages_returns_them_in_place),
        cmocka_unit_test(next_whole_message_leaves_reader_untouched),
        cmocka_unit_test(next_no_input_returns_more),
        cmocka_unit_test(next_split_after_header_returns_whole),
        cmocka_unit_test(next_split_in_message_returns_parts),
        cmocka_unit_test(next_every_two_splits_return_same_messages),
        cmocka_unit_test(next_byte_by_byte_returns_same_messages),
        cmocka_unit_test(at_boundary_is_true_between_messages_only),
        cmocka_unit_test(next_bad_header_returns_its_error),
        cmocka_unit_test(next_compressed_message_is_marked),
        cmocka_unit_test(next_compressed_message_over_the_limit_is_too_large),
        cmocka_unit_test(next_too_large_message_in_input_is_not_returned),
        cmocka_unit_test(next_largest_length_is_counted_in_full),
        cmocka_unit_test(write_header_is_read_back),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
