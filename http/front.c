/*
 * Who a request comes from is told by the port of this host from which the relay reached civetweb:
 * `callers` says who is behind it from before the first byte goes out until before the socket is
 * closed, so no other process can have that port meanwhile. Who reaches civetweb's port without the
 * front is in no entry, and is a stranger.
 *
 * Bounds: connections at once, past which whoever has not shaken hands for long makes room, and if
 * nobody has, further ones wait in the kernel's queue; and connections of one address, past which
 * they are closed.
 */
#include "http/front.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/network.h"
#include "common/thread.h"
#include "common/tls.h"
#include "http/guests.h"
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
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS     64
#define ACCEPTS    64  /* in a row */
#define SWEEP_MS   200 /* how late a time-out may be; and how long accepting pauses */
#define LAST_MS    500 /* for the last answers */
#define PATIENT_MS 250 /* for a handshake, when others wait: some round trips across the world */
#define PORTS      65536

struct front {
    struct front_options options;
    int listener, wake_fd, epoll_fd;
    bool accepting; /* the listener is watched */
    uint16_t backend_port;
    pthread_t thread;
    bool running;
    atomic_bool stop;
    struct guests *guests;                       /* the thread's */
    struct log_limit refused, crowded, short_of; /* a kind of line each */
    struct log_limit paused;
    _Atomic uint64_t refusals[FRONT_REFUSALS]; /* written by the thread alone */
    _Atomic uint8_t callers[PORTS];            /* enum front_caller; written by the thread alone */
    pthread_mutex_t lock;                      /* of the names; nothing is taken under it */
    char names[PORTS][NETWORK_NAME_BYTES];     /* of those who are no strangers */
};

/* civetweb asks when it has read a request, whose first byte went out after its port was set: the
 * kernel, which carried it, keeps the order. */
enum front_caller front_caller(const struct front *front, int port)
{
    return port > 0 && port < PORTS ? atomic_load(&front->callers[port]) : FRONT_STRANGER;
}

static void set_caller(struct front *front, uint16_t port, enum front_caller caller)
{
    atomic_store(&front->callers[port], (uint8_t)caller);
}

static void set_name(struct front *front, uint16_t port, const char name[NETWORK_NAME_BYTES])
{
    pthread_mutex_lock(&front->lock);
    memcpy(front->names[port], name, NETWORK_NAME_BYTES);
    pthread_mutex_unlock(&front->lock);
}

bool front_name_client(struct front *front, int port, char name[NETWORK_NAME_BYTES])
{
    if (front_caller(front, port) == FRONT_STRANGER)
        return false;
    pthread_mutex_lock(&front->lock);
    memcpy(name, front->names[port], NETWORK_NAME_BYTES);
    pthread_mutex_unlock(&front->lock);
    return true;
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

/* Once the socket is closed, anybody on this host may be given its port. */
static void dismiss(struct front *front, struct guest *guest)
{
    if (guest->port)
        set_caller(front, guest->port, FRONT_STRANGER);
    relay_fini(&guest->relay);
    guests_dismiss(front->guests, guest);
}

/* Those who connect and leave without a word, as load balancers do, are not worth a line. */
static void log_refusal(struct front *front, const struct guest *guest)
{
    const struct log_about about = {
        .kind = "http_tls", .peer = guest->name, .limit = &front->refused};
    char reason[ERROR_BYTES];

    tls_handshake_error(guest->relay.ssl, reason);
    if (BIO_number_read(SSL_get_rbio(guest->relay.ssl)) == 0)
        return;
    note_refusal(front, FRONT_REFUSED_TLS);
    log_event(LOG_WARN, &about, "TLS with a client of HTTP failed: %s", reason);
}

/* Sends somebody away for want of memory or descriptors; `error` is a negative errno. */
static void refuse_for_want(struct front *front, const char *name, int error)
{
    note_refusal(front, FRONT_REFUSED_SHORT);
    log_event(LOG_WARN,
              &(struct log_about){.kind = "http_short", .peer = name, .limit = &front->short_of},
              "HTTP: a client of TLS cannot be served: %s", strerror(-error));
}

static void refuse_as_slow(struct front *front, const struct guest *guest, const char *when)
{
    const struct log_about about = {
        .kind = "http_tls", .peer = guest->name, .limit = &front->refused};

    note_refusal(front, FRONT_REFUSED_TLS);
    log_event(LOG_WARN, &about, "a client of HTTP had not ended its TLS handshake %s", when);
}

static enum relay_result let_in(struct front *front, struct guest *guest)
{
    uint16_t port;
    int fd = local_socket_reach(front->backend_port, &port);

    if (fd < 0) {
        refuse_for_want(front, guest->name, fd);
        return RELAY_OVER;
    }
    guest->port = port;
    set_name(front, port, guest->name);
    set_caller(front, port, relay_is_verified(&guest->relay) ? FRONT_VERIFIED : FRONT_CLIENT);
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

/* `error` is why guests_admit() did not take it. */
static void refuse(struct front *front, const struct sockaddr *address, int error)
{
    char name[NETWORK_NAME_BYTES];

    network_name_address(address, name);
    if (error != -EUSERS) {
        refuse_for_want(front, name, error);
        return;
    }
    note_refusal(front, FRONT_REFUSED_ADDRESS);
    log_event(LOG_WARN,
              &(struct log_about){.kind = "http_crowd", .peer = name, .limit = &front->crowded},
              "HTTP: a connection was closed, since --http-connections-per-address are open");
}

/* Begins with a connection. */
static void welcome(struct front *front, int fd, const struct sockaddr *address)
{
    struct guest *guest = guests_admit(front->guests, address);
    const int on = 1;
    int error;

    if (!guest) {
        refuse(front, address, -errno);
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    error = relay_init(&guest->relay, front->epoll_fd, fd, front->options.context,
                       front->options.handshake_timeout_ms);
    if (error) {
        refuse_for_want(front, guest->name, error);
        dismiss(front, guest);
    } else {
        serve(front, &guest->relay.client, 0);
    }
}

/* Who connects waits in the kernel's queue until the next sweep. */
static void pause_for_want(struct front *front, int error)
{
    watch_listener(front, false);
    log_event(LOG_WARN, &(struct log_about){.kind = "http_paused", .limit = &front->paused},
              "HTTP takes no connection for %d ms: %s", SWEEP_MS, strerror(-error));
}

/* Closes the handshake that has waited longest, if it has for long. Guests stand in the order in
 * which they came. */
static bool make_room(struct front *front)
{
    uint64_t wait_ms = front->options.handshake_timeout_ms;
    struct guest *guest = guests_first(front->guests);

    while (guest && guest->relay.stage != RELAY_HANDSHAKE)
        guest = guests_next(guest);
    if (!guest || clock_now_ms() + wait_ms < guest->relay.deadline_ms + PATIENT_MS)
        return false;
    refuse_as_slow(front, guest, "when no more connections were left");
    dismiss(front, guest);
    return true;
}

/* True when one more may be accepted. Room is made for the first only, of whom it is known that
 * somebody waits. */
static bool has_room(struct front *front, bool first)
{
    if (guests_count(front->guests) < front->options.connections)
        return true;
    if (!first)
        return false;
    if (make_room(front))
        return true;
    watch_listener(front, false); /* until the next sweep */
    return false;
}

static void accept_some(struct front *front)
{
    for (int i = 0; i < ACCEPTS && has_room(front, i == 0); i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int fd;

        fd = accept4(front->listener, (struct sockaddr *)&address, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(front, fd, (const struct sockaddr *)&address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_for_want(front, -errno);
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
    struct guest *guest = guests_first(front->guests), *next;

    for (; guest; guest = next) {
        next = guests_next(guest);
        if (!guest->relay.deadline_ms || now_ms < guest->relay.deadline_ms)
            continue;
        if (guest->relay.stage == RELAY_HANDSHAKE)
            refuse_as_slow(front, guest, "in --handshake-timeout-ms");
        dismiss(front, guest);
    }
    if (!atomic_load(&front->stop)) /* even when all are taken: somebody may make room */
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
    guests_free_gone(front->guests);
}

/* True while somebody has not got all of an answer. */
static bool has_answers(const struct front *front)
{
    const struct guest *guest = guests_first(front->guests);

    while (guest && guest->relay.stage != RELAY_CARRIES)
        guest = guests_next(guest);
    return guest;
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

/* Returns 0 or a negative errno. */
static int open_all(struct front *front)
{
    const struct front_options *options = &front->options;

    front->listener = local_socket_listen(options->bind, options->port);
    if (front->listener < 0)
        return front->listener;
    front->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (front->epoll_fd < 0)
        return -errno;
    front->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (front->wake_fd < 0)
        return -errno;
    front->guests =
        guests_create(&options->hash_key, options->connections, options->connections_per_address);
    return front->guests ? watch_own(front) : -errno;
}

struct front *front_create(const struct front_options *options, char error[ERROR_BYTES])
{
    struct front *front = calloc(1, sizeof *front);
    int result = -ENOMEM;

    thread_assert_role(THREAD_MAIN);
    if (front) {
        front->options = *options;
        front->listener = front->epoll_fd = front->wake_fd = -1;
        pthread_mutex_init(&front->lock, NULL);
        result = open_all(front);
    }
    if (!result)
        return front;
    if (result == -EADDRINUSE)
        snprintf(error, ERROR_BYTES,
                 "HTTP port %" PRIu64 " on %.64s is in use: stop the program that holds it, or "
                 "choose another one with --http-port",
                 options->port, options->bind);
    else
        snprintf(error, ERROR_BYTES, "HTTP cannot listen on port %" PRIu64 " of %.64s: %s",
                 options->port, options->bind, strerror(-result));
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
    while (front->guests && (guest = guests_first(front->guests)))
        dismiss(front, guest);
    guests_destroy(front->guests);
    if (front->listener >= 0)
        close(front->listener);
    if (front->wake_fd >= 0)
        close(front->wake_fd);
    if (front->epoll_fd >= 0)
        close(front->epoll_fd);
    pthread_mutex_destroy(&front->lock);
    free(front);
}
