/* See base64url.h. Six bits a character, zeros behind the last byte. */
#include "common/base64url.h"

#include <errno.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(const uint8_t *bytes, size_t length, char *text)
{
    uint32_t bits = 0;
    unsigned waiting = 0; /* of `bits`, still to be written */

    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (waiting += 8; waiting >= 6; waiting -= 6)
            *text++ = digits[bits >> (waiting - 6) & 63];
    }
    if (waiting)
        *text++ = digits[bits << (6 - waiting) & 63];
    *text = '\0';
}

/* The value of a character; -1 for one that is no digit. */
static int value_of(char digit)
{
    const char *at = memchr(digits, digit, sizeof digits - 1);

    return at ? (int)(at - digits) : -1;
}

int base64url_decode(const char *text, size_t length, uint8_t *bytes, size_t *used)
{
    uint32_t bits = 0;
    unsigned waiting = 0;

    *used = 0;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        waiting += 6;
        if (waiting >= 8) {
            waiting -= 8;
            bytes[(*used)++] = (uint8_t)(bits >> waiting);
        }
    }
    /* The bits left over must be zeros, and fewer than a character holds. */
    return waiting >= 6 || (bits & ((1u << waiting) - 1)) ? -EINVAL : 0;
}

bool base64url_has_only_digits(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (value_of(text[i]) < 0)
            return false;
    }
    return true;
}
