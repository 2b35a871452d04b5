/*
 * The client of bench_raw_discard: sends the bytes of a file again and again, as fast as the
 * socket takes them. The time it reports ends when the server has read them all.
 */
#include "common/clock.h"
#include "program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    uint64_t port, repeat;
    char *path;
    bool help;
};

static const struct opt_row rows[] = {
    PROGRAM_NUMBER("port", port, "50051", 1, 65535, "PORT", "TCP port of 127.0.0.1"),
    PROGRAM_STRING("bytes", path, NULL, "FILE", "what to send"),
    PROGRAM_NUMBER("repeat", repeat, "1", 1, 1000000000, "N", "how often"),
    PROGRAM_HELP,
};

static const struct opt_table table = {
    .synopsis = "Usage: bench_raw_send --port PORT --bytes FILE [options]\n\n"
                "Sends FILE as fast as it can and prints bytes and seconds as JSON.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

/* Maps the file; the mapping lasts as long as the program. Returns its length, 0 on failure. */
static size_t map_file(const char *path, const uint8_t **bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *at = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0)
        at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at == MAP_FAILED)
        return 0;
    *bytes = at;
    return (size_t)status.st_size;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int send_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

        if (n < 0)
            return -1;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

static int fail(const char *what)
{
    fprintf(stderr, "bench_raw_send: %s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    const uint8_t *bytes = NULL;
    size_t length = 0;
    uint64_t start;
    char end;
    int fd;

    program_options("bench_raw_send", &table, &options, &options.help, argc, argv);
    if (!options.path || !(length = map_file(options.path, &bytes)))
        return fail(options.path ? options.path : "--bytes");
    fd = connect_to((uint16_t)options.port);
    if (fd < 0)
        return fail("cannot connect");
    start = clock_now_ns();
    for (uint64_t i = 0; i < options.repeat; i++) {
        if (send_all(fd, bytes, length))
            return fail("cannot send");
    }
    shutdown(fd, SHUT_WR);
    if (recv(fd, &end, 1, 0) != 0) /* the server closes when it has read to the end */
        return fail("the server did not read to the end");
    printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f}\n", options.repeat * length,
           (double)(clock_now_ns() - start) / 1e9);
    opt_free(&table, &options);
    return EXIT_SUCCESS;
}
