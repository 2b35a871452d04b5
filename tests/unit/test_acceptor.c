/* Connections that cannot be taken: each is closed and counted, or left in the queue, and nothing
 * of it stays behind. The worker is never started, so what it is given it keeps. */
#include "common/log.h"
#include "common/stats.h"
#include "common/wake.h"
#include "server/acceptor.h"
#include "server/worker.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 100000 /* connections: over what an inbox holds */

struct fixture {
    struct stats_main stats;
    struct stats_worker worker_stats;
    struct worker *worker;
    struct cut *cut;
    struct commits *commits;
    struct acceptor *acceptor;
    int wake;
};

/* The linker sends all calls of calloc(3) here (--wrap). */
static bool memory_is_short;
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_calloc(size_t count, size_t bytes);

void *__wrap_calloc(size_t count, size_t bytes)
{
    return memory_is_short ? NULL : __real_calloc(count, bytes);
}

static int setup(void **state)
{
    static const struct hash_key key = {1, 2};
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct worker_options worker = {.stats = &f->worker_stats, .max_device_id_bytes = 32};
    struct acceptor_options options = {
        .address = "127.0.0.1",
        .workers = &f->worker,
        .worker_count = 1,
        .max_connections = MANY,
        .max_connections_per_address = 1,
        .descriptors = MANY,
        .hash_key = key,
        .stats = &f->stats,
    };

    *state = f;
    memset(f, 0, sizeof *f);
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    f->wake = wake_create();
    worker.cut = f->cut = cut_create(&key, 10, f->wake);
    worker.commits = f->commits = commits_create();
    f->worker = worker_create(&worker);
    assert_true(f->cut && f->commits && f->worker);
    f->acceptor = acceptor_create(&options);
    assert_non_null(f->acceptor);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    worker_destroy(f->worker);
    acceptor_destroy(f->acceptor);
    cut_destroy(f->cut);
    commits_destroy(f->commits);
    close(f->wake);
    return 0;
}

/* A client's side of a connection that waits to be taken. */
static int dial(const struct fixture *f)
{
    struct sockaddr_in where;
    socklen_t length = sizeof where;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(getsockname(acceptor_fd(f->acceptor), (struct sockaddr *)&where, &length), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, length), 0);
    return fd;
}

/* True when the server has closed it; it has to have taken it, or this waits. */
static bool hangs_up(int client)
{
    char byte;
    bool ended = recv(client, &byte, 1, 0) <= 0;

    close(client);
    return ended;
}

static void take_when_an_inbox_is_full_refuses(void **state)
{
    struct fixture *f = *state;

    while (worker_give(f->worker, -1, NULL) == 0)
        assert_true(worker_connections(f->worker) < MANY);
    for (uint64_t n = 1; n <= 2; n++) { /* the second of the address, which may have one */
        int client = dial(f);

        assert_true(acceptor_take(f->acceptor));
        assert_true(hangs_up(client));
        assert_int_equal(stats_get(&f->stats.connections_refused_busy), n);
    }
    assert_int_equal(stats_get(&f->stats.connections_refused_address), 0);
}

static void take_without_memory_refuses(void **state)
{
    struct fixture *f = *state;
    int client = dial(f), next;

    memory_is_short = true;
    assert_true(acceptor_take(f->acceptor));
    memory_is_short = false;
    assert_true(hangs_up(client));
    assert_int_equal(stats_get(&f->stats.connections_refused_memory), 1);
    assert_int_equal(worker_connections(f->worker), 0);
    next = dial(f);
    assert_true(acceptor_take(f->acceptor));
    assert_int_equal(worker_connections(f->worker), 1);
    close(next);
}

static void take_without_descriptors_leaves_them_in_the_queue(void **state)
{
    struct fixture *f = *state;
    int client = dial(f);
    struct rlimit before, none_left;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none_left = before;
    none_left.rlim_cur = (rlim_t)client + 1; /* the lowest that was free */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    assert_false(acceptor_take(f->acceptor));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(worker_connections(f->worker), 0);
    assert_true(acceptor_take(f->acceptor));
    assert_int_equal(worker_connections(f->worker), 1);
    close(client);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(take_when_an_inbox_is_full_refuses),
        CASE(take_without_memory_refuses),
        CASE(take_without_descriptors_leaves_them_in_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
