/*
 * The methods that the server has. StreamPackets is what it is for, and call_receive.c serves it;
 * the others are gRPC's own services, small requests and small responses, which go through
 * server/service.h. Any thread; nothing here changes.
 */
#ifndef TALLYD_SERVER_METHOD_H
#define TALLYD_SERVER_METHOD_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;

/* Who may call it, where there are tokens. */
enum method_access {
    METHOD_PUBLIC, /* everybody: who probes for health has no token */
    METHOD_KNOWN,  /* who has a token, whatever it allows */
    METHOD_INGEST, /* who may send packets */
};

struct method {
    const char *path;
    enum method_access access;

    /* Takes a request; the bytes are the caller's. NULL: it is StreamPackets. */
    void (*request)(struct call *call, const uint8_t *bytes, size_t length);

    /* From call_tick(), while the call is open; may be NULL. */
    void (*tick)(struct call *call);

    bool one_request; /* a client sends exactly one */
    bool goes_on;     /* when the client has ended its side */
};

/* Finds the method of a request's :path. Returns NULL when there is none; `*known_service` then
 * tells whether there is at least its service. */
const struct method *method_find(const uint8_t *path, size_t length,
                                 bool *known_service) MUST_CHECK;

#endif
