/*
 * Who a request comes from is told by the port of this host from which the relay reached civetweb:
 * `callers` says who is behind it from before the first byte goes out until before the socket is
 * closed, so no other process can have that port meanwhile. Who reaches civetweb's port without the
 * proxy is in no entry.
 *
 * Bounds: connections at once, past which whoever has not shaken hands for long makes room, and if
 * nobody has, further ones wait in the kernel's queue; and connections of one address, past which
 * they are closed.
 */
#include "http/tls_proxy.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/network.h"
#include "common/thread.h"
#include "common/tls.h"
#include "http/local_socket.h"
#include "http/proxy_clients.h"
#include "http/relay.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS     64
#define ACCEPTS    64  /* in a row */
#define SWEEP_MS   200 /* how late a time-out may be; and how long accepting pauses */
#define LAST_MS    500 /* for the last answers */
#define PATIENT_MS 250 /* for a handshake, when others wait: some round trips across the world */
#define PORTS      65536

struct tls_proxy {
    struct tls_proxy_options options;
    int listener, wake_fd, epoll_fd;
    bool accepting; /* the listener is watched */
    uint16_t backend_port;
    pthread_t thread;
    bool running;
    atomic_bool stop;
    struct proxy_clients *clients;               /* the thread's */
    struct log_limit refused, crowded, short_of; /* a kind of line each */
    struct log_limit paused;
    _Atomic uint64_t refusals[TLS_PROXY_REFUSALS]; /* written by the thread alone */
    _Atomic uint8_t callers[PORTS];                /* enum tls_proxy_caller; the thread writes */
    pthread_mutex_t lock;                          /* of the names; nothing is taken under it */
    char names[PORTS][NETWORK_NAME_BYTES];         /* of the others' addresses */
};

/* civetweb asks when it has read a request, whose first byte went out after its port was set: the
 * kernel, which carried it, keeps the order. */
enum tls_proxy_caller tls_proxy_caller(const struct tls_proxy *proxy, int port)
{
    return port > 0 && port < PORTS ? atomic_load(&proxy->callers[port]) : TLS_PROXY_NONE;
}

static void set_caller(struct tls_proxy *proxy, uint16_t port, enum tls_proxy_caller caller)
{
    atomic_store(&proxy->callers[port], (uint8_t)caller);
}

static void set_name(struct tls_proxy *proxy, uint16_t port, const char name[NETWORK_NAME_BYTES])
{
    pthread_mutex_lock(&proxy->lock);
    memcpy(proxy->names[port], name, NETWORK_NAME_BYTES);
    pthread_mutex_unlock(&proxy->lock);
}

bool tls_proxy_name_client(struct tls_proxy *proxy, int port, char name[NETWORK_NAME_BYTES])
{
    if (tls_proxy_caller(proxy, port) == TLS_PROXY_NONE)
        return false;
    pthread_mutex_lock(&proxy->lock);
    memcpy(name, proxy->names[port], NETWORK_NAME_BYTES);
    pthread_mutex_unlock(&proxy->lock);
    return true;
}

static void note_refusal(struct tls_proxy *proxy, enum tls_proxy_refusal reason)
{
    atomic_fetch_add_explicit(&proxy->refusals[reason], 1, memory_order_relaxed);
}

uint64_t tls_proxy_refused(const struct tls_proxy *proxy, enum tls_proxy_refusal reason)
{
    return proxy ? atomic_load_explicit(&proxy->refusals[reason], memory_order_relaxed) : 0;
}

/* ---- Clients -------------------------------------------------------------------------------- */

static void watch_listener(struct tls_proxy *proxy, bool accepting)
{
    struct epoll_event event = {.events = accepting ? EPOLLIN : 0, .data.ptr = &proxy->listener};

    if (accepting != proxy->accepting &&
        !epoll_ctl(proxy->epoll_fd, EPOLL_CTL_MOD, proxy->listener, &event))
        proxy->accepting = accepting;
}

/* Once the socket is closed, anybody on this host may be given its port. */
static void remove_client(struct tls_proxy *proxy, struct proxy_client *client)
{
    if (client->port)
        set_caller(proxy, client->port, TLS_PROXY_NONE);
    relay_fini(&client->relay);
    proxy_clients_remove(proxy->clients, client);
}

/* Those who connect and leave without a word, as load balancers do, are not worth a line. */
static void log_refusal(struct tls_proxy *proxy, const struct proxy_client *client)
{
    const struct log_about about = {
        .kind = "http_tls", .peer = client->name, .limit = &proxy->refused};
    char reason[ERROR_BYTES];

    tls_handshake_error(client->relay.ssl, reason);
    if (BIO_number_read(SSL_get_rbio(client->relay.ssl)) == 0)
        return;
    note_refusal(proxy, TLS_PROXY_REFUSED_TLS);
    log_event(LOG_WARN, &about, "TLS with a client of HTTP failed: %s", reason);
}

/* Sends somebody away for want of memory or descriptors; `error` is a negative errno. */
static void refuse_for_want(struct tls_proxy *proxy, const char *name, int error)
{
    note_refusal(proxy, TLS_PROXY_REFUSED_SHORT);
    log_event(LOG_WARN,
              &(struct log_about){.kind = "http_short", .peer = name, .limit = &proxy->short_of},
              "HTTP: a client of TLS cannot be served: %s", strerror(-error));
}

static void refuse_as_slow(struct tls_proxy *proxy, const struct proxy_client *client,
                           const char *when)
{
    const struct log_about about = {
        .kind = "http_tls", .peer = client->name, .limit = &proxy->refused};

    note_refusal(proxy, TLS_PROXY_REFUSED_TLS);
    log_event(LOG_WARN, &about, "a client of HTTP had not ended its TLS handshake %s", when);
}

static enum relay_result connect_backend(struct tls_proxy *proxy, struct proxy_client *client)
{
    uint16_t port;
    int fd = local_socket_reach(proxy->backend_port, &port);

    if (fd < 0) {
        refuse_for_want(proxy, client->name, fd);
        return RELAY_OVER;
    }
    client->port = port;
    set_name(proxy, port, client->name);
    set_caller(proxy, port,
               relay_is_verified(&client->relay) ? TLS_PROXY_VERIFIED : TLS_PROXY_CLIENT);
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
    if (result == RELAY_FAILED)
        log_refusal(proxy, client);
    if (result != RELAY_GOES_ON)
        remove_client(proxy, client);
}

/* ---- Accepting ------------------------------------------------------------------------------ */

/* `error` is why proxy_clients_add() did not take it. */
static void refuse(struct tls_proxy *proxy, const struct sockaddr *address, int error)
{
    char name[NETWORK_NAME_BYTES];

    network_name_address(address, name);
    if (error != -EUSERS) {
        refuse_for_want(proxy, name, error);
        return;
    }
    note_refusal(proxy, TLS_PROXY_REFUSED_ADDRESS);
    log_event(LOG_WARN,
              &(struct log_about){.kind = "http_crowd", .peer = name, .limit = &proxy->crowded},
              "HTTP: a connection was closed, since --http-connections-per-address are open");
}

/* Begins with a connection. */
static void accept_client(struct tls_proxy *proxy, int fd, const struct sockaddr *address)
{
    struct proxy_client *client = proxy_clients_add(proxy->clients, address);
    const int on = 1;
    int error;

    if (!client) {
        refuse(proxy, address, -errno);
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    error = relay_init(&client->relay, proxy->epoll_fd, fd, proxy->options.context,
                       proxy->options.handshake_timeout_ms);
    if (error) {
        refuse_for_want(proxy, client->name, error);
        remove_client(proxy, client);
    } else {
        serve(proxy, &client->relay.client, 0);
    }
}

/* Who connects waits in the kernel's queue until the next sweep. */
static void pause_for_want(struct tls_proxy *proxy, int error)
{
    watch_listener(proxy, false);
    log_event(LOG_WARN, &(struct log_about){.kind = "http_paused", .limit = &proxy->paused},
              "HTTP takes no connection for %d ms: %s", SWEEP_MS, strerror(-error));
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
    refuse_as_slow(proxy, client, "when no more connections were left");
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
    watch_listener(proxy, false); /* until the next sweep */
    return false;
}

static void accept_some(struct tls_proxy *proxy)
{
    for (int i = 0; i < ACCEPTS && has_room(proxy, i == 0); i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int fd;

        fd = accept4(proxy->listener, (struct sockaddr *)&address, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_client(proxy, fd, (const struct sockaddr *)&address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_for_want(proxy, -errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
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
            refuse_as_slow(proxy, client, "in --handshake-timeout-ms");
        remove_client(proxy, client);
    }
    if (!atomic_load(&proxy->stop)) /* even when all are taken: somebody may make room */
        watch_listener(proxy, true);
}

static void take_events(struct tls_proxy *proxy)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(proxy->epoll_fd, events, EVENTS, SWEEP_MS);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &proxy->listener)
            accept_some(proxy);
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
    watch_listener(proxy, false);
    epoll_ctl(proxy->epoll_fd, EPOLL_CTL_DEL, proxy->wake_fd, NULL);
    for (last_ms = clock_now_ms() + LAST_MS; has_answers(proxy) && clock_now_ms() < last_ms;)
        take_events(proxy);
    return NULL;
}

/* ---- Start and stop ------------------------------------------------------------------------- */

static int watch_own(struct tls_proxy *proxy)
{
    struct epoll_event listener = {.events = EPOLLIN, .data.ptr = &proxy->listener};
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};

    proxy->accepting = true;
    return epoll_ctl(proxy->epoll_fd, EPOLL_CTL_ADD, proxy->listener, &listener) ||
                   epoll_ctl(proxy->epoll_fd, EPOLL_CTL_ADD, proxy->wake_fd, &wake)
               ? -errno
               : 0;
}

/* Returns 0 or a negative errno. */
static int open_all(struct tls_proxy *proxy)
{
    const struct tls_proxy_options *options = &proxy->options;

    proxy->listener = local_socket_listen(options->bind, options->port);
    if (proxy->listener < 0)
        return proxy->listener;
    proxy->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (proxy->epoll_fd < 0)
        return -errno;
    proxy->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (proxy->wake_fd < 0)
        return -errno;
    proxy->clients = proxy_clients_create(&options->hash_key, options->connections,
                                          options->connections_per_address);
    return proxy->clients ? watch_own(proxy) : -errno;
}

struct tls_proxy *tls_proxy_create(const struct tls_proxy_options *options, char error[ERROR_BYTES])
{
    struct tls_proxy *proxy = calloc(1, sizeof *proxy);
    int result = -ENOMEM;

    thread_assert_role(THREAD_MAIN);
    if (proxy) {
        proxy->options = *options;
        proxy->listener = proxy->epoll_fd = proxy->wake_fd = -1;
        pthread_mutex_init(&proxy->lock, NULL);
        result = open_all(proxy);
    }
    if (!result)
        return proxy;
    if (result == -EADDRINUSE)
        snprintf(error, ERROR_BYTES,
                 "HTTP port %" PRIu64 " on %.64s is in use: stop the program that holds it, or "
                 "choose another one with --http-port",
                 options->port, options->bind);
    else
        snprintf(error, ERROR_BYTES, "HTTP cannot listen on port %" PRIu64 " of %.64s: %s",
                 options->port, options->bind, strerror(-result));
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
    if (proxy->listener >= 0)
        close(proxy->listener);
    if (proxy->wake_fd >= 0)
        close(proxy->wake_fd);
    if (proxy->epoll_fd >= 0)
        close(proxy->epoll_fd);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}
