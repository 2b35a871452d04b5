/*
 * Which handler answers which path, and all that is wrong with a request before one is asked.
 * Called by: http.
 */
#ifndef TALLYD_HTTP_ROUTER_H
#define TALLYD_HTTP_ROUTER_H

struct http_shared;
struct mg_connection;

/* Answers the request that `connection` brought. Returns the HTTP status sent. */
int router_handle(struct mg_connection *connection, const struct http_shared *shared);

/* Answers a request that civetweb could not read, with the status and the words it chose, and
 * closes the connection. */
void router_handle_unreadable(struct mg_connection *connection, const struct http_shared *shared,
                              int status, const char *message);

#endif
