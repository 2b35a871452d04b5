/*
 * gRPC status codes: their names, and what other failures count as (gRPC's "HTTP to gRPC Status
 * Code Mapping" and "PROTOCOL-HTTP2", section Errors). Any thread; no state.
 */
#ifndef TALLYD_CLIENT_RPC_STATUS_H
#define TALLYD_CLIENT_RPC_STATUS_H

#include <stddef.h>
#include <stdint.h>

enum rpc_status {
    RPC_OK,
    RPC_CANCELLED,
    RPC_UNKNOWN,
    RPC_INVALID_ARGUMENT,
    RPC_DEADLINE_EXCEEDED,
    RPC_NOT_FOUND,
    RPC_ALREADY_EXISTS,
    RPC_PERMISSION_DENIED,
    RPC_RESOURCE_EXHAUSTED,
    RPC_FAILED_PRECONDITION,
    RPC_ABORTED,
    RPC_OUT_OF_RANGE,
    RPC_UNIMPLEMENTED,
    RPC_INTERNAL,
    RPC_UNAVAILABLE,
    RPC_DATA_LOSS,
    RPC_UNAUTHENTICATED,
};

/* "UNAVAILABLE" and so on. */
const char *rpc_status_name(enum rpc_status status);

/* Reads the value of a grpc-status header. What is no known code is RPC_UNKNOWN. */
enum rpc_status rpc_status_parse(const uint8_t *value, size_t length);

/* The status of a response that has no grpc-status. */
enum rpc_status rpc_status_of_http(unsigned http_status);

/* The status of a stream that was reset with an HTTP/2 error code. */
enum rpc_status rpc_status_of_reset(uint32_t error_code);

/* Undoes the percent-encoding of grpc-message into `out`, a string of at most `size - 1` bytes.
 * A percent sign without two hex digits stands for itself. Control characters become '?', so that
 * a server cannot write to the terminal what it likes. */
void rpc_status_decode_message(char *out, size_t size, const uint8_t *value, size_t length);

/* What to do about a common failure, as one sentence without a newline; NULL when nothing is
 * known. */
const char *rpc_status_hint(enum rpc_status status, const char *message);

#endif
