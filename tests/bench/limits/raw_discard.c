/*
 * The limit of the machine: receives bytes over TCP and discards them. Whatever a server does with
 * the same bytes comes on top of this. bench_raw_send is its client.
 */
#include "loop.h"
#include "program.h"

#include <inttypes.h>
#include <string.h>

struct options {
    uint64_t port;
    bool help;
};

static const struct opt_row rows[] = {
    PROGRAM_NUMBER("port", port, "0", 0, 65535, "PORT", "TCP port of 127.0.0.1; 0 is a free one"),
    PROGRAM_HELP,
};

static const struct opt_table table = {
    .synopsis = "Usage: bench_raw_discard [options]\n\n"
                "Receives and discards until SIGTERM, then prints how many bytes came, as JSON.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

/* All connections share the one counter. */
static void *open_counter(void *context, int fd)
{
    (void)fd;
    return context;
}

static bool count(void *connection, const uint8_t *bytes, size_t length)
{
    uint64_t *total = connection;

    (void)bytes;
    *total += length;
    return true;
}

static void close_counter(void *connection)
{
    (void)connection;
}

int main(int argc, char **argv)
{
    const struct loop_handler handler = {open_counter, count, close_counter};
    struct options options = {0};
    uint64_t total = 0;
    int error;

    program_options("bench_raw_discard", &table, &options, &options.help, argc, argv);
    error = loop_run((uint16_t)options.port, &handler, &total);
    if (error) {
        fprintf(stderr, "bench_raw_discard: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    printf("{\"bytes\": %" PRIu64 "}\n", total);
    return EXIT_SUCCESS;
}
