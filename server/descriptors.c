/* See descriptors.h. */
#include "server/descriptors.h"

#include <errno.h>
#include <sys/resource.h>

/* About 30 are open in a server that has no connections, and some more while files are read. */
#define BASE_FDS     64
#define FDS_A_WORKER 5 /* epoll, eventfds, its inbox */

/* Of HTTP, for each connection that is served at once: its socket and that of one that waits for a
 * thread. With TLS there is a proxy, which has two sockets more for each: the client's and its own
 * to civetweb. */
#define HTTP_FDS     2
#define HTTP_TLS_FDS 6

#define HTTP_LEAST 8 /* as --http-connections */

uint64_t descriptors_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return UINT64_MAX;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* what came of it counts, not what was asked for */
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

int descriptors_share(uint64_t limit, const struct descriptors_wanted *wanted,
                      struct descriptors *shares)
{
    uint64_t reserved = BASE_FDS + FDS_A_WORKER * (uint64_t)wanted->workers;
    uint64_t each = wanted->tls ? HTTP_TLS_FDS : HTTP_FDS;
    uint64_t http = each * wanted->http_connections, rest;

    *shares = (struct descriptors){.limit = reserved + 2 * each * HTTP_LEAST};
    if (limit < shares->limit)
        return -EMFILE;
    rest = limit - reserved;
    if (rest < http || rest - http < wanted->connections) {
        if (http > rest / 2)
            http = rest / 2;
    }
    *shares = (struct descriptors){
        .limit = limit,
        .connections = rest - http,
        .http_connections = http / each,
    };
    return 0;
}
