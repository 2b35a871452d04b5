/* See acceptor.h. */
#include "server/acceptor.h"

#include "common/log.h"
#include "server/listener.h"
#include "server/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_CONNECTIONS 16384 /* about 25 KB each in nghttp2: 400 MB */
#define SPARE_FDS       192   /* for the rest: two for each HTTP thread, Redis, logs */
#define FDS_A_WORKER    4     /* epoll, eventfd, both ends of the inbox */
#define BURST           64    /* connections taken before main looks at its signals again */

struct acceptor {
    int listener;
    struct worker *const *workers;
    size_t worker_count;
    uint64_t max_connections;
    struct log_limit limit;
};

/* As many descriptors as the machine allows, and no more connections than leave some to spare: a
 * flood of connections must not keep the flusher from reaching Redis. */
static uint64_t bound_connections(size_t worker_count)
{
    uint64_t reserved = SPARE_FDS + FDS_A_WORKER * worker_count, files, most;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return MAX_CONNECTIONS;
    files = limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (files == RLIM_INFINITY || files >= MAX_CONNECTIONS + reserved)
        return MAX_CONNECTIONS;
    most = files > reserved ? files - reserved : 1;
    log_warn("at most %" PRIu64 " connections: the process may open %" PRIu64 " files (ulimit -n)",
             most, files);
    return most;
}

struct acceptor *acceptor_create(const char *address, uint16_t port, struct worker *const *workers,
                                 size_t worker_count)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);

    if (!acceptor)
        return NULL;
    acceptor->listener = listener_open(address, port);
    if (acceptor->listener < 0) {
        errno = -acceptor->listener;
        free(acceptor);
        return NULL;
    }
    acceptor->workers = workers;
    acceptor->worker_count = worker_count;
    acceptor->max_connections = bound_connections(worker_count);
    return acceptor;
}

void acceptor_destroy(struct acceptor *acceptor)
{
    if (!acceptor)
        return;
    close(acceptor->listener);
    free(acceptor);
}

int acceptor_fd(const struct acceptor *acceptor)
{
    return acceptor->listener;
}

static void give_away(struct acceptor *acceptor, int fd)
{
    struct worker *best = acceptor->workers[0];
    uint64_t total = 0;

    for (size_t i = 0; i < acceptor->worker_count; i++) {
        struct worker *worker = acceptor->workers[i];

        total += worker_connections(worker);
        if (worker_connections(worker) < worker_connections(best))
            best = worker;
    }
    if (total >= acceptor->max_connections) {
        close(fd);
        if (log_limit_allows(&acceptor->limit))
            log_warn("refused a connection: %" PRIu64 " are open", total);
    } else if (worker_give(best, fd) && log_limit_allows(&acceptor->limit)) {
        log_warn("refused a connection: the worker does not keep up");
    }
}

bool acceptor_take(struct acceptor *acceptor)
{
    for (int i = 0; i < BURST; i++) {
        int fd = listener_accept(acceptor->listener);

        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
            if (log_limit_allows(&acceptor->limit))
                log_warn("cannot accept connections: %s", strerror(-fd));
            return false;
        }
        if (fd == -EAGAIN)
            return true;
        if (fd >= 0)
            give_away(acceptor, fd);
    }
    return true;
}
