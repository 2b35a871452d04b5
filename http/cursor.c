/*
 * The text is base64url of a byte that names the order, the count as 8 bytes, the highest first,
 * when the order is by count, and the id. Decoding is strict: there is one text for each cursor,
 * and everything else is refused.
 */
#include "http/cursor.h"

#include "common/base64url.h"
#include "common/utf8.h"

#include <errno.h>
#include <string.h>

#define COUNT_BYTES 8
#define MAX_BYTES   (1 + COUNT_BYTES + CURSOR_MAX_ID_BYTES)

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
    base64url_encode(bytes, used + cursor->id_length, text);
}

int cursor_decode(const void *text, size_t length, struct cursor *cursor)
{
    uint8_t bytes[MAX_BYTES];
    size_t used, at = 1;
    uint64_t count = 0;

    if (length >= CURSOR_TEXT_BYTES || base64url_decode(text, length, bytes, &used) || used < 1)
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
