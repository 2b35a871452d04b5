/*
 * What gRPC adds to HTTP/2 responses: status codes and the encoding of messages. Pure functions;
 * any thread. (gRPC over HTTP/2, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)
 */
#ifndef TALLYD_SERVER_GRPC_H
#define TALLYD_SERVER_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The codes that tallyd sends. */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
};

/* Percent-encodes `text` into `out` as grpc-message asks: bytes outside 0x20 to 0x7e, and "%".
 * Cuts what does not fit, never inside an escape. Returns the length; `out` is NUL-terminated. */
size_t grpc_encode_message(const char *text, char *out, size_t size);

/* True for application/grpc, alone or with a +suffix or ;parameter. */
bool grpc_is_content_type(const uint8_t *value, size_t length);

#endif
