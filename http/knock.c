/* See knock.h. To connect to the any-address is to connect to this host. */
#include "http/knock.h"

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

struct knock {
    const char *host;
    char port[24];
    pthread_t thread;
    atomic_bool stop;
};

static void knock_once(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        /* It is under way, which is enough, or the door is closed already. */
    }
    close(fd);
}

static void *run(void *argument)
{
    static const struct timespec interval = {.tv_nsec = INTERVAL_MS * 1000000L};
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct knock *knock = argument;
    struct addrinfo *addresses;

    if (getaddrinfo(knock->host, knock->port, &hints, &addresses) != 0)
        return NULL;
    while (!atomic_load(&knock->stop)) {
        knock_once(addresses);
        nanosleep(&interval, NULL);
    }
    freeaddrinfo(addresses);
    return NULL;
}

struct knock *knock_start(const char *host, uint64_t port)
{
    struct knock *knock = calloc(1, sizeof *knock);

    if (!knock)
        return NULL;
    knock->host = host;
    snprintf(knock->port, sizeof knock->port, "%" PRIu64, port);
    if (thread_start(&knock->thread, THREAD_HTTP, "http-knock", run, knock) == 0)
        return knock;
    free(knock);
    return NULL;
}

void knock_stop(struct knock *knock)
{
    if (!knock)
        return;
    atomic_store(&knock->stop, true);
    pthread_join(knock->thread, NULL);
    free(knock);
}
