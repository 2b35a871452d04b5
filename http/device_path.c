/* See device_path.h. civetweb's own decoder ends a path at %00, so paths reach us undecoded. */
#include "http/device_path.h"

#include "common/hex.h"
#include "common/utf8.h"

enum device_path_result device_path_decode(const char *text, size_t max_id_bytes, uint8_t *id,
                                           size_t *length)
{
    size_t used = 0;

    while (*text) {
        if (*text != '%') {
            id[used++] = (uint8_t)*text++;
            continue;
        }
        if (hex_byte(text + 1) < 0)
            return DEVICE_PATH_BAD_ESCAPE;
        id[used++] = (uint8_t)hex_byte(text + 1);
        text += 3;
    }
    *length = used;
    if (used == 0)
        return DEVICE_PATH_EMPTY;
    if (used > max_id_bytes)
        return DEVICE_PATH_TOO_LONG;
    return utf8_is_valid(id, used) ? DEVICE_PATH_OK : DEVICE_PATH_NOT_UTF8;
}

const char *device_path_text(enum device_path_result result)
{
    switch (result) {
    case DEVICE_PATH_OK:
        return "nothing is wrong";
    case DEVICE_PATH_EMPTY:
        return "the device id is empty";
    case DEVICE_PATH_BAD_ESCAPE:
        return "the device id has a % without two hexadecimal digits after it";
    case DEVICE_PATH_TOO_LONG:
        return "the device id is longer than --max-device-id-bytes";
    case DEVICE_PATH_NOT_UTF8:
        return "the device id is not valid UTF-8";
    }
    return "the device id is wrong";
}
