/*
 * The run. A slot is a place for one stream at a time; there are connections x streams of them,
 * and each takes the next range of the plan as soon as its stream ended, whichever connection it
 * is on. A slot that may not send now, because of --rate, waits in one queue over all
 * connections, so that the rate is shared fairly; without --rate nothing ever waits there.
 *
 * The run is over when no stream is open and none can be started any more.
 */
#include "client/sender.h"

#include "client/sender_private.h"
#include "client/target.h"
#include "common/clock.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS      64
#define NS_IN_MS    1000000u
#define MAX_WAIT_MS 1000

bool sender_plan_is_done(const struct sender *sender)
{
    return sender->stopping ||
           (sender->next_stream == sender->plan.streams && !sender->returned_count);
}

static bool run_is_over(const struct sender *sender)
{
    return !sender->calls_open && (sender_plan_is_done(sender) || !sender->channels_live);
}

void sender_start_next(struct sender *sender, struct slot *slot)
{
    size_t back = sender->returned_count;

    if (sender_plan_is_done(sender))
        return;
    slot->range =
        back ? sender->returned[back - 1] : plan_stream(&sender->plan, sender->next_stream);
    if (rpc_call_start(channel_session(slot->connection->channel), &slot->call, slot->range.count))
        return; /* the range stays in the plan, for another connection */
    slot->sent = 0;
    if (sender->replay)
        replay_start(sender->replay, &slot->cursor.replayed, slot->range.first, slot->range.count);
    else
        generator_start(&slot->cursor.made, slot->range.first, slot->range.count);
    if (back)
        sender->returned_count--;
    else
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
    struct sender *sender = ((struct connection *)context)->sender;
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
    struct sender *sender = ((struct connection *)context)->sender;
    struct slot *slot = (struct slot *)call;
    struct replay_cursor *cursor = &slot->cursor.replayed;
    size_t length = replay_write(sender->replay, cursor, stream_id, credit(sender), window, out);

    *end = replay_done(cursor);
    account(sender, slot, cursor->next, length == 0);
    return length;
}

/* The server has not taken the stream, and asks to send it again: no failure. */
static void take_back(struct sender *sender, const struct slot *slot)
{
    sender->report->sent -= slot->sent;
    sender->returned[sender->returned_count++] = slot->range;
}

static void ended(void *context, struct rpc_call *call, const struct rpc_outcome *outcome)
{
    struct sender *sender = ((struct connection *)context)->sender;
    struct slot *slot = (struct slot *)call;
    uint64_t now_ns = clock_now_ns(), sent = slot->sent;

    sender->calls_open--;
    sender->steps++;
    if (slot->waits)
        TAILQ_REMOVE(&sender->waiting, slot, wait_link);
    slot->waits = false;
    if (outcome->come_again && slot->connection->served) {
        take_back(sender, slot);
        return;
    }
    if (outcome->status == GRPC_OK) {
        slot->connection->served = true;
        report_add_acknowledged(sender->report, sent, call->ended_ns ? now_ns - call->ended_ns : 0);
    } else {
        report_add_failure(sender->report, REPORT_STREAM, outcome, sent);
    }
    if (sender->totals)
        device_totals_add(sender->totals, slot->range.first, sent, outcome->status == GRPC_OK);
    sender_start_next(sender, slot);
}

static const struct rpc_handler making = {.fill = fill, .ended = ended};
static const struct rpc_handler replaying = {.frames = frames, .ended = ended};

/* Ends everything at once, for the reason given. */
static void stop(struct sender *sender, enum grpc_status status, const char *message)
{
    struct rpc_outcome outcome = {.status = status};

    snprintf(outcome.message, sizeof outcome.message, "%s", message);
    if (!sender->calls_open && !sender_plan_is_done(sender))
        report_add_failure(sender->report, REPORT_CONNECTION, &outcome, 0);
    sender->stopping = true;
    for (uint64_t i = 0; i < sender->options->connections; i++)
        channel_fail(sender->connections[i].channel, &outcome);
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
        channel_wake(slot->connection->channel);
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
        channel_start(sender->connections[i].channel);
    while (!run_is_over(sender)) {
        int count = epoll_wait(sender->epoll_fd, events, EVENTS, wait_ms(sender, now_ns));

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                channel_handle(events[i].data.ptr, events[i].events);
            else
                take_signal(sender);
        }
        sender_come_back(sender);
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

static void release(struct sender *sender)
{
    sender_destroy_connections(sender);
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
        result = sender_create_connections(&sender, sender.replay ? &replaying : &making);
    if (!result)
        run(&sender);
    release(&sender);
    sigprocmask(SIG_SETMASK, &previous, NULL);
    return result;
}
