/* See grpc.h. */
#include "proto/grpc.h"

#include "common/compiler.h"
#include "common/hex.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

static const char *const names[] = {
    [GRPC_OK] = "OK",
    [GRPC_CANCELLED] = "CANCELLED",
    [GRPC_UNKNOWN] = "UNKNOWN",
    [GRPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [GRPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [GRPC_NOT_FOUND] = "NOT_FOUND",
    [GRPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [GRPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [GRPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [GRPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [GRPC_ABORTED] = "ABORTED",
    [GRPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [GRPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [GRPC_INTERNAL] = "INTERNAL",
    [GRPC_UNAVAILABLE] = "UNAVAILABLE",
    [GRPC_DATA_LOSS] = "DATA_LOSS",
    [GRPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *grpc_status_name(enum grpc_status status)
{
    return (size_t)status < ARRAY_LENGTH(names) ? names[status] : names[GRPC_UNKNOWN];
}

enum grpc_status grpc_status_parse(const uint8_t *value, size_t length)
{
    unsigned code = 0;

    if (length == 0 || length > 2)
        return GRPC_UNKNOWN;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return GRPC_UNKNOWN;
        code = code * 10 + (value[i] - '0');
    }
    return code < ARRAY_LENGTH(names) ? (enum grpc_status)code : GRPC_UNKNOWN;
}

size_t grpc_encode_message(const char *text, char *out, size_t size)
{
    size_t used = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c && used + 4 <= size; c++) {
        if (*c < 0x20 || *c > 0x7e || *c == '%')
            used += (size_t)snprintf(out + used, size - used, "%%%02X", *c);
        else
            out[used++] = (char)*c;
    }
    out[used] = '\0';
    return used;
}

size_t grpc_decode_message(const uint8_t *value, size_t length, char *out, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < length && used + 1 < size; i++) {
        uint8_t c = value[i];

        if (c == '%' && length - i > 2 && hex_value((char)value[i + 1]) >= 0 &&
            hex_value((char)value[i + 2]) >= 0) {
            c = (uint8_t)(hex_value((char)value[i + 1]) << 4 | hex_value((char)value[i + 2]));
            i += 2;
        }
        out[used++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[used] = '\0';
    if (!utf8_is_valid((const uint8_t *)out, used)) {
        for (size_t i = 0; i < used; i++)
            out[i] = (unsigned char)out[i] < 0x80 ? out[i] : '?';
    }
    return used;
}

bool grpc_is_content_type(const uint8_t *value, size_t length)
{
    size_t type_length = sizeof GRPC_CONTENT_TYPE - 1;

    if (length < type_length ||
        strncasecmp((const char *)value, GRPC_CONTENT_TYPE, type_length) != 0)
        return false;
    return length == type_length || value[type_length] == '+' || value[type_length] == ';';
}

bool grpc_is_proto_type(const uint8_t *value, size_t length)
{
    static const char suffix[] = "+proto";
    size_t type_length = sizeof GRPC_CONTENT_TYPE - 1, suffix_length = sizeof suffix - 1;

    if (!grpc_is_content_type(value, length))
        return false;
    value += type_length;
    length -= type_length;
    if (length == 0 || value[0] == ';')
        return true;
    return length >= suffix_length &&
           strncasecmp((const char *)value, suffix, suffix_length) == 0 &&
           (length == suffix_length || value[suffix_length] == ';');
}

#define TIMEOUT_DIGITS 8

int grpc_parse_timeout(const uint8_t *value, size_t length, uint64_t *ms)
{
    static const struct {
        uint8_t unit;
        uint64_t times_ms, per_ms;
    } units[] = {
        {'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1},
        {'m', 1, 1},       {'u', 1, 1000},  {'n', 1, 1000000},
    };
    uint64_t number = 0;

    if (length < 2 || length > TIMEOUT_DIGITS + 1)
        return -EINVAL;
    for (size_t i = 0; i < length - 1; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -EINVAL;
        number = number * 10 + (value[i] - '0'); /* below 10^8, so below 2^64 in ms, too */
    }
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (value[length - 1] == units[i].unit) {
            *ms = (number * units[i].times_ms + units[i].per_ms - 1) / units[i].per_ms;
            return 0;
        }
    }
    return -EINVAL;
}
