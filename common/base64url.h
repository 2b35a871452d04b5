/*
 * base64url without padding (RFC 4648, section 5): bytes as letters, digits, "-" and "_". Decoding
 * is strict: there is one text for each run of bytes, and everything else is refused. Any thread;
 * no state.
 */
#ifndef TALLYD_COMMON_BASE64URL_H
#define TALLYD_COMMON_BASE64URL_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that so many bytes take; and the most bytes that so many characters hold. */
#define BASE64URL_CHARS(bytes) (((bytes)*4 + 2) / 3)
#define BASE64URL_BYTES(chars) ((chars)*3 / 4)

/* Writes BASE64URL_CHARS(length) characters and a NUL. */
void base64url_encode(const uint8_t *bytes, size_t length, char *text);

/* Reads what base64url_encode() wrote into `bytes`, which has room for BASE64URL_BYTES(length), and
 * sets how many they are. Returns 0, or -EINVAL for any other text. */
int base64url_decode(const char *text, size_t length, uint8_t *bytes, size_t *used) MUST_CHECK;

/* True if the text has no other characters. */
bool base64url_has_only_digits(const char *text, size_t length);

#endif
