/* See listener_wake.h. To connect to the any-address is to connect to this host. */
#include "http/listener_wake.h"

#include "common/thread.h"

#include <inttypes.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 10

struct listener_wake {
    const char *host;
    char port[24];
    pthread_t thread;
    atomic_bool stop;
};

static void connect_once(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        /* It is under way, which is enough, or the port is closed already. */
    }
    close(fd);
}

static void *run(void *argument)
{
    static const struct timespec interval = {.tv_nsec = INTERVAL_MS * 1000000L};
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct listener_wake *wake = argument;
    struct addrinfo *addresses;

    if (getaddrinfo(wake->host, wake->port, &hints, &addresses) != 0)
        return NULL;
    while (!atomic_load(&wake->stop)) {
        connect_once(addresses);
        nanosleep(&interval, NULL);
    }
    freeaddrinfo(addresses);
    return NULL;
}

struct listener_wake *listener_wake_start(const char *host, uint64_t port)
{
    struct listener_wake *wake = calloc(1, sizeof *wake);

    if (!wake)
        return NULL;
    wake->host = host;
    snprintf(wake->port, sizeof wake->port, "%" PRIu64, port);
    if (thread_start(&wake->thread, THREAD_HTTP, "http-wake", run, wake) == 0)
        return wake;
    free(wake);
    return NULL;
}

void listener_wake_stop(struct listener_wake *wake)
{
    if (!wake)
        return;
    atomic_store(&wake->stop, true);
    pthread_join(wake->thread, NULL);
    free(wake);
}
