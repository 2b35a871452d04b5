/*
 * See warden.h. A descriptor that the census found may be closed and given to somebody else at any
 * time; so whatever is to be shut is duplicated first, looked at again, and shut by the duplicate,
 * which cannot become another socket.
 *
 * One that waits for a request drips its head, or idles. One with unread bytes stands in civetweb's
 * queue, and is let alone.
 */
#include "http/warden.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "http/census.h"
#include "http/front.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALM_MS        1000 /* between two looks */
#define CROWDED_MS     50
#define RESERVE        16   /* one thread of so many, and at least four, are kept free */
#define WAIT_MS        250  /* that a client gets for a head when threads are short */
#define CROWD_STALL_MS 5000 /* and in what time when threads are short */

enum reason { REASON_ADDRESS, REASON_CROWD, REASON_STALL, REASONS };

struct warden {
    struct warden_options options;
    uint64_t port;       /* that civetweb listens on */
    struct front *front; /* NULL: none */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of `stop`, with `changed` */
    pthread_cond_t changed;
    bool stop;

    struct census *census; /* taken by the thread */
    struct log_limit limits[REASONS];

    _Atomic uint64_t shut[REASONS];
    _Atomic int64_t connections;
};

/* ---- What civetweb's threads tell ----------------------------------------------------------- */

void warden_note_opened(struct warden *warden)
{
    atomic_fetch_add_explicit(&warden->connections, 1, memory_order_relaxed);
}

void warden_note_closed(struct warden *warden)
{
    atomic_fetch_sub_explicit(&warden->connections, 1, memory_order_relaxed);
}

void warden_note_request(struct warden *warden, int peer_port)
{
    census_note_request(warden->census, peer_port);
}

void warden_note_answered(struct warden *warden, int peer_port)
{
    census_note_answered(warden->census, peer_port);
}

struct warden_figures warden_figures(const struct warden *warden)
{
    int64_t open = atomic_load_explicit(&warden->connections, memory_order_relaxed);

    return (struct warden_figures){
        .connections = open > 0 ? (uint64_t)open : 0,
        .shut_address = atomic_load_explicit(&warden->shut[REASON_ADDRESS], memory_order_relaxed),
        .shut_crowd = atomic_load_explicit(&warden->shut[REASON_CROWD], memory_order_relaxed),
        .shut_stall = atomic_load_explicit(&warden->shut[REASON_STALL], memory_order_relaxed),
    };
}

/* ---- Shutting them -------------------------------------------------------------------------- */

static void log_shut(struct warden *warden, enum reason reason, const struct tcp_peer *peer, int fd)
{
    static const char *const kinds[] = {"http_address", "http_crowd", "http_stall"};
    static const char *const texts[] = {
        "closed an HTTP connection: its address has too many (--http-connections-per-address)",
        "closed an HTTP connection without a request: hardly a thread is left (--http-connections)",
        "closed an HTTP connection: the client does not read its answer",
    };
    char name[NETWORK_NAME_BYTES];

    if (!warden->front || !front_name_client(warden->front, peer->port, name))
        network_name_peer(fd, name);
    log_event(
        LOG_WARN,
        &(struct log_about){.kind = kinds[reason], .peer = name, .limit = &warden->limits[reason]},
        "%s", texts[reason]);
}

/* Shuts a connection, if the descriptor still is what it was. */
static void shut(struct warden *warden, const struct census_entry *entry, enum reason reason)
{
    int fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
    struct tcp_peer peer;

    if (fd < 0)
        return;
    if (tcp_peer_read(fd, warden->port, &peer) && tcp_peer_is_equal(&peer, &entry->peer)) {
        log_shut(warden, reason, &peer, fd);
        shutdown(fd, SHUT_RDWR);
        atomic_fetch_add_explicit(&warden->shut[reason], 1, memory_order_relaxed);
    }
    close(fd);
}

/* By address, and there the oldest first; those that the client has ended behind the others. */
static int compare_address(const void *left, const void *right)
{
    const struct census_entry *a = left, *b = right;
    int order = network_compare(&a->peer.network, &b->peer.network);

    if (order)
        return order;
    if (a->ended != b->ended)
        return a->ended ? 1 : -1;
    return (a->found_ms > b->found_ms) - (a->found_ms < b->found_ms);
}

/* What the client has ended counts as long as there is something to answer: else who ends only his
 * side could have any number of answers made. */
static void shut_past_address(struct warden *warden, struct census_entry *entries, size_t count)
{
    size_t same = 0;

    qsort(entries, count, sizeof *entries, compare_address);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && network_compare(&entries[i].peer.network, &entries[i - 1].peer.network) != 0)
            same = 0;
        if (entries[i].ended && entries[i].waiting_ms)
            continue;
        if (++same > warden->options.per_address)
            shut(warden, &entries[i], REASON_ADDRESS);
    }
}

/* Those that wait, the longest first; the others behind them. */
static int compare_waiting(const void *left, const void *right)
{
    uint64_t a = ((const struct census_entry *)left)->waiting_ms - 1;
    uint64_t b = ((const struct census_entry *)right)->waiting_ms - 1;

    return (a > b) - (a < b);
}

/* How many connections may be open before threads are short. */
static size_t comfortable(const struct warden *warden)
{
    size_t threads = warden->options.threads, reserve = threads / RESERVE;

    return threads - (reserve < 4 ? 4 : reserve);
}

static void shut_waiting(struct warden *warden, struct census_entry *entries, size_t count,
                         uint64_t now)
{
    size_t surplus = count - comfortable(warden);

    qsort(entries, count, sizeof *entries, compare_waiting);
    for (size_t i = 0; i < surplus; i++) {
        uint64_t since = entries[i].waiting_ms;

        if (!since || now < since + WAIT_MS)
            return;
        shut(warden, &entries[i], REASON_CROWD);
    }
}

static void shut_stalled(struct warden *warden, const struct census_entry *entries, size_t count,
                         uint64_t now, uint64_t timeout_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (now > entries[i].moved_ms + timeout_ms)
            shut(warden, &entries[i], REASON_STALL);
    }
}

/* Looks once, and does what is to be done. Returns for how many milliseconds that will do. */
static uint64_t guard(struct warden *warden)
{
    uint64_t now = clock_now_ms(), stall_ms = warden->options.stall_timeout_ms;
    struct census_entry *entries;
    bool crowded, many;
    size_t count;

    if (census_take(warden->census, warden->port, now)) /* for a moment, so next time */
        return CALM_MS;
    entries = census_entries(warden->census, &count);
    crowded = count > comfortable(warden);
    many = warden->options.per_address && count > warden->options.per_address;
    if (crowded && stall_ms > CROWD_STALL_MS)
        stall_ms = CROWD_STALL_MS;
    shut_stalled(warden, entries, count, now, stall_ms);
    if (many)
        shut_past_address(warden, entries, count);
    if (crowded)
        shut_waiting(warden, entries, count, now);
    return crowded || many ? CROWDED_MS : CALM_MS;
}

/* ---- The thread ----------------------------------------------------------------------------- */

static void wait_until_ms(struct warden *warden, uint64_t until_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000 * 1000000)};

    while (!warden->stop && clock_now_ms() < until_ms)
        pthread_cond_clockwait(&warden->changed, &warden->lock, CLOCK_MONOTONIC, &until);
}

/* Sleeps, shorter when threads begin to be short meanwhile. Returns false when it is to stop. */
static bool sleep_ms(struct warden *warden, uint64_t ms)
{
    uint64_t now = clock_now_ms(), until = now + ms;
    bool stop;

    pthread_mutex_lock(&warden->lock);
    do {
        now += CROWDED_MS;
        wait_until_ms(warden, now);
    } while (!warden->stop && now < until &&
             warden_figures(warden).connections <= comfortable(warden));
    stop = warden->stop;
    pthread_mutex_unlock(&warden->lock);
    return !stop;
}

/* While nobody is connected there is nothing to look at. */
static void *run(void *argument)
{
    struct warden *warden = argument;
    uint64_t pause = CALM_MS;

    while (sleep_ms(warden, pause))
        pause = warden_figures(warden).connections ? guard(warden) : CALM_MS;
    return NULL;
}

struct warden *warden_create(const struct warden_options *options)
{
    struct warden *warden = calloc(1, sizeof *warden);

    if (!warden)
        return NULL;
    warden->options = *options;
    warden->census = census_create();
    if (!warden->census) {
        free(warden);
        return NULL;
    }
    pthread_mutex_init(&warden->lock, NULL);
    pthread_cond_init(&warden->changed, NULL);
    return warden;
}

int warden_start(struct warden *warden, uint64_t port, struct front *front)
{
    int error;

    warden->port = port;
    warden->front = front;
    error = thread_start(&warden->thread, THREAD_HTTP, "http-warden", run, warden);
    warden->running = !error;
    return error;
}

void warden_destroy(struct warden *warden)
{
    if (!warden)
        return;
    pthread_mutex_lock(&warden->lock);
    warden->stop = true;
    pthread_cond_signal(&warden->changed);
    pthread_mutex_unlock(&warden->lock);
    if (warden->running)
        pthread_join(warden->thread, NULL);
    pthread_cond_destroy(&warden->changed);
    pthread_mutex_destroy(&warden->lock);
    census_destroy(warden->census);
    free(warden);
}
