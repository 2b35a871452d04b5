/*
 * The device id in the path of a request: GET /devices/{device_id}, percent-encoded (RFC 3986).
 */
#ifndef TALLYD_HTTP_DEVICE_PATH_H
#define TALLYD_HTTP_DEVICE_PATH_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

enum device_path_result {
    DEVICE_PATH_OK,
    DEVICE_PATH_EMPTY,
    DEVICE_PATH_BAD_ESCAPE, /* a % without two hexadecimal digits after it */
    DEVICE_PATH_TOO_LONG,
    DEVICE_PATH_NOT_UTF8,
};

/* Decodes the raw text after "/devices/". Every byte may be escaped, %00 and %2F too; a slash may
 * also stand as it is, and a plus sign is a plus sign. `id` has room for strlen(text) bytes and
 * gets the id, without a NUL after it; `length` gets its length, 1 to `max_id_bytes`. Both are
 * undefined unless the result is DEVICE_PATH_OK. Any thread; no state. */
enum device_path_result device_path_decode(const char *text, size_t max_id_bytes, uint8_t *id,
                                           size_t *length) MUST_CHECK;

/* What is wrong, for messages: "the device id is empty". */
const char *device_path_text(enum device_path_result result);

#endif
