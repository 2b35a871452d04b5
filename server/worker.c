/*
 * The worker's round: wait for events; receive from each connection that has something, answering
 * a request for a cut between any two receives; take new connections; acknowledge what was
 * committed; run the timers that are due; send; destroy what ended; and if it was a small round,
 * hold the next one back.
 *
 * Connections come through the inbox. Wake-ups (a cut, a commit, a stage) come through the cut's
 * eventfd.
 */
#include "server/worker.h"

#include "common/address_table.h"
#include "common/clock.h"
#include "common/pressure.h"
#include "common/thread.h"
#include "common/wake.h"
#include "server/connections.h"
#include "server/inbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS        64
#define INBOX_CONNECTIONS 64   /* taken from the inbox at once */
#define GOAWAY_DELAY_MS   100  /* for streams that are under way when the first GOAWAY is sent */
#define LINGER_MS         1000 /* for peers to end their side once the worker stops */
#define TICK_MS           1000 /* between two looks at all calls, and at the load */
#define ROUND_TIMERS      1024 /* timers that it runs: some microseconds each */

/* See moderate(). The kernel's timers add about as much again to the time. */
#define MODERATION_NS    50000
#define TIGHT_NS         1000000     /* while memory is short */
#define MODERATION_BYTES (128 << 10) /* half of the receive buffer */

struct worker {
    struct worker_options options;
    struct connection_context context;
    int epoll_fd;
    struct inbox *inbox;
    pthread_t thread;

    struct connections connections;
    struct timers *timers;
    uint64_t tick_ms; /* when the next tick is due */

    enum worker_stage stage; /* the last one acted on */
    uint64_t goaway_ms;      /* when the final GOAWAY is due; 0: not, or done */
    uint64_t stopping_ms;    /* when WORKER_STOPPING began */

    _Atomic uint64_t alive_ms; /* when it last went round; relaxed, since main only compares it */

    struct {
        _Atomic int stage;
    } CACHE_ALIGNED requested; /* writer: main */
    uint64_t given;            /* main's own: connections handed over, ever */
};

/* ---- Create and destroy --------------------------------------------------------------------- */

static void touch(struct call_context *calls, struct connection *connection)
{
    struct worker *worker =
        (struct worker *)((char *)calls - offsetof(struct worker, context.calls));

    connections_touch(&worker->connections, connection);
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

    thread_assert_role(THREAD_MAIN);
    if (!worker)
        return NULL;
    memset(worker, 0, sizeof *worker);
    worker->options = *options;
    worker->epoll_fd = -1;
    worker->timers = timers_create();
    error = connection_context_init(&worker->context, &options->connections);
    if (!worker->timers || error) {
        errno = ENOMEM;
        goto err;
    }
    worker->context.calls = (struct call_context){
        .cut = options->cut,
        .commits = options->commits,
        .stats = options->stats,
        .redis_grace_ms = options->redis_grace_ms,
        .stall_timeout_ms = options->stall_timeout_ms,
        .limits = {options->max_message_bytes, options->max_device_id_bytes},
        .tokens = options->tokens,
        .pressure = options->pressure,
        .timers = worker->timers,
        .touch = touch,
    };
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->connections.context = &worker->context;
    worker->connections.epoll_fd = worker->epoll_fd;
    worker->inbox = inbox_create();
    if (worker->epoll_fd < 0 || !worker->inbox)
        goto err;
    /* The two that are no connections are told apart by where their pointers point. */
    if (watch(worker, inbox_fd(worker->inbox), worker->inbox) ||
        watch(worker, cut_worker_fd(options->cut), worker))
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
    thread_assert_role(THREAD_MAIN);
    if (!worker)
        return;
    inbox_destroy(worker->inbox);
    if (worker->epoll_fd >= 0)
        close(worker->epoll_fd);
    call_context_fini(&worker->context.calls);
    connection_context_fini(&worker->context);
    timers_destroy(worker->timers);
    free(worker);
}

/* ---- Connections ---------------------------------------------------------------------------- */

static void take_inbox(struct worker *worker)
{
    struct inbox_item items[INBOX_CONNECTIONS];
    size_t count = inbox_take(worker->inbox, items, INBOX_CONNECTIONS);

    for (size_t i = 0; i < count; i++) {
        struct connection *connection =
            connections_take(&worker->connections, items[i].fd, items[i].address);

        if (connection && worker->stage >= WORKER_DRAINING)
            connection_goaway(connection);
        /* Our preface goes out after the peer's first bytes: they may be no HTTP/2 at all. */
    }
}

/* ---- Answers and stages --------------------------------------------------------------------- */

/* Answers every call whose cut is committed; all calls, when `force` is set. */
static void acknowledge(struct worker *worker, bool force)
{
    struct call *call;

    while ((call = call_answer_next(&worker->context.calls, force)))
        connections_touch(&worker->connections, call->connection);
}

/* Acts on the stages that main has asked for, one after the other. */
static void follow_stage(struct worker *worker)
{
    enum worker_stage requested =
        (enum worker_stage)atomic_load_explicit(&worker->requested.stage, memory_order_acquire);

    if (worker->stage < WORKER_DRAINING && requested >= WORKER_DRAINING) {
        worker->stage = WORKER_DRAINING;
        worker->context.calls.draining = true;
        connections_tick_begin(&worker->connections);
        worker->goaway_ms = clock_now_ms() + GOAWAY_DELAY_MS;
        connections_each(&worker->connections, connection_announce_goaway);
    }
    if (worker->goaway_ms && clock_now_ms() >= worker->goaway_ms) {
        worker->goaway_ms = 0;
        connections_each(&worker->connections, connection_goaway);
    }
    if (worker->stage < WORKER_INTERRUPT && requested >= WORKER_INTERRUPT) {
        worker->stage = WORKER_INTERRUPT;
        worker->context.calls.shutting_down = true;
        connections_each(&worker->connections, connection_interrupt);
    }
    if (worker->stage < WORKER_STOPPING && requested >= WORKER_STOPPING) {
        worker->stage = WORKER_STOPPING;
        worker->stopping_ms = clock_now_ms();
        acknowledge(worker, true);
        connections_each(&worker->connections, connection_goaway);
    }
}

/* ---- The thread ----------------------------------------------------------------------------- */

static void note_load(struct worker *worker)
{
    struct stats_worker *stats = worker->options.stats;

    stats_set(&stats->cpu_ns, clock_thread_cpu_ns());
    stats_set(&stats->counter_bytes, cut_counter_bytes(worker->options.cut));
}

/* What is to be done now and then. Once the worker stops, it gives up on peers in any round. */
static void tick(struct worker *worker)
{
    uint64_t now = clock_now_ms();
    bool give_up = worker->stopping_ms && now >= worker->stopping_ms + LINGER_MS;

    atomic_store_explicit(&worker->alive_ms, now, memory_order_relaxed);
    connections_tick(&worker->connections, now);
    if (give_up)
        connections_end_all(&worker->connections);
    if (now < worker->tick_ms)
        return;
    worker->tick_ms = now + TICK_MS;
    if (!worker->connections.sweep)
        connections_tick_begin(&worker->connections);
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
        else
            connections_timer(&worker->connections, connection_of_timer(timer));
    }
}

/* How long the worker may wait for events. */
static int patience_ms(const struct worker *worker)
{
    uint64_t next = timers_next_ms(worker->timers), now;
    bool ending = worker->goaway_ms || worker->stage == WORKER_STOPPING;
    bool busy = worker->connections.sweep || worker->connections.pending;
    int most = busy ? 0 : ending ? GOAWAY_DELAY_MS / 4 : TICK_MS;

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

static void handle_event(struct worker *worker, const struct epoll_event *event)
{
    if (event->data.ptr == worker) {
        wake_clear(cut_worker_fd(worker->options.cut));
    } else if (event->data.ptr == worker->inbox) {
        take_inbox(worker);
    } else { /* also when it can be sent to: a TLS handshake goes on by receiving */
        if (event->events & EPOLLERR)
            connections_lost(&worker->connections, event->data.ptr);
        connections_receive(&worker->connections, event->data.ptr);
        hand_over(worker);
    }
}

/* Receives what epoll does not see. Whoever has more of it then waits for the next round. */
static void handle_pending(struct worker *worker)
{
    connections_begin_pending(&worker->connections);
    while (connections_receive_pending(&worker->connections))
        hand_over(worker);
}

/*
 * Lets small receives run together. A round costs some microseconds however little it brings, so
 * after one that brought little the next is held back for a moment; after one that brought much,
 * or nothing, it is not. Whoever was silent is heard at once, and many small writes cost no more
 * than 10,000 rounds a second. Network cards moderate their interrupts for the same reason. While
 * memory is short every round is held back, and longer: the kernel's buffers and then the senders
 * wait.
 */
static void moderate(const struct worker *worker, uint64_t bytes_before)
{
    bool tight = pressure_level(worker->options.pressure) != PRESSURE_NONE;
    const struct timespec moment = {.tv_nsec = tight ? TIGHT_NS : MODERATION_NS};
    uint64_t bytes = stats_get(&worker->options.stats->bytes_received) - bytes_before;

    if (bytes > 0 && (bytes < MODERATION_BYTES || tight))
        nanosleep(&moment, NULL);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    struct epoll_event events[MAX_EVENTS];

    while (worker->stage < WORKER_STOPPING || worker->connections.first) {
        uint64_t bytes_before = stats_get(&worker->options.stats->bytes_received);
        int n = epoll_wait(worker->epoll_fd, events, MAX_EVENTS, patience_ms(worker));

        worker->context.now_ms = clock_now_ms();
        handle_pending(worker); /* first, so that nobody has two turns in a round */
        for (int i = 0; i < n; i++)
            handle_event(worker, &events[i]);
        hand_over(worker);
        acknowledge(worker, false);
        follow_stage(worker);
        run_timers(worker);
        tick(worker);
        connections_send(&worker->connections);
        connections_end_round(&worker->connections);
        if (n < MAX_EVENTS || pressure_level(worker->options.pressure) != PRESSURE_NONE)
            moderate(worker, bytes_before);
    }
    return NULL;
}

int worker_start(struct worker *worker)
{
    char name[16];

    thread_assert_role(THREAD_MAIN);
    worker->alive_ms = clock_now_ms();
    snprintf(name, sizeof name, "worker-%u", worker->options.number % 1000);
    return thread_start(&worker->thread, THREAD_WORKER, name, run, worker);
}

int worker_give(struct worker *worker, int fd, struct address *address)
{
    int error = inbox_put(worker->inbox, fd, address);

    if (error) {
        close(fd);
        address_table_release(address);
        return error;
    }
    worker->given++;
    return 0;
}

void worker_set_stage(struct worker *worker, enum worker_stage stage)
{
    thread_assert_role(THREAD_MAIN);
    atomic_store_explicit(&worker->requested.stage, stage, memory_order_release);
    cut_wake_worker(worker->options.cut);
}

uint64_t worker_alive_ms(const struct worker *worker)
{
    thread_assert_role(THREAD_MAIN);
    return atomic_load_explicit(&worker->alive_ms, memory_order_relaxed);
}

uint64_t worker_connections(const struct worker *worker)
{
    thread_assert_role(THREAD_MAIN);
    return worker->given - stats_get(&worker->options.stats->connections_closed);
}

uint64_t worker_streams(const struct worker *worker)
{
    const struct stats_worker *stats = worker->options.stats;

    thread_assert_role(THREAD_MAIN);
    return stats_open_now(&stats->streams_opened, &stats->streams_closed);
}

void worker_join(struct worker *worker)
{
    thread_assert_role(THREAD_MAIN);
    pthread_join(worker->thread, NULL);
}
