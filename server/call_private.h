/*
 * The two halves of a call share this, and nobody else: call.c has its life, and call_receive.c its
 * packets. Thread: worker.
 */
#ifndef TALLYD_SERVER_CALL_PRIVATE_H
#define TALLYD_SERVER_CALL_PRIVATE_H

#include "server/call.h"

/* Ends an open call with an error status, which is sent once what it counted is committed. The
 * message is cut to CALL_MESSAGE_BYTES. */
void call_fail(struct call *call, enum grpc_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
