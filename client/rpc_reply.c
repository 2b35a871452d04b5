/*
 * Reading a response with suspicion: packets count as acknowledged only when HTTP, gRPC and the
 * Ack all say so, and the Ack names exactly the number of packets that were sent.
 */
#include "client/rpc_reply.h"

#include "client/rpc_failure.h"
#include "proto/frame.h"
#include "proto/telemetry.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void rpc_reply_init(struct rpc_reply *reply)
{
    memset(reply, 0, sizeof *reply);
}

/* A decimal number, or `limit` + 1 for anything else. */
static uint64_t parse_decimal(const uint8_t *value, size_t length, uint64_t limit)
{
    uint64_t number = 0;

    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9' || number > (limit - (value[i] - '0')) / 10)
            return limit + 1;
        number = number * 10 + (value[i] - '0');
    }
    return length ? number : limit + 1;
}

void rpc_reply_header(struct rpc_reply *reply, const uint8_t *name, size_t name_length,
                      const uint8_t *value, size_t value_length)
{
#define NAME_IS(text) (name_length == sizeof text - 1 && memcmp(name, text, name_length) == 0)
    if (NAME_IS(":status")) {
        reply->http_status = (unsigned)parse_decimal(value, value_length, 999);
    } else if (NAME_IS("content-type")) {
        reply->is_grpc = grpc_is_content_type(value, value_length);
    } else if (NAME_IS("grpc-status")) {
        reply->has_status = true;
        reply->status = grpc_status_parse(value, value_length);
    } else if (NAME_IS("grpc-message")) {
        grpc_decode_message(value, value_length, reply->message, sizeof reply->message);
    } else if (NAME_IS("tally-received")) {
        reply->received = parse_decimal(value, value_length, UINT64_MAX - 1);
        reply->told = reply->received != UINT64_MAX;
    }
#undef NAME_IS
}

void rpc_reply_data(struct rpc_reply *reply, const uint8_t *bytes, size_t length)
{
    if (reply->body_length < sizeof reply->body) {
        size_t room = sizeof reply->body - reply->body_length;

        memcpy(reply->body + reply->body_length, bytes, length < room ? length : room);
    }
    reply->body_length += length;
}

void rpc_reply_complete(const struct rpc_reply *reply, struct rpc_outcome *outcome)
{
    outcome->told = outcome->status != GRPC_OK && reply->told;
    outcome->received = outcome->told ? reply->received : 0;
}

static void decide(const struct rpc_reply *reply, struct rpc_outcome *outcome,
                   enum grpc_status status, const char *message)
{
    outcome->status = status;
    snprintf(outcome->message, sizeof outcome->message, "%s", message);
    rpc_reply_complete(reply, outcome);
}

/* Finds the one Ack that the body consists of. */
static bool read_ack(const struct rpc_reply *reply, uint64_t *received)
{
    struct frame_reader reader = {0};
    const uint8_t *input = reply->body;
    size_t length = reply->body_length;
    struct frame_piece piece;
    Telemetry__Ack *ack;

    if (length > sizeof reply->body)
        return false;
    if (frame_next(&reader, &input, &length, sizeof reply->body, &piece) != FRAME_WHOLE || length)
        return false;
    ack = telemetry__ack__unpack(NULL, piece.length, piece.bytes);
    if (!ack)
        return false;
    *received = ack->received;
    telemetry__ack__free_unpacked(ack, NULL);
    return true;
}

static void judge_ack(const struct rpc_reply *reply, uint64_t packets, struct rpc_outcome *outcome)
{
    char message[RPC_MESSAGE_BYTES];
    uint64_t received;

    if (!read_ack(reply, &received)) {
        decide(reply, outcome, GRPC_INTERNAL, "status OK, but no Ack that can be read");
    } else if (received != packets) {
        snprintf(message, sizeof message, "Ack says %" PRIu64 " of %" PRIu64, received, packets);
        decide(reply, outcome, GRPC_DATA_LOSS, message);
    } else {
        decide(reply, outcome, GRPC_OK, "");
    }
}

void rpc_reply_judge(const struct rpc_reply *reply, uint64_t packets, struct rpc_outcome *outcome)
{
    char message[RPC_MESSAGE_BYTES];

    outcome->come_again = false;
    if (reply->has_status && reply->status != GRPC_OK) {
        decide(reply, outcome, reply->status, reply->message);
    } else if (reply->http_status != 200) {
        snprintf(message, sizeof message, "HTTP status %u", reply->http_status);
        decide(reply, outcome, rpc_failure_of_http(reply->http_status), message);
    } else if (!reply->is_grpc) {
        decide(reply, outcome, GRPC_UNKNOWN, "the response is not of type " GRPC_CONTENT_TYPE);
    } else if (!reply->has_status) {
        decide(reply, outcome, GRPC_UNKNOWN, "the response has no grpc-status");
    } else {
        judge_ack(reply, packets, outcome);
    }
}
