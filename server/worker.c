/*
 * The worker's round: wait for events; receive from each connection that has something, answering
 * a request for a cut between any two receives; take new connections; acknowledge what was
 * committed; run the timers that are due; send; destroy what ended; and if it was a small round,
 * hold the next one back.
 *
 * Connections come through a pipe of file descriptors: the kernel's queue between main and the
 * worker. Wake-ups (a cut, a commit, a stage) come through the cut's eventfd. Whoever finds a
 * connection at its end only marks it; the round's last step destroys it, so that an event that is
 * still to be looked at never points to freed memory.
 */
#include "server/worker.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/wake.h"
#include "server/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BYTES   (256 << 10) /* larger receives mean fewer calls and fewer split packets */
#define MAX_EVENTS      64
#define INBOX_FDS       64   /* taken from the pipe at once */
#define GOAWAY_DELAY_MS 100  /* for streams that are under way when the first GOAWAY is sent */
#define LINGER_MS       1000 /* for a peer to end its side after we have ended ours */
#define TICK_MS         1000 /* between two looks at all calls, at who lingers, and at the load */
#define SWEEP_CALLS     4096 /* calls that a round looks at: well under a millisecond */
#define ROUND_TIMERS    1024 /* timers that it runs: some microseconds each */

/* See moderate(). The kernel's timers add about as much again to the time. */
#define MODERATION_NS    50000
#define MODERATION_BYTES (RECEIVE_BYTES / 2)

struct worker {
    struct worker_options options;
    struct connection_context context;
    int epoll_fd;
    int inbox[2]; /* a pipe: main writes fds, the worker reads them */
    pthread_t thread;

    struct connection *connections; /* the newest first */
    struct connection *to_send;     /* those with output to be sent this round */
    struct connection *dead;        /* those to destroy at the end of the round */
    struct connection *sweep;       /* whose calls are ticked next; NULL: all were */
    struct timers *timers;
    uint64_t tick_ms; /* when the next tick is due */

    enum worker_stage stage; /* the last one acted on */
    uint64_t goaway_ms;      /* when the final GOAWAY is due; 0: not, or done */
    uint64_t stopping_ms;    /* when WORKER_STOPPING began */

    struct {
        _Atomic int stage;
    } CACHE_ALIGNED requested; /* writer: main */
    uint64_t given;            /* main's own: connections handed over, ever */
};

static void mark_to_send(struct worker *worker, struct connection *connection);

/* ---- Create and destroy --------------------------------------------------------------------- */

static void touch(struct call_context *calls, struct connection *connection)
{
    mark_to_send((struct worker *)((char *)calls - offsetof(struct worker, context.calls)),
                 connection);
}

static int watch(struct worker *worker, int fd, void *who)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = who};

    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

struct worker *worker_create(const struct worker_options *options)
{
    struct worker *worker = aligned_alloc(CACHE_LINE_BYTES, sizeof *worker);
    int error;

    if (!worker)
        return NULL;
    memset(worker, 0, sizeof *worker);
    worker->options = *options;
    worker->inbox[0] = worker->inbox[1] = -1;
    worker->context.calls = (struct call_context){
        .cut = options->cut,
        .commits = options->commits,
        .stats = options->stats,
        .redis_grace_ms = options->redis_grace_ms,
        .stall_timeout_ms = options->stall_timeout_ms,
        .limits = {options->max_message_bytes, options->max_device_id_bytes},
        .tokens = options->tokens,
        .pressure = options->pressure,
        .touch = touch,
    };
    worker->timers = worker->context.calls.timers = timers_create();
    if (!worker->timers)
        goto err;
    worker->context.buffer_bytes = RECEIVE_BYTES;
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll_fd < 0 || pipe2(worker->inbox, O_NONBLOCK | O_CLOEXEC))
        goto err;
    /* The two that are no connections are told apart by where their pointers point. */
    if (watch(worker, worker->inbox[0], &worker->inbox) ||
        watch(worker, cut_worker_fd(options->cut), worker))
        goto err;
    worker->context.buffer = calloc(1, RECEIVE_BYTES + PACKET_RUN_SLACK_BYTES);
    if (!worker->context.buffer)
        goto err;
    return worker;

err:
    error = errno;
    worker_destroy(worker);
    errno = error;
    return NULL;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    for (int i = 0; i < 2; i++) {
        if (worker->inbox[i] >= 0)
            close(worker->inbox[i]);
    }
    if (worker->epoll_fd >= 0)
        close(worker->epoll_fd);
    call_context_fini(&worker->context.calls);
    timers_destroy(worker->timers);
    free(worker->context.buffer);
    free(worker);
}

/* ---- Connections ---------------------------------------------------------------------------- */

static void mark_dead(struct worker *worker, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);

    if (!links->dead) {
        links->dead = true;
        links->next_dead = worker->dead;
        worker->dead = connection;
    }
}

static void mark_to_send(struct worker *worker, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);

    if (!links->to_send) {
        links->to_send = true;
        links->next_to_send = worker->to_send;
        worker->to_send = connection;
    }
}

static void take_connection(struct worker *worker, int fd)
{
    struct connection *connection = connection_create(&worker->context, fd);
    struct connection_links *links;

    stats_add(&worker->options.stats->connections_opened, 1);
    if (!connection) {
        log_warn("cannot take a connection: out of memory");
        stats_add(&worker->options.stats->connections_closed, 1);
        return;
    }
    links = connection_links(connection);
    links->next = worker->connections;
    if (links->next)
        connection_links(links->next)->previous = connection;
    worker->connections = connection;
    if (watch(worker, fd, connection))
        mark_dead(worker, connection);
    if (worker->stage >= WORKER_DRAINING)
        connection_goaway(connection);
    /* Our preface goes out after the peer's first bytes: they may be no HTTP/2 at all. */
}

static void take_inbox(struct worker *worker)
{
    int fds[INBOX_FDS];
    ssize_t bytes = read(worker->inbox[0], fds, sizeof fds);

    for (ssize_t i = 0; i < bytes / (ssize_t)sizeof fds[0]; i++)
        take_connection(worker, fds[i]);
}

static void unlink_connection(struct worker *worker, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);

    if (worker->sweep == connection)
        worker->sweep = links->next;
    if (links->previous)
        connection_links(links->previous)->next = links->next;
    else
        worker->connections = links->next;
    if (links->next)
        connection_links(links->next)->previous = links->previous;
}

static void destroy_dead(struct worker *worker)
{
    while (worker->dead) {
        struct connection *connection = worker->dead;
        struct connection_links *links = connection_links(connection);

        worker->dead = links->next_dead;
        unlink_connection(worker, connection);
        connection_destroy(connection);
        stats_add(&worker->options.stats->connections_closed, 1);
    }
}

static void send_output(struct worker *worker)
{
    while (worker->to_send) {
        struct connection *connection = worker->to_send;
        struct connection_links *links = connection_links(connection);
        bool wants_write;

        worker->to_send = links->next_to_send;
        links->to_send = false;
        if (links->dead)
            continue;
        if (!connection_send(connection)) {
            mark_dead(worker, connection);
            continue;
        }
        wants_write = connection_wants_write(connection);
        if (wants_write != links->polls_write) {
            struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0),
                                        .data.ptr = connection};

            epoll_ctl(worker->epoll_fd, EPOLL_CTL_MOD, connection_fd(connection), &event);
            links->polls_write = wants_write;
        }
    }
}

/* Gives up on peers that do not end their side, or on all of them. */
static void reap_lingering(struct worker *worker, uint64_t now, bool all)
{
    for (struct connection *c = worker->connections; c; c = connection_links(c)->next) {
        uint64_t since = connection_shut_ms(c);

        if (all || (since && now >= since + LINGER_MS))
            mark_dead(worker, c);
    }
}

/* ---- Answers and stages --------------------------------------------------------------------- */

/* Answers every call whose cut is committed; all calls, when `force` is set. */
static void acknowledge(struct worker *worker, bool force)
{
    struct call *call;

    while ((call = call_answer_next(&worker->context.calls, force)))
        mark_to_send(worker, call->connection);
}

static void for_each_connection(struct worker *worker, void (*act)(struct connection *))
{
    for (struct connection *c = worker->connections; c; c = connection_links(c)->next) {
        act(c);
        mark_to_send(worker, c);
    }
}

/* Acts on the stages that main has asked for, one after the other. */
static void follow_stage(struct worker *worker)
{
    enum worker_stage requested =
        (enum worker_stage)atomic_load_explicit(&worker->requested.stage, memory_order_acquire);

    if (worker->stage < WORKER_DRAINING && requested >= WORKER_DRAINING) {
        worker->stage = WORKER_DRAINING;
        worker->context.calls.draining = true;
        worker->sweep = worker->connections;
        worker->goaway_ms = clock_now_ms() + GOAWAY_DELAY_MS;
        for_each_connection(worker, connection_announce_goaway);
    }
    if (worker->goaway_ms && clock_now_ms() >= worker->goaway_ms) {
        worker->goaway_ms = 0;
        for_each_connection(worker, connection_goaway);
    }
    if (worker->stage < WORKER_INTERRUPT && requested >= WORKER_INTERRUPT) {
        worker->stage = WORKER_INTERRUPT;
        worker->context.calls.shutting_down = true;
        for_each_connection(worker, connection_interrupt);
    }
    if (worker->stage < WORKER_STOPPING && requested >= WORKER_STOPPING) {
        worker->stage = WORKER_STOPPING;
        worker->stopping_ms = clock_now_ms();
        acknowledge(worker, true);
        for_each_connection(worker, connection_goaway);
    }
}

/* ---- The thread ----------------------------------------------------------------------------- */

static void note_load(struct worker *worker)
{
    struct stats_worker *stats = worker->options.stats;

    stats_set(&stats->cpu_ns, clock_thread_cpu_ns());
    stats_set(&stats->counter_bytes, cut_counter_bytes(worker->options.cut));
}

/* Ticks calls where the last round stopped: there can be so many that all at once would hold the
 * worker up. */
static void sweep_calls(struct worker *worker, uint64_t now)
{
    size_t left = SWEEP_CALLS;

    while (worker->sweep) {
        if (!connection_tick_calls(worker->sweep, now, &left))
            return;
        worker->sweep = connection_links(worker->sweep)->next;
    }
}

/* What is to be done now and then. Once the worker stops, it gives up on peers in any round. */
static void tick(struct worker *worker)
{
    uint64_t now = clock_now_ms();
    bool give_up = worker->stopping_ms && now >= worker->stopping_ms + LINGER_MS;

    sweep_calls(worker, now);
    if (now < worker->tick_ms && !give_up)
        return;
    worker->tick_ms = now + TICK_MS;
    if (!worker->sweep)
        worker->sweep = worker->connections;
    reap_lingering(worker, now, give_up);
    note_load(worker); /* there is no cut for long while Redis is away */
}

/* What is due and not done this round makes the next one begin at once: see patience_ms(). */
static void run_timers(struct worker *worker)
{
    uint64_t now = clock_now_ms();
    struct timer *timer;

    for (int n = 0; n < ROUND_TIMERS && (timer = timers_take_due(worker->timers, now)); n++) {
        if (timer->kind == TIMER_CALL)
            call_deadline(timer);
    }
}

/* How long the worker may wait for events. */
static int patience_ms(const struct worker *worker)
{
    uint64_t next = timers_next_ms(worker->timers), now;
    bool ending = worker->goaway_ms || worker->stage == WORKER_STOPPING;
    int most = worker->sweep ? 0 : ending ? GOAWAY_DELAY_MS / 4 : TICK_MS;

    if (next == UINT64_MAX || most == 0)
        return most;
    now = clock_now_ms();
    if (next <= now)
        return 0;
    return next - now < (uint64_t)most ? (int)(next - now) : most;
}

/*
 * Answers a request for a cut. What arrived is noted before, so that who has seen the balance of
 * this cut does not see less here. The stage first: the flusher's last request comes after main's
 * WORKER_INTERRUPT (main stores the stage, then tells the flusher to stop; the request is loaded
 * with acquire in cut_asked(), the stage after it), so nothing is counted behind the last cut.
 */
static void hand_over(struct worker *worker)
{
    stats_set(&worker->options.stats->packets_arrived, cut_arrived(worker->options.cut));
    if (!cut_asked(worker->options.cut))
        return;
    follow_stage(worker);
    note_load(worker);
    cut_answer(worker->options.cut);
}

static void receive(struct worker *worker, struct connection *connection)
{
    if (connection_links(connection)->dead)
        return;
    if (connection_receive(connection))
        mark_to_send(worker, connection);
    else
        mark_dead(worker, connection);
    hand_over(worker);
}

static void handle_event(struct worker *worker, const struct epoll_event *event)
{
    if (event->data.ptr == worker) {
        wake_clear(cut_worker_fd(worker->options.cut));
    } else if (event->data.ptr == &worker->inbox) {
        take_inbox(worker);
    } else if (event->events & ~(uint32_t)EPOLLOUT) {
        receive(worker, event->data.ptr);
    } else {
        mark_to_send(worker, event->data.ptr);
    }
}

/*
 * Lets small receives run together. A round costs some microseconds however little it brings, so
 * after one that brought little the next is held back for a moment; after one that brought much,
 * or nothing, it is not. Whoever was silent is heard at once, and many small writes cost no more
 * than 10,000 rounds a second. Network cards moderate their interrupts for the same reason.
 */
static void moderate(const struct worker *worker, uint64_t bytes_before)
{
    const struct timespec moment = {.tv_nsec = MODERATION_NS};
    uint64_t bytes = stats_get(&worker->options.stats->bytes_received) - bytes_before;

    if (bytes > 0 && bytes < MODERATION_BYTES)
        nanosleep(&moment, NULL);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    struct epoll_event events[MAX_EVENTS];

    while (worker->stage < WORKER_STOPPING || worker->connections) {
        uint64_t bytes_before = stats_get(&worker->options.stats->bytes_received);
        int n = epoll_wait(worker->epoll_fd, events, MAX_EVENTS, patience_ms(worker));

        for (int i = 0; i < n; i++)
            handle_event(worker, &events[i]);
        hand_over(worker);
        acknowledge(worker, false);
        follow_stage(worker);
        run_timers(worker);
        tick(worker);
        send_output(worker);
        destroy_dead(worker);
        if (n < MAX_EVENTS) /* else more of them wait */
            moderate(worker, bytes_before);
    }
    return NULL;
}

int worker_start(struct worker *worker)
{
    char name[16];

    snprintf(name, sizeof name, "worker-%u", worker->options.number % 1000);
    return thread_start(&worker->thread, THREAD_WORKER, name, run, worker);
}

int worker_give(struct worker *worker, int fd)
{
    int error;

    /* A write of so few bytes into a pipe is never split. */
    if (write(worker->inbox[1], &fd, sizeof fd) == (ssize_t)sizeof fd) {
        worker->given++;
        return 0;
    }
    error = -errno;
    close(fd);
    return error;
}

void worker_set_stage(struct worker *worker, enum worker_stage stage)
{
    atomic_store_explicit(&worker->requested.stage, stage, memory_order_release);
    cut_wake_worker(worker->options.cut);
}

uint64_t worker_connections(const struct worker *worker)
{
    return worker->given - stats_get(&worker->options.stats->connections_closed);
}

uint64_t worker_streams(const struct worker *worker)
{
    const struct stats_worker *stats = worker->options.stats;

    return stats_get(&stats->streams_opened) - stats_get(&stats->streams_closed);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}
