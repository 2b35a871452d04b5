/* One request, as the router hands it to the handler of its path. Lives on the stack of the HTTP
 * thread that serves it. */
#ifndef TALLYD_HTTP_REQUEST_H
#define TALLYD_HTTP_REQUEST_H

#include "http/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_HEADERS_BYTES 2048

struct connection_limiter;
struct events;
struct health;
struct http_options;
struct lookup;
struct principal;
struct mg_connection;
struct rates;
struct reader;
struct response_counts;
struct tls_proxy;

/* What all requests share; it outlives them. */
struct http_shared {
    const struct http_options *options;
    struct reader *reader; /* all counts, as a snapshot */
    struct lookup *lookup; /* the count of one device, and whether Redis is there */
    struct rates *rates;   /* packets a second, over the last minutes */
    struct events *events; /* the listeners of /events */
    struct health *health;
    struct connection_limiter *limiter;
    struct tls_proxy *tls_proxy;       /* through which all come; NULL: no TLS */
    struct response_counts *responses; /* by status */
    uint64_t etag_seed;                /* random, so that no ETag outlives the process */
    uint64_t started_ms;               /* by clock_now_ms() */
    uint64_t public_routes;            /* a bit a route; see router_read_public() */
};

struct request {
    struct mg_connection *connection;
    const struct http_shared *shared;
    const char *path;   /* as it was sent: percent-encoded, without the query */
    struct query query; /* its parameters are all known to the path */
    bool head;          /* HEAD: the same answer as for GET, without its body */
    bool keep_alive;    /* the connection stays open after the answer */
    bool http10;        /* an HTTP/1.0 client, which knows no chunks */
    bool gzip;          /* the client takes bodies compressed by gzip */

    char headers[REQUEST_HEADERS_BYTES]; /* lines for the answer's head; see reply_header() */
    size_t headers_used;

    const struct principal *principal; /* whose token it brought; NULL: none was needed */
    uint64_t token_generation;         /* when that was looked up */
};

#endif
