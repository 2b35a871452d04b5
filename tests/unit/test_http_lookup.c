/*
 * Lookups against a Redis of the test's own, which answers, hangs up or keeps silent as it is told,
 * and counts what it was asked. What the real one answers is tested in the integration tests.
 */
#include "common/clock.h"
#include "common/thread.h"
#include "http/lookup.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS 16

enum mood { ANSWERS, HANGS_UP, SILENT };

struct server {
    int listener;
    uint64_t port;
    pthread_t thread;
    atomic_bool stopping;
    atomic_int mood;        /* an enum mood */
    atomic_int connections; /* accepted so far */
    atomic_int commands;    /* read so far */
};

struct asker {
    struct lookup *lookup;
    pthread_t thread;
    enum count_source_result result;
    int64_t count;
    char error[ERROR_BYTES];
};

/* Answers one command; each is small and sent in one piece. False to hang up. */
static bool answer(struct server *server, int client)
{
    char command[512];
    ssize_t length = recv(client, command, sizeof command - 1, 0);
    const char *reply = "$2\r\n42\r\n";

    if (length <= 0)
        return false;
    command[length] = '\0';
    atomic_fetch_add(&server->commands, 1);
    if (server->mood == HANGS_UP)
        return false;
    if (server->mood == SILENT)
        return true;
    if (strstr(command, "PING"))
        reply = "+PONG\r\n";
    else if (strstr(command, "nobody"))
        reply = "$-1\r\n";
    else if (strstr(command, "broken"))
        reply = "$3\r\nabc\r\n";
    return send(client, reply, strlen(reply), MSG_NOSIGNAL) > 0;
}

/* One client at a time, as a lookup has one connection; a new one replaces the old one. */
static void *serve(void *argument)
{
    struct server *server = argument;
    int client = -1;

    while (!server->stopping) {
        struct pollfd fds[] = {{server->listener, POLLIN, 0}, {client, POLLIN, 0}};

        poll(fds, 2, 10);
        if (client >= 0 && fds[1].revents && !answer(server, client)) {
            close(client);
            client = -1;
        }
        if (fds[0].revents) {
            if (client >= 0)
                close(client);
            client = accept(server->listener, NULL, NULL);
            atomic_fetch_add(&server->connections, 1);
        }
    }
    if (client >= 0)
        close(client);
    return NULL;
}

static void start(struct server *server, enum mood mood)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    *server = (struct server){.listener = socket(AF_INET, SOCK_STREAM, 0), .mood = mood};
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, REQUESTS), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(thread_start(&server->thread, THREAD_HTTP, "redis", serve, server), 0);
}

static void stop(struct server *server, struct lookup *lookup)
{
    lookup_destroy(lookup);
    server->stopping = true;
    pthread_join(server->thread, NULL);
    close(server->listener);
}

/* The options live as long as the test program; one lookup is there at a time. */
static struct lookup *start_lookup(const struct server *server)
{
    static struct redis_options options;
    struct lookup *lookup;

    options = (struct redis_options){.host = "127.0.0.1", .port = server->port, .key = "counts"};
    lookup = lookup_create(&options);
    assert_non_null(lookup);
    return lookup;
}

static enum count_source_result ask_for(struct lookup *lookup, const char *id)
{
    char error[ERROR_BYTES] = "";
    int64_t count = 0;
    enum count_source_result result = lookup_device(lookup, id, strlen(id), &count, error);

    assert_int_equal(count, result == COUNT_SOURCE_OK ? 42 : 0);
    assert_int_equal(strlen(error) > 0,
                     result == COUNT_SOURCE_UNAVAILABLE || result == COUNT_SOURCE_WRONG);
    return result;
}

static void *ask(void *argument)
{
    struct asker *asker = argument;

    asker->result = lookup_device(asker->lookup, "pump", 4, &asker->count, asker->error);
    return NULL;
}

static void ask_at_once(struct asker *askers, struct lookup *lookup)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        askers[i] = (struct asker){.lookup = lookup};
        assert_int_equal(thread_start(&askers[i].thread, THREAD_HTTP, "http", ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < REQUESTS; i++)
        pthread_join(askers[i].thread, NULL);
}

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

static void all_share_one_connection(void **state)
{
    struct server server;
    struct lookup *lookup;
    struct asker askers[REQUESTS];
    char error[ERROR_BYTES];

    (void)state;
    start(&server, ANSWERS);
    lookup = start_lookup(&server);
    ask_at_once(askers, lookup);
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(askers[i].result, COUNT_SOURCE_OK);
        assert_int_equal(askers[i].count, 42);
    }
    assert_int_equal(lookup_ping(lookup, error), COUNT_SOURCE_OK);
    assert_int_equal(server.connections, 1);
    assert_int_equal(server.commands, REQUESTS + 1);
    stop(&server, lookup);
    lookup_destroy(NULL);
}

static void answers_that_are_no_count_are_no_failures(void **state)
{
    struct server server;
    struct lookup *lookup;

    (void)state;
    start(&server, ANSWERS);
    lookup = start_lookup(&server);
    assert_int_equal(ask_for(lookup, "nobody"), COUNT_SOURCE_NONE);
    assert_int_equal(ask_for(lookup, "broken"), COUNT_SOURCE_WRONG);
    assert_int_equal(ask_for(lookup, "pump"), COUNT_SOURCE_OK);
    assert_int_equal(server.commands, 3);
    stop(&server, lookup);
}

static void failure_answers_those_who_come_after_it(void **state)
{
    struct server server;
    struct lookup *lookup;
    uint64_t began_ms;

    (void)state;
    start(&server, HANGS_UP);
    lookup = start_lookup(&server);
    began_ms = clock_now_ms();
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask_for(lookup, "pump"), COUNT_SOURCE_UNAVAILABLE);
    if (clock_now_ms() - began_ms < LOOKUP_FAILURE_MS) /* else the machine was held up */
        assert_int_equal(server.commands, 1);
    server.mood = ANSWERS;
    pause_ms(LOOKUP_FAILURE_MS + 10);
    assert_int_equal(ask_for(lookup, "pump"), COUNT_SOURCE_OK);
    assert_int_equal(ask_for(lookup, "pump"), COUNT_SOURCE_OK);
    stop(&server, lookup);
}

/* Each of them would wait for the time-out by itself, twice on the old connection. */
static void silence_is_waited_for_by_one(void **state)
{
    struct server server;
    struct lookup *lookup;
    struct asker askers[REQUESTS];

    (void)state;
    start(&server, ANSWERS);
    lookup = start_lookup(&server);
    assert_int_equal(ask_for(lookup, "pump"), COUNT_SOURCE_OK);
    server.mood = SILENT;
    ask_at_once(askers, lookup);
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(askers[i].result, COUNT_SOURCE_UNAVAILABLE);
        assert_non_null(strstr(askers[i].error, "no answer within"));
    }
    assert_in_range(server.commands, 1 + 2, 1 + 2 + REQUESTS / 2); /* 3, unless threads come late */
    stop(&server, lookup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_share_one_connection),
        cmocka_unit_test(answers_that_are_no_count_are_no_failures),
        cmocka_unit_test(failure_answers_those_who_come_after_it),
        cmocka_unit_test(silence_is_waited_for_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
