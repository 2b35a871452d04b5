/*
 * A connection on a socket whose other end the test holds: how the announced end goes on. The
 * session's whole traffic is tests/fuzz/fuzz_session.c's.
 */
#include "common/clock.h"
#include "common/load.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/wake.h"
#include "server/connection_private.h"
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING                                                                                   \
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                                                             \
    "\0\0\0\4\0\0\0\0\0"
#define GOAWAY         "\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define RST_STREAM_1   "\0\0\4\3\0\0\0\0\1\0\0\0\x08"
#define DATA_NO_STREAM "\0\0\1\0\0\0\0\0\0x" /* an error of the connection */

/* POST to StreamPackets: of the static table 3 and 6, and literals that are not indexed. */
#define HEADERS_1                                                                                  \
    "\0\0\x42\1\4\0\0\0\1\x83\x86"                                                                 \
    "\4\x28/telemetry.TelemetryIngest/StreamPackets"                                               \
    "\1\1x"                                                                                        \
    "\x0f\x10\x10"                                                                                 \
    "application/grpc"

struct fixture {
    struct connection_context context;
    struct stats_worker stats;
    struct connection *connection;
    int peer, wake;
};

static int setup(void **state)
{
    static const struct connection_options options = {.max_streams = 8, .stall_timeout_ms = 60000};
    static const struct hash_key key = {1, 2};
    static struct fixture fixture;
    struct fixture *f = &fixture;
    int fds[2];

    *state = f;
    memset(f, 0, sizeof *f);
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    f->wake = wake_create();
    assert_int_equal(connection_context_init(&f->context, &options), 0);
    f->context.now_ms = clock_now_ms();
    f->context.calls = (struct call_context){
        .cut = cut_create(&key, 10, f->wake),
        .commits = commits_create(),
        .stats = &f->stats,
        .limits = {1000, 32},
        .timers = timers_create(),
    };
    assert_true(f->context.calls.cut && f->context.calls.commits && f->context.calls.timers);
    thread_adopt(THREAD_FLUSHER, "test");
    commits_exchange_done(f->context.calls.commits); /* or Redis is away, and streams are refused */
    thread_adopt(THREAD_WORKER, "test");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    f->peer = fds[1];
    f->connection = connection_create(&f->context, fds[0], NULL);
    assert_non_null(f->connection);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    connection_destroy(f->connection);
    call_context_fini(&f->context.calls);
    cut_destroy(f->context.calls.cut);
    commits_destroy(f->context.calls.commits);
    timers_destroy(f->context.calls.timers);
    connection_context_fini(&f->context);
    close(f->peer);
    close(f->wake);
    return 0;
}

/* What the peer says, in one receive, and the server's answer. */
#define SAY(f, frames) say(f, frames, sizeof(frames) - 1)
static void say(struct fixture *f, const char *frames, size_t length)
{
    assert_int_equal(send(f->peer, frames, length, 0), length);
    assert_true(connection_receive(f->connection));
    assert_true(connection_send(f->connection));
}

static void announce(struct fixture *f)
{
    connection_announce_goaway(f->connection);
    assert_true(connection_send(f->connection));
}

/* Takes the server's GOAWAY, the last that it has said. Returns its error code. */
static uint32_t goaway_error(struct fixture *f)
{
    static const uint8_t goaway[] = {7, 0, 0, 0, 0, 0}; /* type, flags, stream */
    uint8_t said[1 << 12];
    ssize_t length = recv(f->peer, said, sizeof said, 0);
    const uint8_t *at;

    assert_true(length > 0);
    at = memmem(said, (size_t)length, goaway, sizeof goaway);
    assert_non_null(at);
    assert_true(at + sizeof goaway + 8 <= said + length);
    return load_be32(at + sizeof goaway + 4);
}

/* True when the server has ended its side. */
static bool has_ended(struct fixture *f)
{
    char discarded[1 << 12];
    ssize_t got;

    while ((got = recv(f->peer, discarded, sizeof discarded, 0)) > 0)
        ;
    return got == 0;
}

/* The fixture gives no time for the preface. */
static void timer_ends_who_says_nothing(void **state)
{
    struct fixture *f = *state;

    assert_true(connection_timer(f->connection));
    assert_int_equal(f->stats.bad_peer_slow, 1);
    assert_true(has_ended(f));
}

static void timer_waits_for_what_was_not_received_yet(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(send(f->peer, GREETING, sizeof GREETING - 1, 0), sizeof GREETING - 1);
    for (int i = 0; i < 3; i++)
        assert_true(connection_timer(f->connection));
    assert_int_equal(f->stats.bad_peers, 0);
    SAY(f, HEADERS_1);
    assert_int_equal(f->stats.streams_opened, 1);
}

static void announce_alone_ends_nothing(void **state)
{
    struct fixture *f = *state;

    SAY(f, GREETING);
    announce(f);
    assert_false(has_ended(f));
    SAY(f, HEADERS_1);
    assert_int_equal(f->stats.streams_opened, 1);
    assert_int_equal(f->stats.streams_refused, 0);
    assert_false(has_ended(f));
}

static void clients_goaway_after_announce_ends_an_idle_one(void **state)
{
    struct fixture *f = *state;

    SAY(f, GREETING);
    announce(f);
    SAY(f, GOAWAY);
    assert_true(has_ended(f));
}

static void clients_goaway_before_announce_ends_it_with_its_last_stream(void **state)
{
    struct fixture *f = *state;

    SAY(f, GREETING HEADERS_1 GOAWAY);
    assert_int_equal(f->stats.streams_opened, 1);
    assert_int_equal(f->stats.streams_refused, 0);
    announce(f);
    assert_false(has_ended(f));
    SAY(f, RST_STREAM_1);
    assert_true(has_ended(f));
}

static void breach_after_announce_ends_it(void **state)
{
    struct fixture *f = *state;

    SAY(f, GREETING);
    announce(f);
    SAY(f, DATA_NO_STREAM);
    assert_true(has_ended(f));
}

static void refuse_for_want_of_memory_blames_nobody(void **state)
{
    struct fixture *f = *state;

    SAY(f, GREETING);
    connection_refuse_input(f->connection, NGHTTP2_ERR_NOMEM, 0);
    assert_int_equal(goaway_error(f), NGHTTP2_INTERNAL_ERROR);
    assert_true(has_ended(f));
    assert_int_equal(f->stats.bad_peers, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(timer_ends_who_says_nothing),
        CASE(timer_waits_for_what_was_not_received_yet),
        CASE(announce_alone_ends_nothing),
        CASE(clients_goaway_after_announce_ends_an_idle_one),
        CASE(clients_goaway_before_announce_ends_it_with_its_last_stream),
        CASE(breach_after_announce_ends_it),
        CASE(refuse_for_want_of_memory_blames_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
