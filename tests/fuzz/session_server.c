/* See session_server.h. */
#include "tests/fuzz/session_server.h"

#include "aggregator/counters.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/wake.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_PARTS  64 /* of what is sent at once */
#define MAX_TIMERS 200

static void be(enum thread_role role)
{
    thread_adopt(role, "fuzz");
}

/* The time for all below, the server's code too: it passes only when a step says so. libFuzzer
 * reads another clock. */
static uint64_t now_ns = 1000000000000;

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock == CLOCK_REALTIME)
        return (int)syscall(SYS_clock_gettime, clock, time);
    *time = (struct timespec){(time_t)(now_ns / 1000000000), (long)(now_ns % 1000000000)};
    return 0;
}

/* ---- Input and output ----------------------------------------------------------------------- */

static void touched(struct call_context *context, struct connection *connection)
{
    (void)context; /* it is sent whatever is due, anyway */
    (void)connection;
}

static void end_connection(struct session_server *server)
{
    connection_destroy(server->connection);
    server->connection = NULL;
}

static void send_answers(struct session_server *server)
{
    if (server->connection && !connection_send(server->connection))
        end_connection(server);
    session_oracle_read(server->oracle);
}

/* Receives all there is. */
static void serve(struct session_server *server)
{
    int waiting = 1;

    while (server->connection && waiting > 0) {
        if (!connection_receive(server->connection)) {
            end_connection(server);
            break;
        }
        connection_end_turn(server->connection, 0);
        if (ioctl(connection_fd(server->connection), FIONREAD, &waiting))
            waiting = 0;
        send_answers(server);
    }
    session_oracle_read(server->oracle);
}

void session_server_pump(struct session_server *server)
{
    struct session_client *client = server->oracle->client;
    size_t at = 0;

    for (int i = 0; at < client->output_length && server->connection; i++) {
        size_t left = client->output_length - at;
        size_t part = i < MAX_PARTS ? fuzz_part_bytes(server->pattern, server->turn++, left) : left;
        ssize_t sent = send(client->fd, client->output + at, part, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent <= 0)
            break;
        at += (size_t)sent;
        serve(server);
    }
    client->output_length = 0;
}

/* ---- The cut -------------------------------------------------------------------------------- */

static void take_lane(struct session_oracle *oracle, struct cut_lane lane)
{
    struct counter *counter;
    uint64_t delta;

    while ((counter = counters_pop(lane.counters, lane.lane, &delta))) {
        size_t length;
        const uint8_t *id = counter_id(counter, &length);

        if (length == 2 && id[0] == 'd' && id[1] >= '0' && id[1] < '0' + SESSION_DEVICES)
            oracle->counted[id[1] - '0'] += delta;
        else
            oracle->others += delta;
    }
}

void session_server_cut(struct session_server *server)
{
    struct session_oracle *oracle = server->oracle;
    struct cut *cut = server->context.calls.cut;
    struct cut_totals totals = {0};

    if (server->cut_open)
        return;
    be(THREAD_FLUSHER);
    cut_request(cut, ++server->cuts);
    be(THREAD_WORKER);
    cut_answer(cut);
    be(THREAD_FLUSHER);
    FUZZ_CHECK(cut_answered(cut, server->cuts));
    take_lane(oracle, cut_take(cut, &totals));
    be(THREAD_WORKER);
    oracle->received += totals.received;
    oracle->rejected += balance_rejected_total(&totals.rejected);
    server->cut_open = true;
    FUZZ_CHECK(oracle->received == session_oracle_counted(oracle) + oracle->rejected);
}

void session_server_commit(struct session_server *server)
{
    if (!server->cut_open)
        return;
    be(THREAD_FLUSHER);
    commits_publish(server->context.calls.commits, server->cuts);
    be(THREAD_WORKER);
    server->cut_open = false;
    server->oracle->committed = session_oracle_counted(server->oracle);
    while (server->connection && call_answer_next(&server->context.calls, false))
        ;
    send_answers(server);
}

/* ---- Time, and the drain -------------------------------------------------------------------- */

void session_server_pass_time(struct session_server *server, uint64_t ms)
{
    struct timers *timers = server->context.calls.timers;
    struct timer *timer;
    size_t calls = 1000;
    uint64_t now;

    now_ns += ms * 1000000;
    session_oracle_pass_time(server->oracle, ms);
    now = server->context.now_ms = clock_now_ms();
    for (int i = 0; server->connection && (timer = timers_take_due(timers, now)); i++) {
        FUZZ_CHECK(i < MAX_TIMERS);
        if (timer->kind == TIMER_CALL)
            call_deadline(timer);
        else if (!connection_timer(server->connection))
            end_connection(server);
    }
    if (server->connection && !connection_tick_calls(server->connection, now, &calls))
        FUZZ_CHECK(!"a thousand calls were not enough");
    send_answers(server);
}

void session_server_interrupt(struct session_server *server, bool announces, bool says_last,
                              bool ends_calls)
{
    if (!server->connection)
        return;
    if (announces)
        connection_announce_goaway(server->connection);
    if (says_last)
        connection_goaway(server->connection);
    if (ends_calls) {
        server->context.calls.shutting_down = server->oracle->shutting_down = true;
        connection_interrupt(server->connection);
    }
    send_answers(server);
}

/* ---- Start and stop ------------------------------------------------------------------------- */

static void make_context(struct session_server *server)
{
    static const struct hash_key key = {3, 4};
    static const struct connection_options options = {
        .max_streams = SESSION_MAX_STREAMS,
        .handshake_timeout_ms = 10000,
        .stall_timeout_ms = SESSION_STALL_MS,
        .keepalive_time_ms = 30000,
        .keepalive_timeout_ms = 20000,
        .max_age_ms = 600000,
        .max_age_grace_ms = 30000,
    };
    int flusher_fd = wake_create();

    log_configure(LOG_ERROR + 1, LOG_TEXT);
    FUZZ_CHECK(flusher_fd >= 0 && !connection_context_init(&server->context, &options));
    server->context.calls.cut = cut_create(&key, 1000, flusher_fd);
    server->context.calls.commits = commits_create();
    FUZZ_CHECK(server->context.calls.cut && server->context.calls.commits);
}

int session_server_start(struct session_server *server, struct session_oracle *oracle,
                         uint8_t pattern)
{
    int fds[2];

    if (!server->context.calls.cut)
        make_context(server);
    server->oracle = oracle;
    server->pattern = pattern;
    server->turn = 0;
    server->cut_open = false;
    server->context.now_ms = clock_now_ms();
    server->context.calls = (struct call_context){
        .cut = server->context.calls.cut,
        .commits = server->context.calls.commits,
        .stats = &server->stats,
        .stall_timeout_ms = SESSION_STALL_MS,
        .limits = {SESSION_MAX_MESSAGE_BYTES, SESSION_MAX_ID_BYTES},
        .timers = timers_create(),
        .touch = touched,
    };
    FUZZ_CHECK(server->context.calls.timers);
    be(THREAD_FLUSHER);
    commits_exchange_done(server->context.calls.commits);
    be(THREAD_WORKER);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    server->connection = connection_create(&server->context, fds[0], NULL);
    FUZZ_CHECK(server->connection);
    return fds[1];
}

void session_server_stop(struct session_server *server)
{
    struct call_context *calls = &server->context.calls;

    end_connection(server);
    session_server_cut(server);
    session_server_commit(server);
    FUZZ_CHECK(!calls->waiting_first && !calls->gathered_count);
    FUZZ_CHECK(timers_next_ms(calls->timers) == UINT64_MAX);
    call_context_fini(calls);
    timers_destroy(calls->timers);
}
