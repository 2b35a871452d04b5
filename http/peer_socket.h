/* The socket below a connection of civetweb's, which offers no way to it. */
#ifndef TALLYD_HTTP_PEER_SOCKET_H
#define TALLYD_HTTP_PEER_SOCKET_H

#include "common/compiler.h"

struct mg_connection;

/* Finds the socket of `connection`, which remains civetweb's: it is valid until the handler
 * returns. Returns its descriptor, or a negative errno: -ENOENT, -ENOTUNIQ when there is
 * another like it, or that of opendir(). Called by: http, the thread that serves the
 * connection. */
int peer_socket_find(struct mg_connection *connection) MUST_CHECK;

/* Bounds what the kernel holds of an answer that the client does not take: a write is held up once
 * about `bytes` wait to be sent, where it would else be after some MiB. */
void peer_socket_bound_unsent(int socket, int bytes);

/* Ends both directions, so that a write that is held up fails at once. Any thread, while the
 * descriptor is valid. */
void peer_socket_shut(int socket);

#endif
