/*
 * Messages are cut out of the input where they lie. The common case, a header and its whole
 * message in one input, reads the input and writes nothing to the reader; all that a split needs
 * to remember is kept apart from it, in next_split().
 *
 * Invariant: between calls, header_have is less than FRAME_HEADER_BYTES while a header is
 * gathered, and equal to it exactly while `left` (more than none) bytes of its message are still
 * to come.
 */
#include "proto/frame.h"

#include "common/load.h"

#include <string.h>

static uint32_t decode_length(const uint8_t header[FRAME_HEADER_BYTES])
{
    return load_be32(header + 1);
}

static const uint8_t *consume(const uint8_t **input, size_t *length, size_t bytes)
{
    const uint8_t *start = *input;

    *input += bytes;
    *length -= bytes;
    return start;
}

/* Judges a complete header; FRAME_MORE means that it is good. The flag is judged first, since
 * the length of a message that we could not read anyway says nothing. */
static enum frame_result check_header(const struct frame_reader *reader, uint32_t max_bytes)
{
    if (reader->header[0] > 1)
        return FRAME_BAD_FLAG;
    if (reader->header[0] == 1 && !reader->takes_compressed)
        return FRAME_COMPRESSED;
    return decode_length(reader->header) > max_bytes ? FRAME_TOO_LARGE : FRAME_MORE;
}

static void gather_header(struct frame_reader *reader, const uint8_t **input, size_t *length)
{
    size_t take = FRAME_HEADER_BYTES - (size_t)reader->header_have;

    if (take > *length)
        take = *length;
    if (take == 0)
        return;
    memcpy(reader->header + reader->header_have, consume(input, length, take), take);
    reader->header_have = (uint8_t)(reader->header_have + take);
}

/* Returns what there is of the current message, whose header is known. */
static enum frame_result take_message(struct frame_reader *reader, const uint8_t **input,
                                      size_t *length, struct frame_piece *piece)
{
    bool was_split = reader->split;

    piece->compressed = reader->header[0] == 1;
    if (*length == 0 && reader->left > 0)
        return FRAME_MORE;
    if (*length < reader->left) {
        piece->length = *length;
        piece->bytes = consume(input, length, piece->length);
        reader->left -= (uint32_t)piece->length;
        reader->split = true;
        return FRAME_PART;
    }
    piece->length = reader->left;
    piece->bytes = consume(input, length, piece->length);
    reader->left = 0;
    reader->header_have = 0;
    reader->split = false;
    return was_split ? FRAME_LAST_PART : FRAME_WHOLE;
}

static enum frame_result next_split(struct frame_reader *reader, const uint8_t **input,
                                    size_t *length, uint32_t max_bytes, struct frame_piece *piece)
{
    if (reader->header_have < FRAME_HEADER_BYTES) {
        enum frame_result result;

        gather_header(reader, input, length);
        if (reader->header_have < FRAME_HEADER_BYTES)
            return FRAME_MORE;
        result = check_header(reader, max_bytes);
        if (result != FRAME_MORE)
            return result;
        reader->left = decode_length(reader->header);
    }
    return take_message(reader, input, length, piece);
}

enum frame_result frame_next(struct frame_reader *reader, const uint8_t **input, size_t *length,
                             uint32_t max_bytes, struct frame_piece *piece)
{
    const uint8_t *at = *input;
    size_t have = *length;

    if (likely(reader->header_have == 0 && have >= FRAME_HEADER_BYTES && at[0] == 0)) {
        uint32_t message = decode_length(at);

        have -= FRAME_HEADER_BYTES;
        if (likely(message <= have && message <= max_bytes)) {
            piece->bytes = at + FRAME_HEADER_BYTES;
            piece->length = message;
            piece->compressed = false;
            *input = piece->bytes + message;
            *length = have - message;
            return FRAME_WHOLE;
        }
    }
    return next_split(reader, input, length, max_bytes, piece);
}

bool frame_at_boundary(const struct frame_reader *reader)
{
    return reader->header_have == 0;
}

uint32_t frame_length(const struct frame_reader *reader)
{
    return decode_length(reader->header);
}

void frame_write_header(uint8_t header[FRAME_HEADER_BYTES], uint32_t length)
{
    header[0] = 0;
    store_be32(header + 1, length);
}
