/*
 * The limit of the flush: how many HINCRBYs a second this Redis takes in transactions as tallyd
 * sends them, when the client does next to nothing. It is redis-benchmark's method (-P): commands
 * rendered beforehand, a bounded number of them under way, replies only counted.
 *
 * The fields are what tally-send names its devices. In the first round over them Redis creates
 * them; for the rate of later rounds run it again, without deleting the key.
 */
#include "aggregator/batch.h"
#include "aggregator/redis.h"
#include "aggregator/resolver.h"
#include "aggregator/resp.h"
#include "common/clock.h"
#include "program.h"

#include <errno.h>
#include <hiredis.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS    60000
#define RECEIVE_BYTES (64 << 10)
#define DEVICE_BYTES  32

struct options {
    char *host, *socket, *key;
    uint64_t port, devices, hincrbys, outstanding;
    bool help;
};

static const struct opt_row rows[] = {
    PROGRAM_STRING("host", host, "127.0.0.1", "HOST", "Redis's address"),
    PROGRAM_NUMBER("port", port, "6379", 1, 65535, "PORT", "Redis's TCP port"),
    PROGRAM_STRING("socket", socket, NULL, "PATH", "Redis's Unix socket, instead of host and port"),
    PROGRAM_STRING("key", key, "bench:limit", "KEY", "the hash that is counted in"),
    PROGRAM_NUMBER("devices", devices, "1000000", 1, 100000000, "D", "fields, taken in turn"),
    PROGRAM_NUMBER("n", hincrbys, "1000000", 1, 1000000000000, "N",
                   "HINCRBYs in all, rounded up to whole transactions"),
    PROGRAM_NUMBER("outstanding", outstanding, "2", 1, 1000, "P",
                   "transactions sent and not yet answered, at most"),
    PROGRAM_HELP,
};

static const struct opt_table table = {
    .synopsis = "Usage: bench_redis_limit [options]\n\n"
                "Sends MULTI, HINCRBY KEY device-NNNNNNN 1 ..., EXEC, and prints the rate as JSON.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

struct load {
    const struct options *options;
    struct resp *transactions; /* sent in turn */
    size_t count;
    int fd;
    bool line_begins; /* at the next byte that is received */
};

/* ---- The commands --------------------------------------------------------------------------- */

static void render(struct resp *out, const struct options *options, uint64_t first)
{
    char device[DEVICE_BYTES];

    resp_command(out, 1);
    resp_text(out, "MULTI");
    for (uint64_t i = 0; i < BATCH_MAX; i++) {
        snprintf(device, sizeof device, "device-%07" PRIu64, (first + i) % options->devices);
        resp_command(out, 4);
        resp_text(out, "HINCRBY");
        resp_text(out, options->key);
        resp_text(out, device);
        resp_number(out, 1);
    }
    resp_command(out, 1);
    resp_text(out, "EXEC");
}

static void load_fini(struct load *load)
{
    for (size_t i = 0; load->transactions && i < load->count; i++)
        resp_fini(&load->transactions[i]);
    free(load->transactions);
}

/* As many transactions as it takes to name each device. Returns 0 or -ENOMEM. */
static int load_init(struct load *load, const struct options *options)
{
    uint64_t count = (options->devices + BATCH_MAX - 1) / BATCH_MAX;

    *load = (struct load){.options = options, .count = count, .line_begins = true};
    load->transactions = calloc(count, sizeof *load->transactions);
    if (!load->transactions)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++) {
        resp_init(&load->transactions[i]);
        render(&load->transactions[i], options, i * BATCH_MAX);
        if (load->transactions[i].failed)
            return -ENOMEM;
    }
    return 0;
}

/* ---- The run -------------------------------------------------------------------------------- */

/* Redis reads on while its replies wait, so this cannot stand still for ever. */
static int send_transaction(const struct load *load, const struct resp *transaction)
{
    size_t sent = 0;

    while (sent < transaction->length) {
        ssize_t n =
            send(load->fd, transaction->bytes + sent, transaction->length - sent, MSG_NOSIGNAL);

        if (n < 0)
            return -errno;
        sent += (size_t)n;
    }
    return 0;
}

/* Adds the lines that end in `bytes` to *lines. Returns -EPROTO for one that is an error. */
static int count_lines(struct load *load, const char *bytes, size_t length, uint64_t *lines)
{
    const char *end = bytes + length;

    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));

        if (load->line_begins && *bytes == '-')
            return -EPROTO;
        load->line_begins = newline != NULL;
        if (!newline)
            break;
        ++*lines;
        bytes = newline + 1;
    }
    return 0;
}

/* A transaction's replies are lines: OK; QUEUED for each command; the count of results; each
 * result, a number. */
static int run(struct load *load, uint64_t transactions)
{
    const uint64_t lines_each = 2 + 2 * BATCH_MAX;
    uint64_t sent = 0, lines = 0;
    char buffer[RECEIVE_BYTES];

    while (lines < transactions * lines_each) {
        ssize_t n;
        int error = 0;

        while (!error && sent < transactions &&
               sent - lines / lines_each < load->options->outstanding)
            error = send_transaction(load, &load->transactions[sent++ % load->count]);
        if (error)
            return error;
        n = recv(load->fd, buffer, sizeof buffer, 0);
        if (n <= 0)
            return n ? -errno : -ECONNRESET;
        error = count_lines(load, buffer, (size_t)n, &lines);
        if (error)
            return error;
    }
    return 0;
}

/* ---- The program ---------------------------------------------------------------------------- */

static int measure(struct load *load)
{
    const struct options *options = load->options;
    uint64_t transactions = (options->hincrbys + BATCH_MAX - 1) / BATCH_MAX;
    uint64_t start = clock_now_ns();
    double seconds;
    int error = run(load, transactions);

    if (error) {
        fprintf(stderr, "bench_redis_limit: %s\n",
                error == -EPROTO ? "Redis answered with an error" : strerror(-error));
        return EXIT_FAILURE;
    }
    seconds = (double)(clock_now_ns() - start) / 1e9;
    printf("{\"hincrby_per_s\": %.0f, \"hincrbys\": %" PRIu64 ", \"seconds\": %.6f}\n",
           (double)(transactions * BATCH_MAX) / seconds, transactions * BATCH_MAX, seconds);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    char error[ERROR_BYTES] = "out of memory";
    struct redis_options where = {0};
    redisContext *redis = NULL;
    struct options options = {0};
    struct resolver resolver = {0};
    struct load load;
    int status = EXIT_FAILURE;

    program_options("bench_redis_limit", &table, &options, &options.help, argc, argv);
    where.host = options.host;
    where.port = options.port;
    where.socket = options.socket;
    if (load_init(&load, &options) == 0)
        redis = redis_open(&where, &resolver, TIMEOUT_MS, error);
    if (redis) {
        load.fd = redis->fd;
        status = measure(&load);
        redisFree(redis);
    } else {
        fprintf(stderr, "bench_redis_limit: %s\n", error);
    }
    load_fini(&load);
    opt_free(&table, &options);
    return status;
}
