/*
 * The server's packet path alone: one thread, one connection, no Redis, no event loop, and the same
 * bytes in every run. Each piece that the client's end sends is received by connection_receive(),
 * as a worker would, and counted in a real cut. Two things can be measured: instructions, by
 * callgrind with --toggle-collect='measured_receive*' (tests/bench/test_instructions.py), and CPU
 * time, which it prints, the receive from the socket included.
 *
 * It is a test, too: in the end every device's count, the cut's total and the answer must be right.
 *
 * One thread plays worker and flusher in turn, and takes on their roles.
 */
#include "aggregator/counters.h"
#include "common/opt.h"
#include "common/thread.h"
#include "common/wake.h"
#include "server/connection.h"
#include "tests/bench/ingest_client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BYTES (256 << 10) /* as a worker's */
#define SOCKET_BYTES  (4 << 20)   /* the kernel may grant less; a piece must fit */
#define NAME          "ingest-loop"

enum { EXIT_WRONG_OPTIONS = 2 };

/* ---- Options -------------------------------------------------------------------------------- */

struct loop_options {
    struct ingest_client_options client;
    uint64_t repeat, piece_bytes;
    bool help;
};

#define NUMBER(n, field, default_value, low, high, meta, text)                                     \
    {                                                                                              \
        .name = n, .type = OPT_NUMBER, .offset = offsetof(struct loop_options, field),             \
        .fallback = default_value, .min = low, .max = high, .metavar = meta, .help = text          \
    }

static const struct opt_row rows[] = {
    NUMBER("devices", client.devices, "1000", 1, 100000000, "D", "devices"),
    NUMBER("packets", client.packets, "1000000", 1, 1000000000, "N", "packets of a pass"),
    NUMBER("packet-bytes", client.packet_bytes, "45", 1, INGEST_FRAME_MAX_BYTES, "B",
           "bytes of a packet, its 5 bytes of framing not counted"),
    NUMBER("frame-packets", client.frame_packets, "0", 0, INGEST_FRAME_MAX_BYTES, "N",
           "packets a DATA frame; 0 fills the frames and splits packets where they end"),
    NUMBER("piece-bytes", piece_bytes, "65536", 1, RECEIVE_BYTES, "B", "bytes received at a time"),
    NUMBER("repeat", repeat, "10", 1, 1000000, "R", "passes over the same packets, in one stream"),
    {.name = "help",
     .type = OPT_FLAG,
     .offset = offsetof(struct loop_options, help),
     .help = "print this help",
     .traits = OPT_COMMAND},
};

static const struct opt_table table = {
    .synopsis = "Usage: ingest_loop [options]\n\n"
                "Runs packets through the server's packet path in one thread, without Redis.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

/* ---- The server's side ---------------------------------------------------------------------- */

struct loop {
    struct loop_options options;
    struct cut *cut;
    struct commits *commits;
    struct stats_worker stats;
    struct connection_context context;
    struct connection *connection;
    struct ingest_client *client;
    int flusher_fd;
    uint64_t ns; /* of CPU, in measured_receive() */
    struct timers *timers;
    uint64_t devices; /* handed over by the cut */
};

static uint64_t cpu_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void be(enum thread_role role)
{
    thread_adopt(role, NAME);
}

static void connect_ends(struct loop *loop)
{
    const int bytes = SOCKET_BYTES;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
        ingest_die("no socket pair: %s", strerror(errno));
    for (int i = 0; i < 2; i++) {
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes))
            ingest_die("SO_SNDBUF: %s", strerror(errno));
    }
    loop->connection = connection_create(&loop->context, fds[0], NULL);
    if (!loop->connection)
        ingest_die("no connection: %s", strerror(errno));
    loop->client = ingest_client_create(&loop->options.client, fds[1]);
}

static void loop_init(struct loop *loop)
{
    static const struct hash_key key = {3, 4}; /* fixed, so that every run is the same */
    static const struct connection_options options = {.max_streams = 1024};

    loop->flusher_fd = wake_create();
    loop->cut = cut_create(&key, loop->options.client.devices, loop->flusher_fd);
    loop->commits = commits_create();
    loop->timers = timers_create();
    if (loop->flusher_fd < 0 || !loop->cut || !loop->commits || !loop->timers ||
        connection_context_init(&loop->context, &options))
        ingest_die("cannot start: %s", strerror(errno));
    loop->context.calls = (struct call_context){
        .cut = loop->cut,
        .commits = loop->commits,
        .stats = &loop->stats,
        .limits = {4 << 20, 256},
        .timers = loop->timers,
    };
    be(THREAD_FLUSHER);
    commits_exchange_done(loop->commits); /* or streams are refused: "redis down" */
    be(THREAD_WORKER);
    connect_ends(loop);
}

static void loop_fini(struct loop *loop)
{
    connection_destroy(loop->connection);
    ingest_client_destroy(loop->client);
    connection_context_fini(&loop->context);
    timers_destroy(loop->timers);
    commits_destroy(loop->commits);
    cut_destroy(loop->cut);
    close(loop->flusher_fd);
}

/* ---- The loop ------------------------------------------------------------------------------- */

/* Callgrind counts instructions while this runs: it must stay a function that can be named. */
__attribute__((noinline)) static bool measured_receive(struct connection *connection)
{
    return connection_receive(connection);
}

/* Handles what the client has sent, and lets it read the answer. */
static void serve(struct loop *loop)
{
    bool alive;

    do {
        uint64_t start = cpu_now_ns();

        alive = measured_receive(loop->connection);
        loop->ns += cpu_now_ns() - start;
        connection_end_turn(loop->connection, 0); /* it is cheap, as packets are */
    } while (alive && connection_has_more(loop->connection));
    if (!alive || !connection_send(loop->connection))
        ingest_die("the server ended the connection");
    ingest_client_read(loop->client);
}

/* Returns the nanoseconds of CPU of a pass. */
static uint64_t run_pass(struct loop *loop)
{
    uint64_t before = loop->ns;

    while (ingest_client_send(loop->client, loop->options.piece_bytes))
        serve(loop);
    return loop->ns - before;
}

static void check_device(struct loop *loop, const struct counter *counter, uint64_t delta)
{
    size_t length;
    const uint8_t *id = counter_id(counter, &length);
    uint64_t expected = ingest_client_expected(loop->client, id, length) * loop->options.repeat;

    loop->devices++;
    if (delta != expected)
        ingest_die("%.*s: counted %" PRIu64 ", sent %" PRIu64, (int)length, (const char *)id, delta,
                   expected);
}

/* Ends the stream, makes the cut, says that it is committed, and checks what came of all that. A
 * device that was lost whole would be missing in the total. */
static void end_and_check(struct loop *loop)
{
    uint64_t packets = loop->options.client.packets * loop->options.repeat;
    struct cut_totals totals = {0};
    struct counter *counter;
    struct cut_lane lane;
    struct call *call;
    uint64_t delta;

    ingest_client_end(loop->client);
    serve(loop);
    be(THREAD_FLUSHER);
    cut_request(loop->cut, 1);
    be(THREAD_WORKER);
    cut_answer(loop->cut);
    be(THREAD_FLUSHER);
    if (!cut_answered(loop->cut, 1))
        ingest_die("the cut was not answered");
    lane = cut_take(loop->cut, &totals);
    while ((counter = counters_pop(lane.counters, lane.lane, &delta)))
        check_device(loop, counter, delta);
    commits_publish(loop->commits, 1);
    be(THREAD_WORKER);
    call = call_answer_next(&loop->context.calls, false);
    if (totals.received != packets || balance_rejected_total(&totals.rejected) || !call ||
        call->status != GRPC_OK || call->received != packets)
        ingest_die("sent %" PRIu64 " packets, counted %" PRIu64 ", and the call %" PRIu64, packets,
                   totals.received, call ? call->received : 0);
    if (!connection_send(loop->connection))
        ingest_die("the server ended the connection");
    ingest_client_read(loop->client);
    if (!ingest_client_answered(loop->client))
        ingest_die("the stream was not answered");
}

static void run(struct loop *loop)
{
    uint64_t all = 0, fastest = UINT64_MAX, packets = loop->options.client.packets;

    ingest_client_greet(loop->client);
    serve(loop);
    ingest_client_request(loop->client);
    serve(loop);
    for (uint64_t i = 0; i < loop->options.repeat; i++) {
        uint64_t ns = run_pass(loop);

        all += ns;
        if (ns < fastest)
            fastest = ns;
    }
    end_and_check(loop);
    printf("build: %s, nghttp2 %s\n", BUILD_DESCRIPTION, nghttp2_version(0)->version_str);
    printf("counted: %" PRIu64 " packets of %" PRIu64 " devices\n", packets * loop->options.repeat,
           loop->devices);
    printf("ns a packet: %.1f, %.1f in the fastest pass\n",
           (double)all / (double)(packets * loop->options.repeat),
           (double)fastest / (double)packets);
}

int main(int argc, char **argv)
{
    static struct loop loop;
    char error[ERROR_BYTES];

    if (opt_load(&table, &loop.options, argc, argv, error)) {
        fprintf(stderr, "ingest_loop: %s\n", error);
        return EXIT_WRONG_OPTIONS;
    }
    if (loop.options.help) {
        opt_print_help(&table, stdout);
        return EXIT_SUCCESS;
    }
    loop_init(&loop);
    run(&loop);
    loop_fini(&loop);
    return EXIT_SUCCESS;
}
