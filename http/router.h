/*
 * Which handler answers which path, and all that is wrong with a request before one is asked.
 * Called by: http.
 */
#ifndef TALLYD_HTTP_ROUTER_H
#define TALLYD_HTTP_ROUTER_H

#include "http/auth.h"

#include <stdint.h>

struct http_shared;
struct mg_connection;

/* Reads --http-public; `set` is for http_shared.public_routes. Returns 0, or -EINVAL with `error`.
 * Called by: main. */
int router_read_public(const char *list, uint64_t *set, char error[ERROR_BYTES]) MUST_CHECK;

/* Answers the request that `connection` brought. Returns the HTTP status sent. */
int router_handle(struct mg_connection *connection, const struct http_shared *shared);

/* Answers a request that civetweb could not read, with the status and the words it chose, and
 * closes the connection. */
void router_handle_unreadable(struct mg_connection *connection, const struct http_shared *shared,
                              int status, const char *message);

#endif
