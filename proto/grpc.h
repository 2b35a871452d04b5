/*
 * What gRPC adds to HTTP/2: the method's path, status codes, the coding of messages. Server and
 * client both speak from here. Pure functions; any thread.
 * (gRPC over HTTP/2, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)
 */
#ifndef TALLYD_PROTO_GRPC_H
#define TALLYD_PROTO_GRPC_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The path of the one method that there is (proto/telemetry.proto). */
#define GRPC_PATH "/telemetry.TelemetryIngest/StreamPackets"

#define GRPC_CONTENT_TYPE "application/grpc"

/* All there are (gRPC, statuscodes.md). */
enum grpc_status {
    GRPC_OK,
    GRPC_CANCELLED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
    GRPC_STATUS_COUNT, /* how many there are; none itself */
};

/* "UNAVAILABLE" and so on. */
const char *grpc_status_name(enum grpc_status status);

/* Reads the value of a grpc-status header. What is no known code is GRPC_UNKNOWN. */
enum grpc_status grpc_status_parse(const uint8_t *value, size_t length);

/* Percent-encodes `text` into `out` as grpc-message asks: bytes outside 0x20 to 0x7e, and "%".
 * Cuts what does not fit, never inside an escape. Returns the length; `out` is NUL-terminated. */
size_t grpc_encode_message(const char *text, char *out, size_t size);

/* Undoes it, for a grpc-message that anyone may have sent: cuts what does not fit; a percent sign
 * without two hex digits stands for itself; control characters, and all that is not ASCII unless
 * the whole is UTF-8, become "?", so that a server cannot write to a terminal, or into JSON, what
 * it likes. Returns the length; `out` is NUL-terminated. */
size_t grpc_decode_message(const uint8_t *value, size_t length, char *out, size_t size);

/* True for application/grpc, alone or with a +suffix or ;parameter. */
bool grpc_is_content_type(const uint8_t *value, size_t length);

/* True for one of these that says that messages are protobuf: without a suffix, or with +proto. */
bool grpc_is_proto_type(const uint8_t *value, size_t length);

/* Reads a grpc-timeout: one to eight digits and a unit, H M S m u n. Nothing else is one. Sets the
 * milliseconds, rounded up, so that only 0 is none; at most 99999999 H. Returns 0 or -EINVAL. */
int grpc_parse_timeout(const uint8_t *value, size_t length, uint64_t *ms) MUST_CHECK;

#endif
