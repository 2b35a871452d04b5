/*
 * The text is base64url without padding (RFC 4648, section 5) of a byte that names the order, the
 * count as 8 bytes, the highest first, when the order is by count, and the id. Decoding is strict:
 * there is one text for each cursor, and everything else is refused.
 */
#include "http/cursor.h"

#include "common/utf8.h"

#include <errno.h>
#include <string.h>

#define COUNT_BYTES 8
#define MAX_BYTES   (1 + COUNT_BYTES + CURSOR_MAX_ID_BYTES)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Writes base64url with a NUL. */
static void encode_bytes(const uint8_t *bytes, size_t length, char *text)
{
    uint32_t bits = 0;
    unsigned waiting = 0; /* of `bits`, still to be written */

    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (waiting += 8; waiting >= 6; waiting -= 6)
            *text++ = alphabet[bits >> (waiting - 6) & 63];
    }
    if (waiting)
        *text++ = alphabet[bits << (6 - waiting) & 63];
    *text = '\0';
}

/* Reads base64url; `bytes` has room for MAX_BYTES. Returns 0, or -EINVAL for a text that is none,
 * too long, or not the one that encode_bytes() writes: the bits left over must be zeros, and fewer
 * than a character holds. */
static int decode_bytes(const char *text, size_t length, uint8_t *bytes, size_t *used)
{
    uint32_t bits = 0;
    unsigned waiting = 0;

    *used = 0;
    if (length >= CURSOR_TEXT_BYTES)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        const char *digit = memchr(alphabet, text[i], sizeof alphabet - 1);

        if (!digit)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)(digit - alphabet);
        waiting += 6;
        if (waiting >= 8) {
            waiting -= 8;
            bytes[(*used)++] = (uint8_t)(bits >> waiting);
        }
    }
    return waiting >= 6 || (bits & ((1u << waiting) - 1)) ? -EINVAL : 0;
}

void cursor_encode(const struct cursor *cursor, char text[CURSOR_TEXT_BYTES])
{
    uint8_t bytes[MAX_BYTES];
    size_t used = 0;

    bytes[used++] = (uint8_t)cursor->order;
    if (cursor->order != CURSOR_BY_ID) {
        for (int shift = 56; shift >= 0; shift -= 8)
            bytes[used++] = (uint8_t)((uint64_t)cursor->count >> shift);
    }
    memcpy(bytes + used, cursor->id, cursor->id_length);
    encode_bytes(bytes, used + cursor->id_length, text);
}

int cursor_decode(const void *text, size_t length, struct cursor *cursor)
{
    uint8_t bytes[MAX_BYTES];
    size_t used, at = 1;
    uint64_t count = 0;

    if (decode_bytes(text, length, bytes, &used) || used < 1)
        return -EINVAL;
    if (bytes[0] != CURSOR_BY_ID && bytes[0] != CURSOR_BY_COUNT_DOWN &&
        bytes[0] != CURSOR_BY_COUNT_UP)
        return -EINVAL;
    cursor->order = bytes[0];
    if (cursor->order != CURSOR_BY_ID) {
        for (; at < 1 + COUNT_BYTES && at < used; at++)
            count = count << 8 | bytes[at];
    }
    if (at >= used || used - at > CURSOR_MAX_ID_BYTES || !utf8_is_valid(bytes + at, used - at))
        return -EINVAL;
    cursor->count = (int64_t)count;
    cursor->id_length = used - at;
    memcpy(cursor->id, bytes + at, cursor->id_length);
    return 0;
}
