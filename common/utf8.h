/*
 * UTF-8 as RFC 3629 defines it: no over-long forms, no surrogates, nothing past U+10FFFF.
 * NUL is a character like any other. Any thread; no state.
 */
#ifndef TALLYD_COMMON_UTF8_H
#define TALLYD_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if all of `bytes` is well-formed UTF-8; the empty string is. */
bool utf8_is_valid(const uint8_t *bytes, size_t length);

/* The number of bytes, 1 to 4, of the well-formed character that `bytes` starts with; 0 if it
 * starts with none, or if `length` is 0. */
size_t utf8_character_bytes(const uint8_t *bytes, size_t length);

#endif
