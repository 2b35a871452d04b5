/* Sockets on this host: one that listens, and one to another port of 127.0.0.1. Neither blocks. */
#ifndef TALLYD_HTTP_LOCAL_SOCKET_H
#define TALLYD_HTTP_LOCAL_SOCKET_H

#include "common/compiler.h"

#include <stdint.h>

/* Opens a listening socket on an IPv4 or IPv6 address; "::" is IPv4 as well. The caller closes it.
 * Returns it, or a negative errno. Any thread. */
int local_socket_listen(const char *address, uint64_t port) MUST_CHECK;

/* Begins to connect to a port of 127.0.0.1; `own_port` is where from. The caller closes the socket.
 * Returns it, or a negative errno. Any thread. */
int local_socket_reach(uint16_t port, uint16_t *own_port) MUST_CHECK;

#endif
