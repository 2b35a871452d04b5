/*
 * The parts of a call share this, and nobody else: call.c has its life, call_headers.c what is
 * asked of it, call_answer.c what it answers, call_receive.c its packets, call_inflate.c
 * compressed ones, and service*.c what calls of other methods do. Thread: worker.
 */
#ifndef TALLYD_SERVER_CALL_PRIVATE_H
#define TALLYD_SERVER_CALL_PRIVATE_H

#include "proto/gunzip.h"
#include "server/call.h"
#include "server/method.h"

/* Of a call that is not of StreamPackets; service.c's, but for the watch. */
struct service {
    uint8_t *request; /* one that comes in parts; NULL: none does */
    size_t request_have, request_room;
    uint8_t *output; /* NULL: nothing waits */
    size_t output_room;
    bool has_request; /* one came whole */

    /* Of Health.Watch: whether it is for a service that there is, and what it was told last. */
    bool watches_known;
    int told;
};

/* True unless it is of one of gRPC's own services, which are counted apart. */
static inline bool call_is_stream(const struct call *call)
{
    return !call->method || !call->method->request;
}

/* Ends an open call with an error status, which is sent once what it counted is committed. The
 * message is cut to CALL_MESSAGE_BYTES. */
void call_fail(struct call *call, enum grpc_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same for want of room, which passes: with UNAVAILABLE, and when to come again. */
void call_fail_for_room(struct call *call, const char *format, ...) PRINTF_LIKE(2, 3);

/* Inflates a piece of a compressed message of which at most `max_bytes` may come out; when it is
 * the last one, the message must be whole. Fails nothing: that is the caller's. */
enum gunzip_result call_inflate(struct call *call, const struct frame_piece *piece, bool is_last,
                                uint32_t max_bytes, gunzip_sink *sink, void *target) MUST_CHECK;

/* Gives back what inflating took, wherever in a message it stands. */
void call_inflate_end(struct call *call);

/* Refuses the call before anything of it is counted. */
void call_refuse(struct call *call, enum grpc_status status, const char *message);

/* Answers what is no gRPC, or no good one, with a status of HTTP's. */
void call_refuse_http(struct call *call, const char *http_status, enum grpc_status status,
                      const char *message);

/* Sends the answer: what output there is and the call's status, with an Ack if that is OK. */
void call_answer(struct call *call);

/* There is new output: begins the response if it has not begun. */
void call_respond(struct call *call);

#endif
