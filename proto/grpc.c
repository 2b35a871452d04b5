/* See grpc.h. */
#include "proto/grpc.h"

#include "common/compiler.h"
#include "common/hex.h"
#include "common/utf8.h"

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
