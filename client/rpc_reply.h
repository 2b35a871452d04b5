/*
 * The server's side of one StreamPackets call: gathers response headers, the Ack and trailers as
 * they come, and then judges whether the packets count as acknowledged. No socket, no nghttp2.
 */
#ifndef TALLYD_CLIENT_RPC_REPLY_H
#define TALLYD_CLIENT_RPC_REPLY_H

#include "proto/grpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_MESSAGE_BYTES 256

/* How a call or a connection ended. GRPC_OK: every packet of the call is acknowledged. */
struct rpc_outcome {
    enum grpc_status status;
    char message[RPC_MESSAGE_BYTES];
    bool told;         /* the server told how many packets of the failed stream it counted, */
    uint64_t received; /* namely these */
    bool
        come_again; /* the server asks to go on with what it took nothing of, on a new connection */
};

/* Embedded in a call; the fields belong to rpc_reply.c. */
struct rpc_reply {
    unsigned http_status;
    bool is_grpc;    /* the content-type is gRPC's */
    bool has_status; /* grpc-status came */
    bool told;       /* tally-received came */
    enum grpc_status status;
    uint64_t received;
    size_t body_length; /* may exceed the bytes kept */
    uint8_t body[64];   /* one framed Ack takes at most 16 */
    char message[RPC_MESSAGE_BYTES];
};

void rpc_reply_init(struct rpc_reply *reply);

/* Takes a field of the response headers or the trailers; those of no interest are ignored. */
void rpc_reply_header(struct rpc_reply *reply, const uint8_t *name, size_t name_length,
                      const uint8_t *value, size_t value_length);

/* Takes the next bytes of the response's body. */
void rpc_reply_data(struct rpc_reply *reply, const uint8_t *bytes, size_t length);

/* Judges a response that ended, for a stream of `packets` packets. */
void rpc_reply_judge(const struct rpc_reply *reply, uint64_t packets, struct rpc_outcome *outcome);

/* Adds to the outcome of a stream that ended without a whole response what came of one: how many
 * packets the server counted, if it told. */
void rpc_reply_complete(const struct rpc_reply *reply, struct rpc_outcome *outcome);

#endif
