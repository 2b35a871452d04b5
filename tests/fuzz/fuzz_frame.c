/*
 * The framing reader must find the same messages, and the same error, however its input is cut,
 * and those that a reader of the whole input finds that knows no splits.
 *
 * Input: one byte for the largest message allowed (0 to 255 bytes), one that says how the stream
 * is cut, then the stream.
 */
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum ending { ENDS_BETWEEN_MESSAGES, ENDS_IN_MESSAGE, ENDS_IN_ERROR };

/* What a reader found: the bytes of the messages, a mark behind each that says where it ends, and
 * how it ended. */
struct findings {
    uint8_t *bytes;
    uint8_t *ends_behind; /* ends_behind[i]: messages that end behind i bytes of them */
    size_t used;
    enum ending ending;
    enum frame_result error;
    uint32_t error_length;
};

/* A stream of `size` bytes has at most as many bytes of messages, and size / 5 messages; marks
 * count to 255 and wrap around, on both sides alike. */
static void findings_init(struct findings *findings, size_t size)
{
    memset(findings, 0, sizeof *findings);
    findings->bytes = calloc(1, size + 1);
    findings->ends_behind = calloc(1, size + 1);
    FUZZ_CHECK(findings->bytes && findings->ends_behind);
}

static void findings_fini(struct findings *findings)
{
    free(findings->bytes);
    free(findings->ends_behind);
}

static void note_bytes(struct findings *findings, const uint8_t *bytes, size_t length)
{
    memcpy(findings->bytes + findings->used, bytes, length);
    findings->used += length;
}

static void note_end(struct findings *findings)
{
    findings->ends_behind[findings->used]++;
}

static void note_error(struct findings *findings, enum frame_result error, uint32_t length)
{
    findings->ending = ENDS_IN_ERROR;
    findings->error = error;
    findings->error_length = length;
}

/* The reader that knows no splits. */
static void read_whole(const uint8_t *at, size_t left, uint32_t max_bytes, bool takes_compressed,
                       struct findings *findings)
{
    while (left >= FRAME_HEADER_BYTES) {
        uint32_t length = 0;

        for (int i = 1; i < FRAME_HEADER_BYTES; i++)
            length = length * 256 + at[i];
        if (at[0] > takes_compressed || length > max_bytes) {
            note_error(findings,
                       at[0] > 1                  ? FRAME_BAD_FLAG
                       : at[0] > takes_compressed ? FRAME_COMPRESSED
                                                  : FRAME_TOO_LARGE,
                       length);
            return;
        }
        at += FRAME_HEADER_BYTES;
        left -= FRAME_HEADER_BYTES;
        if (length > left) {
            note_bytes(findings, at, left);
            findings->ending = ENDS_IN_MESSAGE;
            return;
        }
        note_bytes(findings, at, length);
        note_end(findings);
        at += length;
        left -= length;
    }
    findings->ending = left > 0 ? ENDS_IN_MESSAGE : ENDS_BETWEEN_MESSAGES;
}

/* Reads one part of the stream; false after an error. `in_message` lasts from a message's first
 * part to its last. */
static bool read_part(struct frame_reader *reader, const uint8_t *input, size_t length,
                      uint32_t max_bytes, bool *in_message, struct findings *findings)
{
    const uint8_t *end = input + length;
    struct frame_piece piece;

    for (;;) {
        enum frame_result result = frame_next(reader, &input, &length, max_bytes, &piece);

        FUZZ_CHECK(input + length == end);
        if (result == FRAME_MORE) {
            FUZZ_CHECK(length == 0);
            return true;
        }
        if (result > FRAME_LAST_PART) {
            note_error(findings, result, frame_length(reader));
            return false;
        }
        FUZZ_CHECK(*in_message ? result != FRAME_WHOLE : result != FRAME_LAST_PART);
        FUZZ_CHECK(piece.bytes + piece.length <= input);
        note_bytes(findings, piece.bytes, piece.length);
        *in_message = result == FRAME_PART;
        if (!*in_message)
            note_end(findings);
    }
}

static void read_in_parts(const uint8_t *data, size_t size, uint32_t max_bytes, uint8_t pattern,
                          bool takes_compressed, struct findings *findings)
{
    struct frame_reader reader = {.takes_compressed = takes_compressed};
    bool in_message = false, more = true;

    for (unsigned turn = 0; more && size > 0; turn++) {
        size_t bytes = fuzz_part_bytes(pattern, turn, size);
        uint8_t *part = malloc(bytes); /* of its own size: a sanitizer sees reads past it */

        FUZZ_CHECK(part);
        memcpy(part, data, bytes);
        more = read_part(&reader, part, bytes, max_bytes, &in_message, findings);
        free(part);
        data += bytes;
        size -= bytes;
    }
    if (more)
        findings->ending = frame_at_boundary(&reader) ? ENDS_BETWEEN_MESSAGES : ENDS_IN_MESSAGE;
}

static void check_same(const struct findings *a, const struct findings *b, size_t size)
{
    FUZZ_CHECK(a->used == b->used);
    FUZZ_CHECK(memcmp(a->bytes, b->bytes, a->used) == 0);
    FUZZ_CHECK(memcmp(a->ends_behind, b->ends_behind, size + 1) == 0);
    FUZZ_CHECK(a->ending == b->ending);
    FUZZ_CHECK(a->error == b->error);
    FUZZ_CHECK(a->error_length == b->error_length);
}

static void fuzz(const uint8_t *data, size_t size, uint32_t max_bytes, uint8_t pattern,
                 bool takes_compressed)
{
    static const uint8_t whole = 0, byte_by_byte = 0x11;
    const uint8_t patterns[] = {whole, byte_by_byte, pattern};
    struct findings expected;

    findings_init(&expected, size);
    read_whole(data, size, max_bytes, takes_compressed, &expected);
    for (int i = 0; i < 3; i++) {
        struct findings found;

        findings_init(&found, size);
        read_in_parts(data, size, max_bytes, patterns[i], takes_compressed, &found);
        check_same(&expected, &found, size);
        findings_fini(&found);
    }
    findings_fini(&expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    fuzz(data + 2, size - 2, data[0], data[1], false);
    fuzz(data + 2, size - 2, data[0], data[1], true);
    return 0;
}
