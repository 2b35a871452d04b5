/*
 * Where a page of a listing ended, as the client carries it from one request to the next. A cursor
 * holds the key of the last device, not a position, so it means the same in every snapshot and on
 * every instance over one Redis, whatever has been counted in the meantime. Any thread; no state.
 */
#ifndef TALLYD_HTTP_CURSOR_H
#define TALLYD_HTTP_CURSOR_H

#include "common/base64url.h"
#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

/* The longest id that a cursor holds: what every device has by default. A cursor travels in the
 * head of an answer, twice, so it must be short; see listing_limit() for ids that are longer. */
#define CURSOR_MAX_ID_BYTES 256

/* The longest cursor as text: a byte for the order, eight for the count and an id; and a NUL. */
#define CURSOR_TEXT_BYTES (BASE64URL_CHARS(1 + 8 + CURSOR_MAX_ID_BYTES) + 1)

/* The order of the listing that a cursor belongs to. The values are part of the text. */
enum cursor_order {
    CURSOR_BY_ID = 1,     /* by the ids' bytes */
    CURSOR_BY_COUNT_DOWN, /* the largest count first; of equal counts by id */
    CURSOR_BY_COUNT_UP,   /* the reverse of that */
};

struct cursor {
    enum cursor_order order;
    int64_t count; /* 0 when the order is by id */
    uint8_t id[CURSOR_MAX_ID_BYTES];
    size_t id_length;
};

/* Writes a cursor as text, of letters, digits, "-" and "_" only, with a NUL. */
void cursor_encode(const struct cursor *cursor, char text[CURSOR_TEXT_BYTES]);

/* Reads what cursor_encode() wrote. Returns 0, or -EINVAL for any other text; `cursor` is then
 * undefined. */
int cursor_decode(const void *text, size_t length, struct cursor *cursor) MUST_CHECK;

#endif
