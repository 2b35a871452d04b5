/*
 * See connection_limiter.h. A descriptor that the tracker found may be closed and given to somebody
 * else at any time; so whatever is to be shut is duplicated first, looked at again, and shut by the
 * duplicate, which cannot become another socket.
 *
 * One that waits for a request drips its head, or idles. One with unread bytes stands in civetweb's
 * queue, and is let alone.
 */
#include "http/connection_limiter.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/network.h"
#include "common/thread.h"
#include "http/connection_tracker.h"
#include "http/proxy_callers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERVAL_MS    1000 /* between two scans */
#define SHORT_MS       50   /* the same when they are many */
#define RESERVE        16   /* one thread of so many, and at least four, are kept free */
#define WAIT_MS        250  /* that a client gets for a head when threads are short */
#define CROWD_STALL_MS 5000 /* and for a few KB of an answer then */

enum reason { REASON_ADDRESS, REASON_CROWD, REASON_STALL, REASONS };

struct connection_limiter {
    struct connection_limiter_options options;
    uint64_t port;                 /* that civetweb listens on */
    struct proxy_callers *callers; /* NULL: none */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of `stop`, with `changed` */
    pthread_cond_t changed;
    bool stop;

    struct connection_tracker *tracker; /* scans in the thread */
    struct log_limit limits[REASONS];

    _Atomic uint64_t shut[REASONS];
    _Atomic int64_t connections;
};

/* ---- What civetweb's threads tell ----------------------------------------------------------- */

void connection_limiter_note_opened(struct connection_limiter *limiter)
{
    atomic_fetch_add_explicit(&limiter->connections, 1, memory_order_relaxed);
}

void connection_limiter_note_closed(struct connection_limiter *limiter)
{
    atomic_fetch_sub_explicit(&limiter->connections, 1, memory_order_relaxed);
}

void connection_limiter_note_request(struct connection_limiter *limiter, int peer_port)
{
    connection_tracker_note_request(limiter->tracker, peer_port);
}

void connection_limiter_note_answered(struct connection_limiter *limiter, int peer_port)
{
    connection_tracker_note_answered(limiter->tracker, peer_port);
}

struct connection_limiter_figures
connection_limiter_figures(const struct connection_limiter *limiter)
{
    int64_t open = atomic_load_explicit(&limiter->connections, memory_order_relaxed);

    return (struct connection_limiter_figures){
        .connections = open > 0 ? (uint64_t)open : 0,
        .shut_address = atomic_load_explicit(&limiter->shut[REASON_ADDRESS], memory_order_relaxed),
        .shut_crowd = atomic_load_explicit(&limiter->shut[REASON_CROWD], memory_order_relaxed),
        .shut_stall = atomic_load_explicit(&limiter->shut[REASON_STALL], memory_order_relaxed),
    };
}

/* ---- Shutting them -------------------------------------------------------------------------- */

static void log_shut(struct connection_limiter *limiter, enum reason reason,
                     const struct tcp_peer *peer, int fd)
{
    static const char *const kinds[] = {"http_address", "http_crowd", "http_stall"};
    static const char *const texts[] = {
        "closed an HTTP connection: its address has too many (--http-connections-per-address)",
        "closed an HTTP connection without a request: hardly a thread is left (--http-connections)",
        "closed an HTTP connection: the client does not read its answer",
    };
    char name[NETWORK_NAME_BYTES];

    if (!limiter->callers || !proxy_callers_name(limiter->callers, peer->port, name))
        network_name_peer(fd, name);
    log_event(
        LOG_WARN,
        &(struct log_about){.kind = kinds[reason], .peer = name, .limit = &limiter->limits[reason]},
        "%s", texts[reason]);
}

/* Shuts a connection, if the descriptor still is what it was. */
static void shut(struct connection_limiter *limiter, const struct tracked_connection *entry,
                 enum reason reason)
{
    int fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
    struct tcp_peer peer;

    if (fd < 0)
        return;
    if (tcp_peer_read(fd, limiter->port, &peer) && tcp_peer_is_equal(&peer, &entry->peer)) {
        log_shut(limiter, reason, &peer, fd);
        shutdown(fd, SHUT_RDWR);
        atomic_fetch_add_explicit(&limiter->shut[reason], 1, memory_order_relaxed);
    }
    close(fd);
}

/* By address, and there the oldest first; those that the client has ended behind the others. */
static int compare_address(const void *left, const void *right)
{
    const struct tracked_connection *a = left, *b = right;
    int order = network_compare(&a->peer.network, &b->peer.network);

    if (order)
        return order;
    if (a->ended != b->ended)
        return a->ended ? 1 : -1;
    return (a->found_ms > b->found_ms) - (a->found_ms < b->found_ms);
}

/* What the client has ended counts as long as there is something to answer: else who ends only his
 * side could have any number of answers made. */
static void shut_past_address(struct connection_limiter *limiter,
                              struct tracked_connection *entries, size_t count)
{
    size_t same = 0;

    qsort(entries, count, sizeof *entries, compare_address);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && network_compare(&entries[i].peer.network, &entries[i - 1].peer.network) != 0)
            same = 0;
        if (entries[i].ended && entries[i].waiting_ms)
            continue;
        if (++same > limiter->options.per_address)
            shut(limiter, &entries[i], REASON_ADDRESS);
    }
}

/* Those that wait, the longest first; the others behind them. */
static int compare_waiting(const void *left, const void *right)
{
    uint64_t a = ((const struct tracked_connection *)left)->waiting_ms - 1;
    uint64_t b = ((const struct tracked_connection *)right)->waiting_ms - 1;

    return (a > b) - (a < b);
}

/* How many connections may be open before threads are short. */
static size_t high_watermark(const struct connection_limiter *limiter)
{
    size_t threads = limiter->options.threads, reserve = threads / RESERVE;

    return threads - (reserve < 4 ? 4 : reserve);
}

static void shut_waiting(struct connection_limiter *limiter, struct tracked_connection *entries,
                         size_t count, uint64_t now)
{
    size_t surplus = count - high_watermark(limiter);

    qsort(entries, count, sizeof *entries, compare_waiting);
    for (size_t i = 0; i < surplus; i++) {
        uint64_t since = entries[i].waiting_ms;

        if (!since || now < since + WAIT_MS)
            return;
        shut(limiter, &entries[i], REASON_CROWD);
    }
}

static void shut_stalled(struct connection_limiter *limiter,
                         const struct tracked_connection *entries, size_t count, uint64_t now,
                         uint64_t timeout_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (now > entries[i].moved_ms + timeout_ms)
            shut(limiter, &entries[i], REASON_STALL);
    }
}

/* Scans once, and shuts what is to be shut. Returns for how many milliseconds that will do. */
static uint64_t check_once(struct connection_limiter *limiter)
{
    uint64_t now = clock_now_ms(), stall_ms = limiter->options.stall_timeout_ms;
    struct tracked_connection *entries;
    bool crowded, many;
    size_t count;

    if (connection_tracker_scan(limiter->tracker, limiter->port, now))
        return INTERVAL_MS; /* something is short for a moment */
    entries = connection_tracker_list(limiter->tracker, &count);
    crowded = count > high_watermark(limiter);
    many = limiter->options.per_address && count > limiter->options.per_address;
    if (crowded && stall_ms > CROWD_STALL_MS)
        stall_ms = CROWD_STALL_MS;
    shut_stalled(limiter, entries, count, now, stall_ms);
    if (many)
        shut_past_address(limiter, entries, count);
    if (crowded)
        shut_waiting(limiter, entries, count, now);
    return crowded || many ? SHORT_MS : INTERVAL_MS;
}

/* ---- The thread ----------------------------------------------------------------------------- */

static void wait_until_ms(struct connection_limiter *limiter, uint64_t until_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000 * 1000000)};

    while (!limiter->stop && clock_now_ms() < until_ms)
        pthread_cond_clockwait(&limiter->changed, &limiter->lock, CLOCK_MONOTONIC, &until);
}

/* Sleeps, shorter when threads begin to be short meanwhile. Returns false when it is to stop. */
static bool sleep_ms(struct connection_limiter *limiter, uint64_t ms)
{
    uint64_t now = clock_now_ms(), until = now + ms;
    bool stop;

    pthread_mutex_lock(&limiter->lock);
    do {
        now += SHORT_MS;
        wait_until_ms(limiter, now);
    } while (!limiter->stop && now < until &&
             connection_limiter_figures(limiter).connections <= high_watermark(limiter));
    stop = limiter->stop;
    pthread_mutex_unlock(&limiter->lock);
    return !stop;
}

/* While nobody is connected there is nothing to look at. */
static void *run(void *argument)
{
    struct connection_limiter *limiter = argument;
    uint64_t pause = INTERVAL_MS;

    while (sleep_ms(limiter, pause))
        pause = connection_limiter_figures(limiter).connections ? check_once(limiter) : INTERVAL_MS;
    return NULL;
}

struct connection_limiter *
connection_limiter_create(const struct connection_limiter_options *options)
{
    struct connection_limiter *limiter = calloc(1, sizeof *limiter);

    if (!limiter)
        return NULL;
    limiter->options = *options;
    limiter->tracker = connection_tracker_create();
    if (!limiter->tracker) {
        free(limiter);
        return NULL;
    }
    pthread_mutex_init(&limiter->lock, NULL);
    pthread_cond_init(&limiter->changed, NULL);
    return limiter;
}

int connection_limiter_start(struct connection_limiter *limiter, uint64_t port,
                             struct proxy_callers *callers)
{
    int error;

    limiter->port = port;
    limiter->callers = callers;
    error = thread_start(&limiter->thread, THREAD_HTTP, "http-limiter", run, limiter);
    limiter->running = !error;
    return error;
}

void connection_limiter_destroy(struct connection_limiter *limiter)
{
    if (!limiter)
        return;
    pthread_mutex_lock(&limiter->lock);
    limiter->stop = true;
    pthread_cond_signal(&limiter->changed);
    pthread_mutex_unlock(&limiter->lock);
    if (limiter->running)
        pthread_join(limiter->thread, NULL);
    pthread_cond_destroy(&limiter->changed);
    pthread_mutex_destroy(&limiter->lock);
    connection_tracker_destroy(limiter->tracker);
    free(limiter);
}
