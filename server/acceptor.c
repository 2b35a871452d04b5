/* See acceptor.h. */
#include "server/acceptor.h"

#include "common/address_table.h"
#include "common/log.h"
#include "common/network.h"
#include "common/pressure.h"
#include "common/stats.h"
#include "common/thread.h"
#include "server/listener.h"
#include "server/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST       64 /* connections taken before main looks at its signals again */
#define TIGHT_BURST 8  /* while memory is short; main then pauses for a tenth of a second */

struct acceptor {
    struct acceptor_options options;
    int listener; /* -1: closed */
    struct address_table *addresses;
    struct log_limit accept_limit, full_limit, address_limit, busy_limit, memory_limit;
};

/* No more connections than there are descriptors for. */
static uint64_t bound_connections(const struct acceptor_options *options, uint64_t wanted)
{
    if (wanted <= options->descriptors)
        return wanted;
    log_warn("at most %" PRIu64 " connections, of the %" PRIu64
             " of --max-connections: the process "
             "may not open more files (ulimit -n)",
             options->descriptors, wanted);
    return options->descriptors;
}

struct acceptor *acceptor_create(const struct acceptor_options *options)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);
    int error;

    thread_assert_role(THREAD_MAIN);
    if (!acceptor)
        return NULL;
    acceptor->options = *options;
    acceptor->listener = listener_open(options->address, options->port);
    if (acceptor->listener < 0) {
        error = -acceptor->listener;
        goto err;
    }
    acceptor->options.max_connections = bound_connections(options, options->max_connections);
    stats_set(&options->stats->connections_limit, acceptor->options.max_connections);
    acceptor->addresses =
        address_table_create(&options->hash_key, (size_t)acceptor->options.max_connections);
    if (acceptor->addresses)
        return acceptor;
    error = ENOMEM;
err:
    acceptor_destroy(acceptor);
    errno = error;
    return NULL;
}

void acceptor_set_limits(struct acceptor *acceptor, uint64_t max_connections,
                         uint64_t max_connections_per_address)
{
    struct acceptor_options *options = &acceptor->options;

    thread_assert_role(THREAD_MAIN);
    options->max_connections = bound_connections(options, max_connections);
    stats_set(&options->stats->connections_limit, options->max_connections);
    options->max_connections_per_address = max_connections_per_address;
}

void acceptor_close(struct acceptor *acceptor)
{
    if (!acceptor || acceptor->listener < 0)
        return;
    close(acceptor->listener);
    acceptor->listener = -1;
}

void acceptor_destroy(struct acceptor *acceptor)
{
    thread_assert_role(THREAD_MAIN);
    if (!acceptor)
        return;
    acceptor_close(acceptor);
    address_table_destroy(acceptor->addresses);
    free(acceptor);
}

int acceptor_fd(const struct acceptor *acceptor)
{
    return acceptor->listener;
}

/* The worker that has the fewest connections; `total` gets how many all have. */
static struct worker *choose_worker(const struct acceptor *acceptor, uint64_t *total)
{
    struct worker *best = acceptor->options.workers[0];

    *total = 0;
    for (size_t i = 0; i < acceptor->options.worker_count; i++) {
        struct worker *worker = acceptor->options.workers[i];

        *total += worker_connections(worker);
        if (worker_connections(worker) < worker_connections(best))
            best = worker;
    }
    return best;
}

static void refuse_for_address(struct acceptor *acceptor, const struct sockaddr_storage *peer)
{
    char name[NETWORK_NAME_BYTES];

    network_name_address((const struct sockaddr *)peer, name);
    stats_add(&acceptor->options.stats->connections_refused_address, 1);
    log_event(LOG_WARN,
              &(struct log_about){.kind = "connection_refused_address",
                                  .peer = name,
                                  .limit = &acceptor->address_limit},
              "refused a connection: its address has %" PRIu64 " (--max-connections-per-address)",
              acceptor->options.max_connections_per_address);
}

/* When it could not be taken: -EAGAIN, the worker's inbox is full; or there is no memory. */
static void note_failure(struct acceptor *acceptor, int error)
{
    struct stats_main *stats = acceptor->options.stats;

    if (error == -EAGAIN) {
        stats_add(&stats->connections_refused_busy, 1);
        log_event(
            LOG_WARN,
            &(struct log_about){.kind = "connection_refused_busy", .limit = &acceptor->busy_limit},
            "refused a connection: the worker does not keep up");
    } else {
        stats_add(&stats->connections_refused_memory, 1);
        log_event(LOG_WARN,
                  &(struct log_about){.kind = "connection_refused_memory",
                                      .limit = &acceptor->memory_limit},
                  "refused a connection: %s", strerror(-error));
    }
}

static void give_away(struct acceptor *acceptor, int fd, const struct sockaddr_storage *peer)
{
    const struct acceptor_options *options = &acceptor->options;
    uint64_t total;
    struct worker *worker = choose_worker(acceptor, &total);
    struct address *address;
    int error;

    if (total >= options->max_connections) {
        close(fd);
        stats_add(&options->stats->connections_refused, 1);
        log_event(LOG_WARN,
                  &(struct log_about){.kind = "connection_refused", .limit = &acceptor->full_limit},
                  "refused a connection: %" PRIu64 " are open (--max-connections)", total);
        return;
    }
    address = address_table_take(acceptor->addresses, (const struct sockaddr *)peer,
                                 options->max_connections_per_address);
    error = address ? worker_give(worker, fd, address) : -errno;
    if (!address)
        close(fd);
    if (error == -EUSERS)
        refuse_for_address(acceptor, peer);
    else if (error)
        note_failure(acceptor, error);
}

bool acceptor_take(struct acceptor *acceptor)
{
    bool tight = pressure_level(acceptor->options.pressure) != PRESSURE_NONE;
    struct sockaddr_storage peer;

    thread_assert_role(THREAD_MAIN);
    for (int i = 0; i < (tight ? TIGHT_BURST : BURST); i++) {
        int fd = listener_accept(acceptor->listener, &peer);

        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
            log_event(
                LOG_WARN,
                &(struct log_about){.kind = "accept_failed", .limit = &acceptor->accept_limit},
                "cannot accept connections: %s", strerror(-fd));
            return false;
        }
        if (fd == -EAGAIN)
            return true;
        if (fd >= 0)
            give_away(acceptor, fd, &peer);
    }
    return !tight;
}
