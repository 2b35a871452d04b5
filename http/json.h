/*
 * Strings of JSON text (RFC 8259), on a text writer. Texts of any length are written by it, since
 * they need no tree, and so are device ids, which may hold NULs that no C string of cJSON can.
 * Brackets, commas, colons and numbers are the caller's, by text.h.
 */
#ifndef TALLYD_HTTP_JSON_H
#define TALLYD_HTTP_JSON_H

#include "http/text.h"

#include <stddef.h>

/* The most bytes that json_string() writes for a string of `length` bytes. */
#define JSON_STRING_BYTES(length) (6 * (length) + 2)

/* Writes a quoted and escaped string. `bytes` must be valid UTF-8 and may hold NULs. */
void json_string(struct text_writer *writer, const void *bytes, size_t length);

#endif
