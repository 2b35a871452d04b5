/*
 * The run. A slot is a place for one stream at a time; there are connections x streams of them,
 * and each takes the next range of the plan as soon as its stream ended, whichever connection it
 * is on. A slot that may not send now, because of --rate, waits in one queue over all
 * connections, so that the rate is shared fairly; without --rate nothing ever waits there.
 *
 * The run is over when no stream is open and none can be started any more.
 */
#include "client/sender.h"

#include "client/channel.h"
#include "client/pacer.h"
#include "client/plan.h"
#include "client/progress.h"
#include "client/replay.h"
#include "client/target.h"
#include "common/clock.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS      64
#define NS_IN_MS    1000000u
#define MAX_WAIT_MS 1000

struct slot {
    struct rpc_call call; /* first, so that a call's address is its slot's */
    struct channel *channel;
    struct plan_range range;
    uint64_t sent; /* packets of it that were begun */
    union {
        struct generator_cursor made;
        struct replay_cursor replayed;
    } cursor;
    bool waits;
    TAILQ_ENTRY(slot) wait_link;
};

struct sender {
    const struct send_options *options;
    const struct credentials *credentials;
    const struct generator *generator;
    struct replay *replay; /* NULL: packets are made as they go */
    struct report *report;
    struct device_totals *totals;
    struct plan plan;
    uint64_t next_stream;
    struct pacer pacer;
    struct progress progress;
    TAILQ_HEAD(slot_list, slot) waiting;
    struct slot *slots;
    struct channel **channels;
    struct addrinfo *addresses;
    uint64_t channels_live; /* connecting or ready */
    uint64_t calls_open;
    uint64_t steps; /* grows with every packet sent, stream ended and connection made */
    uint64_t steps_seen, steps_seen_ns;
    int epoll_fd, signal_fd;
    bool stopping;
};

static bool plan_is_done(const struct sender *sender)
{
    return sender->stopping || sender->next_stream == sender->plan.streams;
}

static bool run_is_over(const struct sender *sender)
{
    return !sender->calls_open && (plan_is_done(sender) || !sender->channels_live);
}

static void start_next(struct sender *sender, struct slot *slot)
{
    if (plan_is_done(sender))
        return;
    slot->range = plan_stream(&sender->plan, sender->next_stream);
    if (rpc_call_start(channel_session(slot->channel), &slot->call, slot->range.count))
        return; /* the range stays in the plan, for another connection */
    slot->sent = 0;
    if (sender->replay)
        replay_start(sender->replay, &slot->cursor.replayed, slot->range.first, slot->range.count);
    else
        generator_start(&slot->cursor.made, slot->range.first, slot->range.count);
    sender->next_stream++;
    sender->calls_open++;
}

static int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_IN_MS;
}

/* How many packets may go now. */
static uint64_t credit(struct sender *sender)
{
    return sender->options->rate ? pacer_credit(&sender->pacer, clock_now_ns()) : UINT64_MAX;
}

/* Notes that a slot has begun its packets before number `next`. One that had nothing to send, and
 * is not at its end, waits for more credit. */
static void account(struct sender *sender, struct slot *slot, uint64_t next, bool nothing)
{
    uint64_t packets = next - slot->range.first - slot->sent;

    slot->sent += packets;
    pacer_take(&sender->pacer, packets);
    sender->report->sent += packets;
    sender->steps += packets;
    if (nothing) {
        slot->waits = true;
        TAILQ_INSERT_TAIL(&sender->waiting, slot, wait_link);
    }
}

static size_t fill(void *context, struct rpc_call *call, uint8_t *out, size_t room, bool *end)
{
    struct sender *sender = context;
    struct slot *slot = (struct slot *)call;
    struct generator_cursor *cursor = &slot->cursor.made;
    size_t length =
        generator_fill(sender->generator, cursor, wall_clock_ms(), credit(sender), out, room);

    *end = generator_done(cursor);
    account(sender, slot, cursor->next, !*end && length == 0);
    return length;
}

static size_t frames(void *context, struct rpc_call *call, int32_t stream_id, struct output *out,
                     size_t window, bool *end)
{
    struct sender *sender = context;
    struct slot *slot = (struct slot *)call;
    struct replay_cursor *cursor = &slot->cursor.replayed;
    size_t length = replay_write(sender->replay, cursor, stream_id, credit(sender), window, out);

    *end = replay_done(cursor);
    account(sender, slot, cursor->next, length == 0);
    return length;
}

static void ended(void *context, struct rpc_call *call, const struct rpc_outcome *outcome)
{
    struct sender *sender = context;
    struct slot *slot = (struct slot *)call;
    uint64_t now_ns = clock_now_ns(), sent = slot->sent;

    sender->calls_open--;
    sender->steps++;
    if (slot->waits)
        TAILQ_REMOVE(&sender->waiting, slot, wait_link);
    slot->waits = false;
    if (outcome->status == GRPC_OK)
        report_add_acknowledged(sender->report, sent, call->ended_ns ? now_ns - call->ended_ns : 0);
    else
        report_add_failure(sender->report, REPORT_STREAM, outcome, sent);
    if (sender->totals)
        device_totals_add(sender->totals, slot->range.first, sent, outcome->status == GRPC_OK);
    start_next(sender, slot);
}

static void ready(void *context, struct channel *channel)
{
    struct sender *sender = context;
    uint64_t streams = sender->options->streams, index = 0;

    sender->steps++;
    while (sender->channels[index] != channel)
        index++;
    for (uint64_t i = 0; i < streams; i++)
        start_next(sender, &sender->slots[index * streams + i]);
}

/* Streams that ended with it are noted already; otherwise it matters only while packets are left
 * that it should have carried. */
static void closed(void *context, struct channel *channel, const struct rpc_outcome *outcome,
                   size_t calls)
{
    struct sender *sender = context;

    (void)channel;
    sender->channels_live--;
    sender->steps++;
    if (calls == 0 && !plan_is_done(sender))
        report_add_failure(sender->report, REPORT_CONNECTION, outcome, 0);
}

static const struct rpc_handler making = {.fill = fill, .ended = ended};
static const struct rpc_handler replaying = {.frames = frames, .ended = ended};
static const struct channel_handler channel_handler = {.ready = ready, .closed = closed};

/* Ends everything at once, for the reason given. */
static void stop(struct sender *sender, enum grpc_status status, const char *message)
{
    struct rpc_outcome outcome = {.status = status};

    snprintf(outcome.message, sizeof outcome.message, "%s", message);
    if (!sender->calls_open && !plan_is_done(sender))
        report_add_failure(sender->report, REPORT_CONNECTION, &outcome, 0);
    sender->stopping = true;
    for (uint64_t i = 0; i < sender->options->connections; i++)
        channel_fail(sender->channels[i], &outcome);
}

static void take_signal(struct sender *sender)
{
    struct signalfd_siginfo info;

    if (read(sender->signal_fd, &info, sizeof info) != sizeof info)
        return;
    sender->report->signal = (int)info.ssi_signo;
    stop(sender, GRPC_CANCELLED, "interrupted");
}

static void check_progress(struct sender *sender, uint64_t now_ns)
{
    char message[RPC_MESSAGE_BYTES];
    uint64_t timeout_ms = sender->options->timeout_ms;

    if (sender->steps != sender->steps_seen) {
        sender->steps_seen = sender->steps;
        sender->steps_seen_ns = now_ns;
    } else if (timeout_ms && now_ns - sender->steps_seen_ns >= timeout_ms * NS_IN_MS) {
        snprintf(message, sizeof message, "no progress for %llu ms",
                 (unsigned long long)timeout_ms);
        stop(sender, GRPC_DEADLINE_EXCEEDED, message);
    }
}

/* Lets waiting slots send again, oldest first, no more of them than there are packets to go. */
static void resume_waiting(struct sender *sender, uint64_t now_ns)
{
    uint64_t packets;
    struct slot *slot;

    if (TAILQ_EMPTY(&sender->waiting))
        return;
    packets = pacer_credit(&sender->pacer, now_ns);
    while (packets-- && (slot = TAILQ_FIRST(&sender->waiting))) {
        TAILQ_REMOVE(&sender->waiting, slot, wait_link);
        slot->waits = false;
        rpc_call_resume(&slot->call);
        channel_wake(slot->channel);
    }
}

/* Milliseconds until something must be done even if no socket is ready. */
static int wait_ms(const struct sender *sender, uint64_t now_ns)
{
    uint64_t wait = sender->progress.out ? PROGRESS_INTERVAL_MS : MAX_WAIT_MS, due;

    if (sender->options->timeout_ms) {
        due = sender->options->timeout_ms - (now_ns - sender->steps_seen_ns) / NS_IN_MS;
        wait = due < wait ? due : wait;
    }
    if (!TAILQ_EMPTY(&sender->waiting)) {
        due = pacer_wait_ns(&sender->pacer, now_ns) / NS_IN_MS + 1;
        wait = due < wait ? due : wait;
    }
    return (int)wait;
}

static void run(struct sender *sender)
{
    struct epoll_event events[EVENTS];
    struct report *report = sender->report;
    uint64_t start_ns = clock_now_ns(), now_ns = start_ns;

    pacer_init(&sender->pacer, sender->options->rate, start_ns);
    progress_init(&sender->progress, stderr, start_ns);
    sender->steps_seen_ns = start_ns;
    for (uint64_t i = 0; i < sender->options->connections; i++)
        channel_start(sender->channels[i]);
    while (!run_is_over(sender)) {
        int count = epoll_wait(sender->epoll_fd, events, EVENTS, wait_ms(sender, now_ns));

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                channel_handle(events[i].data.ptr, events[i].events);
            else
                take_signal(sender);
        }
        now_ns = clock_now_ns();
        resume_waiting(sender, now_ns);
        check_progress(sender, now_ns);
        progress_update(&sender->progress, report->planned, report->sent, report->acknowledged,
                        now_ns);
    }
    report->seconds = (double)(clock_now_ns() - start_ns) / 1e9;
    progress_clear(&sender->progress);
}

/* SIGINT and SIGTERM become events of the loop. */
static int watch_signals(struct sender *sender, sigset_t *previous)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, previous);
    sender->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (sender->signal_fd < 0 ||
        epoll_ctl(sender->epoll_fd, EPOLL_CTL_ADD, sender->signal_fd, &event))
        return -errno;
    return 0;
}

static int create_channels(struct sender *sender)
{
    const struct send_options *options = sender->options;
    const struct channel_options channel_options = {
        .addresses = sender->addresses,
        .target = options->target,
        .credentials = sender->credentials,
        .epoll_fd = sender->epoll_fd,
        .rpc = sender->replay ? &replaying : &making,
        .handler = &channel_handler,
        .context = sender,
    };

    sender->channels = calloc(options->connections, sizeof *sender->channels);
    sender->slots = calloc(options->connections * options->streams, sizeof *sender->slots);
    if (!sender->channels || !sender->slots)
        return -ENOMEM;
    for (uint64_t i = 0; i < options->connections; i++) {
        sender->channels[i] = channel_create(&channel_options);
        if (!sender->channels[i])
            return -ENOMEM;
        sender->channels_live++;
        for (uint64_t j = 0; j < options->streams; j++)
            sender->slots[i * options->streams + j].channel = sender->channels[i];
    }
    return 0;
}

static void release(struct sender *sender)
{
    for (uint64_t i = 0; sender->channels && i < sender->options->connections; i++)
        channel_destroy(sender->channels[i]);
    free(sender->channels);
    free(sender->slots);
    if (sender->signal_fd >= 0)
        close(sender->signal_fd);
    if (sender->epoll_fd >= 0)
        close(sender->epoll_fd);
    freeaddrinfo(sender->addresses);
    replay_destroy(sender->replay);
}

/* Before the run's clock starts. Returns 0 or a negative errno. */
static int render(struct sender *sender)
{
    if (!sender->options->replay)
        return 0;
    sender->replay =
        replay_create(sender->generator, wall_clock_ms(), sender->options->frame_packets);
    return sender->replay ? 0 : -errno;
}

int sender_run(const struct send_options *options, const struct credentials *credentials,
               const struct generator *generator, struct report *report,
               struct device_totals *totals)
{
    struct sender sender = {
        .options = options,
        .credentials = credentials,
        .generator = generator,
        .report = report,
        .totals = totals,
        .plan = plan_make(options->packets, options->connections * options->streams,
                          options->packets_per_stream),
        .epoll_fd = -1,
        .signal_fd = -1,
    };
    struct rpc_outcome outcome;
    sigset_t previous;
    int result;

    TAILQ_INIT(&sender.waiting);
    report->planned = options->packets;
    sender.addresses = target_resolve(&options->server, &outcome);
    if (!sender.addresses) {
        report_add_failure(report, REPORT_CONNECTION, &outcome, 0);
        return 0;
    }
    sender.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (sender.epoll_fd < 0) {
        result = -errno;
        freeaddrinfo(sender.addresses);
        return result;
    }
    result = watch_signals(&sender, &previous);
    if (!result)
        result = render(&sender);
    if (!result)
        result = create_channels(&sender);
    if (!result)
        run(&sender);
    release(&sender);
    sigprocmask(SIG_SETMASK, &previous, NULL);
    return result;
}
