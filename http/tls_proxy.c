/*
 * One thread has them all: it accepts (proxy_listener.c), shakes hands and carries (relay.c), keeps
 * who is connected (proxy_clients.c), and tells civetweb's threads who is behind the connections
 * that it makes to them (proxy_callers.c).
 *
 * Bounds: connections at once, past which whoever has not shaken hands for long makes room, and if
 * nobody has, further ones wait in the kernel's queue; and connections of one address, past which
 * they are closed.
 */
#include "http/tls_proxy.h"

#include "common/clock.h"
#include "common/network.h"
#include "common/thread.h"
#include "http/local_socket.h"
#include "http/proxy_callers.h"
#include "http/proxy_clients.h"
#include "http/proxy_listener.h"
#include "http/relay.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS     64
#define ACCEPTS    64                      /* in a row */
#define SWEEP_MS   PROXY_LISTENER_PAUSE_MS /* how late a time-out may be */
#define LAST_MS    500                     /* for the last answers */
#define PATIENT_MS 250 /* for a handshake, when others wait: some round trips across the world */

struct tls_proxy {
    struct tls_proxy_options options;
    int wake_fd, epoll_fd;
    uint16_t backend_port;
    pthread_t thread;
    bool running;
    atomic_bool stop;
    struct proxy_listener listener; /* the thread's, as are the clients */
    struct proxy_clients *clients;
    struct proxy_callers *callers;
    struct proxy_refusals refusals;
};

struct proxy_callers *tls_proxy_callers(const struct tls_proxy *proxy)
{
    return proxy ? proxy->callers : NULL;
}

uint64_t tls_proxy_refused(const struct tls_proxy *proxy, enum proxy_refusal reason)
{
    return proxy ? proxy_refusals_count(&proxy->refusals, reason) : 0;
}

/* ---- Clients -------------------------------------------------------------------------------- */

/* Before its socket is closed: from then on anybody on this host may be given the port. */
static void forget_port(struct tls_proxy *proxy, struct proxy_client *client)
{
    if (client->port)
        proxy_callers_clear(proxy->callers, client->port);
    client->port = 0;
}

static void remove_client(struct tls_proxy *proxy, struct proxy_client *client)
{
    forget_port(proxy, client);
    relay_fini(&client->relay);
    proxy_clients_remove(proxy->clients, client);
}

static enum relay_result connect_backend(struct tls_proxy *proxy, struct proxy_client *client)
{
    uint16_t port;
    int fd = local_socket_reach(proxy->backend_port, &port);

    if (fd < 0) {
        proxy_refusals_note_short(&proxy->refusals, client->name, fd);
        return RELAY_OVER;
    }
    client->port = port;
    proxy_callers_set(proxy->callers, port,
                      relay_is_verified(&client->relay) ? PROXY_CALLER_VERIFIED
                                                        : PROXY_CALLER_CLIENT,
                      client->name);
    return relay_connect(&client->relay, fd);
}

static void serve(struct tls_proxy *proxy, struct relay_end *end, uint32_t events)
{
    struct proxy_client *client = (struct proxy_client *)end->relay; /* its first member */
    enum relay_result result;

    if (client->removed)
        return;
    result = relay_handle(end, events);
    if (result == RELAY_SHAKEN)
        result = connect_backend(proxy, client);
    if (result == RELAY_ANSWERED || client->relay.backend.left)
        forget_port(proxy, client);
    if (result == RELAY_ANSWERED)
        result = relay_linger(&client->relay);
    if (result == RELAY_FAILED)
        proxy_refusals_note_tls(&proxy->refusals, client->name, client->relay.ssl);
    if (result != RELAY_GOES_ON)
        remove_client(proxy, client);
}

/* ---- Accepting ------------------------------------------------------------------------------ */

/* `error` is why proxy_clients_add() did not take it. */
static void note_refusal(struct tls_proxy *proxy, const struct sockaddr *address, int error)
{
    char name[NETWORK_NAME_BYTES];

    network_name_address(address, name);
    if (error == -EUSERS)
        proxy_refusals_note_address(&proxy->refusals, name);
    else
        proxy_refusals_note_short(&proxy->refusals, name, error);
}

static void accept_client(struct tls_proxy *proxy, int fd, const struct sockaddr *address)
{
    struct proxy_client *client = proxy_clients_add(proxy->clients, address);
    const int on = 1;
    int error;

    if (!client) {
        note_refusal(proxy, address, -errno);
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    error = relay_init(&client->relay, proxy->epoll_fd, fd, proxy->options.context,
                       proxy->options.handshake_timeout_ms);
    if (error) {
        proxy_refusals_note_short(&proxy->refusals, client->name, error);
        remove_client(proxy, client);
    } else {
        serve(proxy, &client->relay.client, 0);
    }
}

/* Closes the handshake that has waited longest, if it has for long. Clients stand in the order in
 * which they came. */
static bool make_room(struct tls_proxy *proxy)
{
    uint64_t wait_ms = proxy->options.handshake_timeout_ms;
    struct proxy_client *client = proxy_clients_first(proxy->clients);

    while (client && client->relay.stage != RELAY_HANDSHAKE)
        client = proxy_clients_next(client);
    if (!client || clock_now_ms() + wait_ms < client->relay.deadline_ms + PATIENT_MS)
        return false;
    proxy_refusals_note_slow(&proxy->refusals, client->name, "when no more connections were left");
    remove_client(proxy, client);
    return true;
}

/* True when one more may be accepted. Room is made for the first only, of whom it is known that
 * somebody waits. */
static bool has_room(struct tls_proxy *proxy, bool first)
{
    if (proxy_clients_count(proxy->clients) < proxy->options.connections)
        return true;
    if (!first)
        return false;
    if (make_room(proxy))
        return true;
    proxy_listener_pause(&proxy->listener); /* until the next sweep */
    return false;
}

static void accept_clients(struct tls_proxy *proxy)
{
    for (int i = 0; i < ACCEPTS && has_room(proxy, i == 0); i++) {
        struct sockaddr_storage address;
        int fd = proxy_listener_accept(&proxy->listener, &address);

        if (fd == -EAGAIN)
            return;
        if (fd >= 0)
            accept_client(proxy, fd, (const struct sockaddr *)&address);
    }
}

/* ---- The thread ----------------------------------------------------------------------------- */

/* Ends what is late, and takes connections again. */
static void sweep(struct tls_proxy *proxy, uint64_t now_ms)
{
    struct proxy_client *client = proxy_clients_first(proxy->clients), *next;

    for (; client; client = next) {
        next = proxy_clients_next(client);
        if (!client->relay.deadline_ms || now_ms < client->relay.deadline_ms)
            continue;
        if (client->relay.stage == RELAY_HANDSHAKE)
            proxy_refusals_note_slow(&proxy->refusals, client->name, "in --handshake-timeout-ms");
        remove_client(proxy, client);
    }
    if (!atomic_load(&proxy->stop)) /* even when all are taken: somebody may make room */
        proxy_listener_resume(&proxy->listener);
}

static void take_events(struct tls_proxy *proxy)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(proxy->epoll_fd, events, EVENTS, SWEEP_MS);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &proxy->listener)
            accept_clients(proxy);
        else if (events[i].data.ptr)
            serve(proxy, events[i].data.ptr, events[i].events);
    }
    proxy_clients_free_removed(proxy->clients);
}

/* True while somebody has not got all of an answer. */
static bool has_answers(const struct tls_proxy *proxy)
{
    const struct proxy_client *client = proxy_clients_first(proxy->clients);

    while (client && client->relay.stage != RELAY_CARRIES)
        client = proxy_clients_next(client);
    return client;
}

static void *run(void *argument)
{
    struct tls_proxy *proxy = argument;
    uint64_t sweep_ms = 0, last_ms;

    thread_stand_back();
    while (!atomic_load(&proxy->stop)) {
        uint64_t now_ms;

        take_events(proxy);
        now_ms = clock_now_ms();
        if (now_ms >= sweep_ms) {
            sweep(proxy, now_ms);
            sweep_ms = now_ms + SWEEP_MS;
        }
    }
    proxy_listener_pause(&proxy->listener);
    epoll_ctl(proxy->epoll_fd, EPOLL_CTL_DEL, proxy->wake_fd, NULL);
    for (last_ms = clock_now_ms() + LAST_MS; has_answers(proxy) && clock_now_ms() < last_ms;)
        take_events(proxy);
    return NULL;
}

/* ---- Start and stop ------------------------------------------------------------------------- */

/* Returns 0 or a negative errno. */
static int open_all(struct tls_proxy *proxy)
{
    const struct tls_proxy_options *options = &proxy->options;
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};
    int error;

    proxy->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (proxy->epoll_fd < 0)
        return -errno;
    error = proxy_listener_open(&proxy->listener, options->bind, options->port, proxy->epoll_fd);
    if (error)
        return error;
    proxy->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (proxy->wake_fd < 0 || epoll_ctl(proxy->epoll_fd, EPOLL_CTL_ADD, proxy->wake_fd, &wake))
        return -errno;
    proxy->callers = proxy_callers_create();
    if (!proxy->callers)
        return -errno;
    proxy->clients = proxy_clients_create(&options->hash_key, options->connections,
                                          options->connections_per_address);
    return proxy->clients ? 0 : -errno;
}

static void explain_failure(const struct tls_proxy_options *options, int error,
                            char text[ERROR_BYTES])
{
    if (error == -EADDRINUSE)
        snprintf(text, ERROR_BYTES,
                 "HTTP port %" PRIu64 " on %.64s is in use: stop the program that holds it, or "
                 "choose another one with --http-port",
                 options->port, options->bind);
    else
        snprintf(text, ERROR_BYTES, "HTTP cannot listen on port %" PRIu64 " of %.64s: %s",
                 options->port, options->bind, strerror(-error));
}

struct tls_proxy *tls_proxy_create(const struct tls_proxy_options *options, char error[ERROR_BYTES])
{
    struct tls_proxy *proxy = calloc(1, sizeof *proxy);
    int result = -ENOMEM;

    thread_assert_role(THREAD_MAIN);
    if (proxy) {
        proxy->options = *options;
        proxy->listener.fd = proxy->epoll_fd = proxy->wake_fd = -1;
        result = open_all(proxy);
    }
    if (!result)
        return proxy;
    explain_failure(options, result, error);
    tls_proxy_destroy(proxy);
    return NULL;
}

int tls_proxy_start(struct tls_proxy *proxy, uint16_t backend_port)
{
    int error;

    proxy->backend_port = backend_port;
    error = thread_start(&proxy->thread, THREAD_HTTP, "http-tls", run, proxy);
    proxy->running = !error;
    return error;
}

void tls_proxy_destroy(struct tls_proxy *proxy)
{
    struct proxy_client *client;

    if (!proxy)
        return;
    atomic_store(&proxy->stop, true);
    if (proxy->running) {
        eventfd_write(proxy->wake_fd, 1);
        pthread_join(proxy->thread, NULL);
    }
    while (proxy->clients && (client = proxy_clients_first(proxy->clients)))
        remove_client(proxy, client);
    proxy_clients_destroy(proxy->clients);
    proxy_callers_destroy(proxy->callers);
    proxy_listener_close(&proxy->listener);
    if (proxy->wake_fd >= 0)
        close(proxy->wake_fd);
    if (proxy->epoll_fd >= 0)
        close(proxy->epoll_fd);
    free(proxy);
}
