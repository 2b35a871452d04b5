/*
 * Who is behind each port of 127.0.0.1 from which the TLS proxy has reached civetweb. An entry is
 * made before the first byte goes out, and ends before the socket is closed, so that no other process
 * has the port meanwhile. (When civetweb resets a connection, its port is free at once and its entry
 * ends in the proxy's next round.) Who reaches civetweb's port without the proxy has no entry.
 */
#ifndef TALLYD_HTTP_PROXY_CALLERS_H
#define TALLYD_HTTP_PROXY_CALLERS_H

#include "common/compiler.h"
#include "common/network.h"

#include <stdbool.h>
#include <stdint.h>

enum proxy_caller {
    PROXY_CALLER_NONE, /* nobody: a connection that did not come through the proxy */
    PROXY_CALLER_CLIENT,
    PROXY_CALLER_VERIFIED, /* has shown a certificate, and it was verified */
};

struct proxy_callers;

/* Nobody is behind any port. Returns NULL with errno ENOMEM. Called by: main. */
struct proxy_callers *proxy_callers_create(void) MUST_CHECK;

/* NULL does nothing. Called by: main. */
void proxy_callers_destroy(struct proxy_callers *callers);

/* Says who is behind a port, with the address as network_name_address() writes it; or that nobody
 * is any more. Called by: http, the proxy's thread. */
void proxy_callers_set(struct proxy_callers *callers, uint16_t port, enum proxy_caller caller,
                       const char name[NETWORK_NAME_BYTES]);
void proxy_callers_clear(struct proxy_callers *callers, uint16_t port);

/* Who is behind a connection that civetweb sees coming from `port` of 127.0.0.1. Called by: http,
 * while it serves that connection. */
enum proxy_caller proxy_callers_get(const struct proxy_callers *callers, int port);

/* Writes the address of who is behind such a port. Returns false, and writes nothing, when nobody
 * is. Any thread. */
bool proxy_callers_name(struct proxy_callers *callers, int port,
                        char name[NETWORK_NAME_BYTES]) MUST_CHECK;

#endif
