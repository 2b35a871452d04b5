/*
 * civetweb tells nobody its descriptors, so the warden finds the sockets among those of the
 * process: by their own port, which is civetweb's. A descriptor may be closed and given to somebody
 * else at any time; so whatever is to be shut is duplicated first, looked at again, and shut by the
 * duplicate, which cannot become another socket.
 *
 * Which of them are served is told by the clients' ports: each has a count of requests begun and of
 * answers ended. Two clients of one port, of different addresses, are taken for one; then one that
 * waits may pass for one that is served, which errs on the safe side.
 *
 * A connection waits when no request of it is being answered and no byte of it is unread: then its
 * head drips, or it idles. One with unread bytes stands in civetweb's queue, and is let alone.
 */
#include "http/warden.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "http/tcp_peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALM_MS        1000 /* between two looks */
#define CROWDED_MS     50
#define RESERVE        16          /* one thread of so many, and at least four, are kept free */
#define WAIT_MS        250         /* that a client gets for a head when threads are short */
#define STALL_BYTES    (16 * 1024) /* of an answer, that must get through in time */
#define CROWD_STALL_MS 5000        /* and in what time when threads are short */
#define PORTS          65536

/* What is remembered of a descriptor from one look to the next. */
struct seen {
    uint64_t look;       /* the last one that found it; 0: none */
    uint64_t found_ms;   /* when it was found first, as this connection */
    uint64_t waiting_ms; /* since when it has waited for a request; 0: it does not */
    uint64_t moved_ms;   /* when its answer last moved by STALL_BYTES */
    uint64_t acked;      /* bytes of answers that had got through by then */
    uint32_t begun;      /* requests on its port, as of the last look */
    struct tcp_peer peer;
};

/* A connection that this look found. */
struct entry {
    int fd;
    const struct seen *seen;
};

enum reason { REASON_ADDRESS, REASON_CROWD, REASON_STALL, REASONS };

struct warden {
    struct warden_options options;
    uint64_t port; /* that civetweb listens on */
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of `stop`, with `changed` */
    pthread_cond_t changed;
    bool stop;

    uint64_t look; /* the thread's, as is all to `limits` */
    struct seen *seen;
    size_t seen_count;
    struct entry *entries;
    size_t entry_count, entry_room;
    struct log_limit limits[REASONS];

    _Atomic uint64_t shut[REASONS];
    _Atomic int64_t connections;
    _Atomic uint32_t begun[PORTS], ended[PORTS];
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
    atomic_fetch_add_explicit(&warden->begun[(uint16_t)peer_port], 1, memory_order_relaxed);
}

void warden_note_answered(struct warden *warden, int peer_port)
{
    atomic_fetch_add_explicit(&warden->ended[(uint16_t)peer_port], 1, memory_order_relaxed);
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

/* ---- Looking at sockets --------------------------------------------------------------------- */

/* Makes room for a descriptor. Returns what is remembered of it, or NULL when memory is short. */
static struct seen *remember(struct warden *warden, int fd)
{
    size_t count = warden->seen_count ? warden->seen_count : 64;
    struct seen *grown;

    while (count <= (size_t)fd)
        count *= 2;
    if (count > warden->seen_count) {
        grown = realloc(warden->seen, count * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + warden->seen_count, 0, (count - warden->seen_count) * sizeof *grown);
        warden->seen = grown;
        warden->seen_count = count;
    }
    return &warden->seen[fd];
}

/* Brings what is remembered of a connection up to date. */
static void update(struct warden *warden, int fd, struct seen *seen, uint64_t now)
{
    uint16_t port = seen->peer.port;
    uint32_t begun = atomic_load_explicit(&warden->begun[port], memory_order_relaxed);
    uint32_t ended = atomic_load_explicit(&warden->ended[port], memory_order_relaxed);
    int unread = 0, unsent = 0;
    uint64_t acked;

    ioctl(fd, SIOCINQ, &unread);
    ioctl(fd, SIOCOUTQ, &unsent);
    if (begun != ended || unread > 0 || begun != seen->begun)
        seen->waiting_ms = 0;
    else if (!seen->waiting_ms)
        seen->waiting_ms = now;
    acked = unsent > 0 ? tcp_peer_bytes_acked(fd) : 0;
    if (unsent == 0 || acked >= seen->acked + STALL_BYTES || acked < seen->acked) {
        seen->moved_ms = now;
        seen->acked = acked;
    }
    seen->begun = begun;
}

static void look_at(struct warden *warden, int fd, uint64_t now)
{
    struct tcp_peer peer;
    struct seen *seen;

    if (!tcp_peer_read(fd, warden->port, &peer))
        return;
    seen = remember(warden, fd);
    if (!seen)
        return;
    if (seen->look + 1 != warden->look || !tcp_peer_is_equal(&seen->peer, &peer))
        *seen = (struct seen){.found_ms = now, .moved_ms = now, .peer = peer};
    seen->look = warden->look;
    update(warden, fd, seen, now);
}

/* Looks at all sockets; `entries` are those of civetweb then. Returns 0 or a negative errno. */
static int look(struct warden *warden, uint64_t now)
{
    DIR *descriptors = opendir("/proc/self/fd");
    const struct dirent *found;

    if (!descriptors)
        return -errno;
    warden->look++;
    while ((found = readdir(descriptors))) /* "." is 0, which is no such socket */
        look_at(warden, (int)strtol(found->d_name, NULL, 10), now);
    closedir(descriptors);

    warden->entry_count = 0;
    if (warden->entry_room < warden->seen_count) {
        struct entry *grown = realloc(warden->entries, warden->seen_count * sizeof *grown);

        if (!grown)
            return -ENOMEM;
        warden->entries = grown;
        warden->entry_room = warden->seen_count;
    }
    for (size_t fd = 0; fd < warden->seen_count; fd++) {
        if (warden->seen[fd].look == warden->look)
            warden->entries[warden->entry_count++] = (struct entry){(int)fd, &warden->seen[fd]};
    }
    return 0;
}

/* ---- Shutting them -------------------------------------------------------------------------- */

static void log_shut(struct warden *warden, enum reason reason, int fd)
{
    static const char *const kinds[] = {"http_address", "http_crowd", "http_stall"};
    static const char *const texts[] = {
        "closed an HTTP connection: its address has too many (--http-connections-per-address)",
        "closed an HTTP connection without a request: hardly a thread is left (--http-connections)",
        "closed an HTTP connection: the client does not read its answer",
    };
    char name[NETWORK_NAME_BYTES];

    network_name_peer(fd, name);
    log_event(
        LOG_WARN,
        &(struct log_about){.kind = kinds[reason], .peer = name, .limit = &warden->limits[reason]},
        "%s", texts[reason]);
}

/* Shuts a connection, if the descriptor still is what it was. */
static void shut(struct warden *warden, const struct entry *entry, enum reason reason)
{
    int fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
    struct tcp_peer peer;

    if (fd < 0)
        return;
    if (tcp_peer_read(fd, warden->port, &peer) && tcp_peer_is_equal(&peer, &entry->seen->peer)) {
        log_shut(warden, reason, fd);
        shutdown(fd, SHUT_RDWR);
        atomic_fetch_add_explicit(&warden->shut[reason], 1, memory_order_relaxed);
    }
    close(fd);
}

/* By address, and there the oldest first. */
static int compare_address(const void *left, const void *right)
{
    const struct seen *a = ((const struct entry *)left)->seen;
    const struct seen *b = ((const struct entry *)right)->seen;
    int order = network_compare(&a->peer.network, &b->peer.network);

    return order ? order : (a->found_ms > b->found_ms) - (a->found_ms < b->found_ms);
}

static bool is_same_network(const struct entry *a, const struct entry *b)
{
    return network_compare(&a->seen->peer.network, &b->seen->peer.network) == 0;
}

static void shut_past_address(struct warden *warden)
{
    size_t same = 0;

    if (!warden->options.per_address || warden->entry_count <= warden->options.per_address)
        return;
    qsort(warden->entries, warden->entry_count, sizeof *warden->entries, compare_address);
    for (size_t i = 0; i < warden->entry_count; i++) {
        const struct entry *entries = warden->entries;

        if (i > 0 && is_same_network(&entries[i], &entries[i - 1]))
            same++;
        else
            same = 1;
        if (same > warden->options.per_address)
            shut(warden, &entries[i], REASON_ADDRESS);
    }
}

/* Those that wait, the longest first; the others behind them. */
static int compare_waiting(const void *left, const void *right)
{
    uint64_t a = ((const struct entry *)left)->seen->waiting_ms - 1;
    uint64_t b = ((const struct entry *)right)->seen->waiting_ms - 1;

    return (a > b) - (a < b);
}

/* How many connections may be open before threads are short. */
static size_t comfortable(const struct warden *warden)
{
    size_t threads = warden->options.threads, reserve = threads / RESERVE;

    return threads - (reserve < 4 ? 4 : reserve);
}

static void shut_waiting(struct warden *warden, uint64_t now)
{
    size_t surplus = warden->entry_count - comfortable(warden);

    qsort(warden->entries, warden->entry_count, sizeof *warden->entries, compare_waiting);
    for (size_t i = 0; i < surplus; i++) {
        uint64_t since = warden->entries[i].seen->waiting_ms;

        if (!since || now < since + WAIT_MS)
            return;
        shut(warden, &warden->entries[i], REASON_CROWD);
    }
}

static void shut_stalled(struct warden *warden, uint64_t now, uint64_t timeout_ms)
{
    for (size_t i = 0; i < warden->entry_count; i++) {
        if (now > warden->entries[i].seen->moved_ms + timeout_ms)
            shut(warden, &warden->entries[i], REASON_STALL);
    }
}

/* Looks once, and does what is to be done. Returns for how many milliseconds that will do. */
static uint64_t guard(struct warden *warden)
{
    uint64_t now = clock_now_ms(), stall_ms = warden->options.stall_timeout_ms;
    bool crowded, many;

    if (look(warden, now)) /* memory or descriptors are short: for a moment, so next time */
        return CALM_MS;
    crowded = warden->entry_count > comfortable(warden);
    many = warden->options.per_address && warden->entry_count > warden->options.per_address;
    if (crowded && stall_ms > CROWD_STALL_MS)
        stall_ms = CROWD_STALL_MS;
    shut_stalled(warden, now, stall_ms);
    shut_past_address(warden);
    if (crowded)
        shut_waiting(warden, now);
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
    pthread_mutex_init(&warden->lock, NULL);
    pthread_cond_init(&warden->changed, NULL);
    return warden;
}

int warden_start(struct warden *warden, uint64_t port)
{
    int error;

    warden->port = port;
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
    free(warden->seen);
    free(warden->entries);
    free(warden);
}
