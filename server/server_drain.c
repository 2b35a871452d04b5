/* The end of a server, in the order that the promises ask for: what was counted is committed, and
 * who was counted is told, before anything closes. */
#include "aggregator/flusher.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "http/http.h"
#include "server/acceptor.h"
#include "server/server_private.h"
#include "server/signals.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>

#define DRAIN_POLL_MS 5

/* Until the workers have sent their second GOAWAY, which tells the last stream that is served. */
#define ANNOUNCE_MS 150

void server_set_stage(struct server *server, enum worker_stage stage)
{
    for (size_t i = 0; i < server->workers_running; i++)
        worker_set_stage(server->workers[i], stage);
}

void server_end_workers(struct server *server)
{
    server_set_stage(server, WORKER_STOPPING);
    for (; server->workers_running; server->workers_running--)
        worker_join(server->workers[server->workers_running - 1]);
}

static uint64_t open_streams(const struct server *server)
{
    uint64_t total = 0;

    for (size_t i = 0; i < server->worker_count; i++)
        total += worker_streams(server->workers[i]);
    return total;
}

static uint64_t open_connections(const struct server *server)
{
    uint64_t total = 0;

    for (size_t i = 0; i < server->worker_count; i++)
        total += worker_connections(server->workers[i]);
    return total;
}

/* Waits until no stream is open, and none is on its way: on a connection that is idle, a client may
 * be about to begin one until `announced_ms`. At most until `deadline_ms`. What is open may bring
 * new devices, so memory is looked at. False when a signal or the flusher says that there is no
 * point in waiting longer. */
static bool wait_for_streams(struct server *server, uint64_t announced_ms, uint64_t deadline_ms,
                             int signal_fd)
{
    struct pollfd fds[] = {
        {.fd = signal_fd, .events = POLLIN},
        {.fd = server->event_fd, .events = POLLIN},
    };

    while (clock_now_ms() < deadline_ms &&
           (open_streams(server) || (clock_now_ms() < announced_ms && open_connections(server)))) {
        server_sample_memory(server, clock_now_ms());
        if (poll(fds, 2, DRAIN_POLL_MS) > 0 && (fds[1].revents || signals_take_end(signal_fd)))
            return false;
    }
    return true;
}

static enum server_end report(const struct flusher_result *left)
{
    if (left->packets)
        log_error("%" PRIu64 " packets of %" PRIu64 " devices were never committed to Redis, and "
                  "none of them acknowledged%s",
                  left->packets, left->devices,
                  left->unknown ? " (the last transaction was sent, but its outcome is not known)"
                                : "");
    if (left->fenced)
        return SERVER_FENCED;
    if (left->packets)
        return SERVER_NOT_COMMITTED;
    log_info("all is committed; goodbye");
    return SERVER_COMMITTED;
}

enum server_end server_drain(struct server *server, int signal_fd)
{
    uint64_t timeout = server->config->drain_timeout_ms, start = clock_now_ms();
    uint64_t deadline = start + timeout;
    struct flusher_result left;

    thread_assert_role(THREAD_MAIN);
    log_info("draining: open streams (%" PRIu64 ") get %" PRIu64
             " ms, the last commit until %" PRIu64 " ms",
             open_streams(server), timeout - timeout / 4, timeout);
    /* 1. No new connections, no new streams; /readyz says so. */
    atomic_store(&server->draining, true);
    acceptor_close(server->acceptor);
    server_set_stage(server, WORKER_DRAINING);
    /* 2. Streams end by themselves; a quarter of the time is kept for those that do not. */
    if (!wait_for_streams(server, start + ANNOUNCE_MS, deadline - timeout / 4, signal_fd))
        deadline = clock_now_ms();
    server_set_stage(server, WORKER_INTERRUPT);
    if (!wait_for_streams(server, 0, deadline, signal_fd))
        deadline = clock_now_ms();
    /* 3. The last cut and the last commit, while the workers can still answer. */
    left = flusher_stop(server->flusher, deadline);
    /* 4. The last answers. */
    server_end_workers(server);
    /* 5. HTTP last: it can be asked until the end. */
    http_stop(server->http);
    server->http = NULL;
    return report(&left);
}
