/* One request, as the router hands it to the handler of its path. Lives on the stack of the HTTP
 * thread that serves it. */
#ifndef TALLYD_HTTP_REQUEST_H
#define TALLYD_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct count_source;
struct health;
struct http_options;
struct mg_connection;
struct reader;

/* What all requests share; it outlives them. */
struct http_shared {
    const struct http_options *options;
    struct reader *reader;
    struct health *health;
    uint64_t started_ms; /* by clock_now_ms() */
};

struct request {
    struct mg_connection *connection;
    const struct http_shared *shared;
    struct count_source *source; /* the thread's own connection to Redis */
    const char *path;            /* as it was sent: percent-encoded, without the query */
    bool head;                   /* HEAD: the same answer as for GET, without its body */
    bool keep_alive;             /* the connection stays open after the answer */
    bool http10;                 /* an HTTP/1.0 client, which knows no chunks */
};

#endif
