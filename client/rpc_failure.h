/*
 * What went wrong, in gRPC's terms: the status that failures of HTTP count as (gRPC's "HTTP to
 * gRPC Status Code Mapping" and "PROTOCOL-HTTP2", section Errors), and what to do about the common
 * ones. Any thread; no state.
 */
#ifndef TALLYD_CLIENT_RPC_FAILURE_H
#define TALLYD_CLIENT_RPC_FAILURE_H

#include "proto/grpc.h"

#include <stdint.h>

/* The status of a response that has no grpc-status. */
enum grpc_status rpc_failure_of_http(unsigned http_status);

/* The status of a stream that was reset with an HTTP/2 error code. */
enum grpc_status rpc_failure_of_reset(uint32_t error_code);

/* What to do about a failure, as one sentence without a newline; NULL when nothing is known. */
const char *rpc_failure_hint(enum grpc_status status, const char *message);

#endif
