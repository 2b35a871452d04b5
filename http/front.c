/*
 * Who a request comes from is told by the port of this host from which the relay reached civetweb:
 * `guests` has the relay's guest there from before the first byte goes out until after the socket
 * is closed, so no other process can have that port meanwhile. Who reaches civetweb's port without
 * the front is in no entry, and is a stranger.
 *
 * Bounds: connections at once, past which further ones wait in the kernel's queue, and connections
 * of one address, past which they are closed.
 */
#include "http/front.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/network.h"
#include "common/thread.h"
#include "common/tls.h"
#include "http/local_socket.h"
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
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS   64
#define ACCEPTS  64  /* in a row */
#define SWEEP_MS 200 /* how late a time-out may be; and how long accepting pauses */
#define LAST_MS  500 /* for the last answers */
#define PORTS    65536

struct guest {
    struct relay relay;
    TAILQ_ENTRY(guest) link;
    struct network network;
    char address[NETWORK_NAME_BYTES];
    uint16_t port; /* of `guests`; 0: none yet */
    bool verified, gone;
};

TAILQ_HEAD(guest_list, guest);

struct front {
    struct front_options options;
    int listener, wake_fd, epoll_fd;
    bool accepting; /* the listener is watched */
    uint16_t backend_port;
    pthread_t thread;
    bool running;
    atomic_bool stop;
    struct guest_list here, gone; /* the thread's; `gone` are freed after the events of a round */
    size_t count;                 /* of `here` */
    struct log_limit refused, crowded;
    _Atomic uint64_t refusals[FRONT_REFUSALS]; /* written by the thread alone */

    pthread_mutex_t lock; /* of `guests` and of what front_caller() reads there */
    struct guest *guests[PORTS];
};

enum front_caller front_caller(struct front *front, int port)
{
    enum front_caller caller = FRONT_STRANGER;
    const struct guest *guest;

    if (port <= 0 || port >= PORTS)
        return caller;
    pthread_mutex_lock(&front->lock);
    guest = front->guests[port];
    if (guest)
        caller = guest->verified ? FRONT_VERIFIED : FRONT_CLIENT;
    pthread_mutex_unlock(&front->lock);
    return caller;
}

static void set_guest(struct front *front, uint16_t port, struct guest *guest)
{
    pthread_mutex_lock(&front->lock);
    front->guests[port] = guest;
    pthread_mutex_unlock(&front->lock);
}

static void note_refusal(struct front *front, enum front_refusal reason)
{
    atomic_fetch_add_explicit(&front->refusals[reason], 1, memory_order_relaxed);
}

uint64_t front_refused(const struct front *front, enum front_refusal reason)
{
    return front ? atomic_load_explicit(&front->refusals[reason], memory_order_relaxed) : 0;
}

/* ---- Guests --------------------------------------------------------------------------------- */

static void watch_listener(struct front *front, bool accepting)
{
    struct epoll_event event = {.events = accepting ? EPOLLIN : 0, .data.ptr = &front->listener};

    if (accepting != front->accepting &&
        !epoll_ctl(front->epoll_fd, EPOLL_CTL_MOD, front->listener, &event))
        front->accepting = accepting;
}

/* Its events of this round may still be to come, so it is only put aside. The port is given back
 * after the socket is closed. */
static void dismiss(struct front *front, struct guest *guest)
{
    guest->gone = true;
    relay_fini(&guest->relay);
    if (guest->port)
        set_guest(front, guest->port, NULL);
    TAILQ_REMOVE(&front->here, guest, link);
    TAILQ_INSERT_TAIL(&front->gone, guest, link);
    front->count--;
}

static void free_gone(struct front *front)
{
    struct guest *guest;

    while ((guest = TAILQ_FIRST(&front->gone))) {
        TAILQ_REMOVE(&front->gone, guest, link);
        free(guest);
    }
}

/* Those who connect and leave without a word, as load balancers do, are not worth a line. */
static void log_refusal(struct front *front, const struct guest *guest)
{
    const struct log_about about = {
        .kind = "http_tls", .peer = guest->address, .limit = &front->refused};
    char reason[TLS_ERROR_BYTES];

    tls_handshake_error(guest->relay.ssl, reason);
    if (BIO_number_read(SSL_get_rbio(guest->relay.ssl)) == 0)
        return;
    note_refusal(front, FRONT_REFUSED_TLS);
    log_event(LOG_WARN, &about, "no TLS handshake with a client of HTTP: %s", reason);
}

static enum relay_result let_in(struct front *front, struct guest *guest)
{
    uint16_t port;
    int fd = local_socket_reach(front->backend_port, &port);

    if (fd < 0) {
        log_warn("HTTP: a client of TLS cannot be served: %s", strerror(-fd));
        return RELAY_OVER;
    }
    guest->port = port;
    guest->verified = relay_is_verified(&guest->relay);
    set_guest(front, port, guest);
    return relay_connect(&guest->relay, fd);
}

static void serve(struct front *front, struct relay_end *end, uint32_t events)
{
    struct guest *guest = (struct guest *)end->relay; /* its first member */
    enum relay_result result;

    if (guest->gone)
        return;
    result = relay_handle(end, events);
    if (result == RELAY_SHAKEN)
        result = let_in(front, guest);
    if (result == RELAY_FAILED)
        log_refusal(front, guest);
    if (result != RELAY_GOES_ON)
        dismiss(front, guest);
}

/* ---- Newcomers ------------------------------------------------------------------------------ */

static bool has_too_many(const struct front *front, const struct guest *guest)
{
    const struct guest *other;
    size_t count = 0;

    TAILQ_FOREACH(other, &front->here, link)
    count += !network_compare(&other->network, &guest->network);
    return count >= front->options.connections_per_address;
}

/* Begins with a connection. */
static void welcome(struct front *front, int fd, const struct sockaddr_storage *address)
{
    uint64_t deadline = clock_now_ms() + front->options.handshake_timeout_ms;
    struct guest *guest = malloc(sizeof *guest); /* its buffers are not touched before use */
    const int on = 1;

    if (!guest) {
        close(fd);
        return;
    }
    memset(&guest->link, 0, sizeof *guest - offsetof(struct guest, link));
    guest->network = network_of((const struct sockaddr *)address);
    network_name_address((const struct sockaddr *)address, guest->address);
    if (has_too_many(front, guest)) {
        note_refusal(front, FRONT_REFUSED_ADDRESS);
        log_event(LOG_WARN,
                  &(struct log_about){
                      .kind = "http_crowd", .peer = guest->address, .limit = &front->crowded},
                  "HTTP: a connection was closed, since --http-connections-per-address are open");
        close(fd);
        free(guest);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    TAILQ_INSERT_TAIL(&front->here, guest, link);
    front->count++;
    if (relay_init(&guest->relay, front->epoll_fd, fd, front->options.context, deadline))
        dismiss(front, guest);
    else
        serve(front, &guest->relay.client, 0);
}

static void accept_some(struct front *front)
{
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int fd;

        if (front->count >= front->options.connections) {
            watch_listener(front, false);
            return;
        }
        fd = accept4(front->listener, (struct sockaddr *)&address, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(front, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            watch_listener(front, false); /* until the next sweep */
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* ---- The thread ----------------------------------------------------------------------------- */

/* Ends what is late, and takes connections again. */
static void sweep(struct front *front, uint64_t now_ms)
{
    struct guest *guest = TAILQ_FIRST(&front->here), *next;

    for (; guest; guest = next) {
        next = TAILQ_NEXT(guest, link);
        if (!guest->relay.deadline_ms || now_ms < guest->relay.deadline_ms)
            continue;
        if (guest->relay.stage == RELAY_HANDSHAKE) {
            note_refusal(front, FRONT_REFUSED_TLS);
            log_event(LOG_WARN,
                      &(struct log_about){
                          .kind = "http_tls", .peer = guest->address, .limit = &front->refused},
                      "a client of HTTP did not end its TLS handshake within %" PRIu64 " ms",
                      front->options.handshake_timeout_ms);
        }
        dismiss(front, guest);
    }
    if (front->count < front->options.connections && !atomic_load(&front->stop))
        watch_listener(front, true);
}

static void take_events(struct front *front)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(front->epoll_fd, events, EVENTS, SWEEP_MS);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == &front->listener)
            accept_some(front);
        else if (events[i].data.ptr)
            serve(front, events[i].data.ptr, events[i].events);
    }
    free_gone(front);
}

/* True while somebody has not got all of an answer. */
static bool has_answers(const struct front *front)
{
    const struct guest *guest;

    TAILQ_FOREACH(guest, &front->here, link)
    {
        if (guest->relay.stage == RELAY_CARRIES)
            return true;
    }
    return false;
}

static void *run(void *argument)
{
    struct front *front = argument;
    uint64_t sweep_ms = 0, last_ms;

    thread_stand_back();
    while (!atomic_load(&front->stop)) {
        uint64_t now_ms;

        take_events(front);
        now_ms = clock_now_ms();
        if (now_ms >= sweep_ms) {
            sweep(front, now_ms);
            sweep_ms = now_ms + SWEEP_MS;
        }
    }
    watch_listener(front, false);
    epoll_ctl(front->epoll_fd, EPOLL_CTL_DEL, front->wake_fd, NULL);
    for (last_ms = clock_now_ms() + LAST_MS; has_answers(front) && clock_now_ms() < last_ms;)
        take_events(front);
    return NULL;
}

/* ---- Start and stop ------------------------------------------------------------------------- */

static int watch_own(struct front *front)
{
    struct epoll_event listener = {.events = EPOLLIN, .data.ptr = &front->listener};
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};

    front->accepting = true;
    return epoll_ctl(front->epoll_fd, EPOLL_CTL_ADD, front->listener, &listener) ||
                   epoll_ctl(front->epoll_fd, EPOLL_CTL_ADD, front->wake_fd, &wake)
               ? -errno
               : 0;
}

struct front *front_create(const struct front_options *options, char error[HTTP_ERROR_BYTES])
{
    struct front *front = calloc(1, sizeof *front);

    thread_assert_role(THREAD_MAIN);
    if (!front) {
        snprintf(error, HTTP_ERROR_BYTES, "HTTP cannot start: %s", strerror(ENOMEM));
        return NULL;
    }
    front->options = *options;
    pthread_mutex_init(&front->lock, NULL);
    TAILQ_INIT(&front->here);
    TAILQ_INIT(&front->gone);
    front->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    front->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    front->listener = local_socket_listen(options->bind, options->port);
    if (front->listener >= 0 && front->epoll_fd >= 0 && front->wake_fd >= 0 && !watch_own(front))
        return front;
    if (front->listener == -EADDRINUSE)
        snprintf(error, HTTP_ERROR_BYTES,
                 "HTTP port %" PRIu64 " on %.64s is in use: stop the program that holds it, or "
                 "choose another one with --http-port",
                 options->port, options->bind);
    else
        snprintf(error, HTTP_ERROR_BYTES, "HTTP cannot listen on port %" PRIu64 " of %.64s: %s",
                 options->port, options->bind,
                 strerror(front->listener < 0 ? -front->listener : errno));
    front_destroy(front);
    return NULL;
}

int front_start(struct front *front, uint16_t backend_port)
{
    int error;

    front->backend_port = backend_port;
    error = thread_start(&front->thread, THREAD_HTTP, "http-tls", run, front);
    front->running = !error;
    return error;
}

void front_destroy(struct front *front)
{
    struct guest *guest;

    if (!front)
        return;
    atomic_store(&front->stop, true);
    if (front->running) {
        eventfd_write(front->wake_fd, 1);
        pthread_join(front->thread, NULL);
    }
    while ((guest = TAILQ_FIRST(&front->here)))
        dismiss(front, guest);
    free_gone(front);
    if (front->listener >= 0)
        close(front->listener);
    if (front->wake_fd >= 0)
        close(front->wake_fd);
    if (front->epoll_fd >= 0)
        close(front->epoll_fd);
    pthread_mutex_destroy(&front->lock);
    free(front);
}
