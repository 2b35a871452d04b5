/* Tables and small translations for gRPC's status; see rpc_status.h. */
#include "client/rpc_status.h"

#include "common/compiler.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

static const char *const names[] = {
    [RPC_OK] = "OK",
    [RPC_CANCELLED] = "CANCELLED",
    [RPC_UNKNOWN] = "UNKNOWN",
    [RPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [RPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [RPC_NOT_FOUND] = "NOT_FOUND",
    [RPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [RPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [RPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [RPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [RPC_ABORTED] = "ABORTED",
    [RPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [RPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [RPC_INTERNAL] = "INTERNAL",
    [RPC_UNAVAILABLE] = "UNAVAILABLE",
    [RPC_DATA_LOSS] = "DATA_LOSS",
    [RPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *rpc_status_name(enum rpc_status status)
{
    return (size_t)status < ARRAY_LENGTH(names) ? names[status] : names[RPC_UNKNOWN];
}

enum rpc_status rpc_status_parse(const uint8_t *value, size_t length)
{
    unsigned code = 0;

    if (length == 0 || length > 2)
        return RPC_UNKNOWN;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return RPC_UNKNOWN;
        code = code * 10 + (value[i] - '0');
    }
    return code < ARRAY_LENGTH(names) ? (enum rpc_status)code : RPC_UNKNOWN;
}

enum rpc_status rpc_status_of_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return RPC_INTERNAL;
    case 401:
        return RPC_UNAUTHENTICATED;
    case 403:
        return RPC_PERMISSION_DENIED;
    case 404:
        return RPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return RPC_UNAVAILABLE;
    default:
        return RPC_UNKNOWN;
    }
}

enum rpc_status rpc_status_of_reset(uint32_t error_code)
{
    switch (error_code) {
    case NGHTTP2_REFUSED_STREAM:
        return RPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return RPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return RPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return RPC_PERMISSION_DENIED;
    default:
        return RPC_INTERNAL;
    }
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void rpc_status_decode_message(char *out, size_t size, const uint8_t *value, size_t length)
{
    size_t used = 0;

    for (size_t i = 0; i < length && used + 1 < size; i++) {
        uint8_t c = value[i];

        if (c == '%' && length - i > 2 && hex_digit(value[i + 1]) >= 0 &&
            hex_digit(value[i + 2]) >= 0) {
            c = (uint8_t)(hex_digit(value[i + 1]) << 4 | hex_digit(value[i + 2]));
            i += 2;
        }
        out[used++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[used] = '\0';
}

const char *rpc_status_hint(enum rpc_status status, const char *message)
{
    static const struct {
        enum rpc_status status;
        const char *part; /* of the message */
        const char *hint;
    } hints[] = {
        {RPC_UNAVAILABLE, "Connection refused", "is tallyd running? start it with scripts/run.sh"},
        {RPC_UNAVAILABLE, "cannot resolve", "--target takes host:port, such as 127.0.0.1:50051"},
        {RPC_UNAVAILABLE, "redis down",
         "tallyd runs, but Redis does not answer: start redis-server, or check tallyd's "
         "--redis-host and --redis-port"},
        {RPC_UNAVAILABLE, "connection lost",
         "tallyd stopped, or something between closed the connection; its log tells more"},
        {RPC_UNAVAILABLE, "going away", "tallyd is shutting down; send again once it is back"},
        {RPC_INTERNAL, "breaks the rules of HTTP/2",
         "--target must be tallyd's gRPC port (50051 unless changed), not its HTTP port"},
        {RPC_UNIMPLEMENTED, "", "the server at --target is not tallyd, or a different version"},
        {RPC_DEADLINE_EXCEEDED, "no progress",
         "Acks wait while Redis is away; --timeout-ms 0 waits without end"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(hints); i++) {
        if (hints[i].status == status && strstr(message, hints[i].part))
            return hints[i].hint;
    }
    return NULL;
}
