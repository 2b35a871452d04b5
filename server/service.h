/*
 * What calls have that are not of StreamPackets: small requests, gathered whole, and responses that
 * wait until the client takes them. Both are bounded, for a call and for all calls of a worker.
 *
 * Thread: worker, the one that owns the connection.
 */
#ifndef TALLYD_SERVER_SERVICE_H
#define TALLYD_SERVER_SERVICE_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ProtobufCMessage;
struct call;
struct service;

#define SERVICE_REQUEST_BYTES 4096       /* of a request */
#define SERVICE_OUTPUT_BYTES  (64 << 10) /* of a call's responses that are not sent yet */

/* Makes what a call needs. NULL with errno ENOMEM. */
struct service *service_create(void) MUST_CHECK;

/* Frees the service of a call; a call without one is left alone. */
void service_destroy(struct call *call);

/* Takes bytes of the request body. */
void service_receive(struct call *call, const uint8_t *bytes, size_t length);

/* The client has ended its side. */
void service_client_ended(struct call *call);

/* Sends a response, or fails the call when too much waits already. `message` is borrowed. */
void service_send(struct call *call, const struct ProtobufCMessage *message);

/* All that there was to send is on its way. */
void service_sent(struct call *call);

/* ---- The methods ---------------------------------------------------------------------------- */

/* grpc.health.v1.Health, service_health.c */
void service_health_check(struct call *call, const uint8_t *bytes, size_t length);
void service_health_watch(struct call *call, const uint8_t *bytes, size_t length);
void service_health_tick(struct call *call);

/* grpc.reflection.v1 and v1alpha, service_reflection.c */
void service_reflection_request(struct call *call, const uint8_t *bytes, size_t length);

#endif
