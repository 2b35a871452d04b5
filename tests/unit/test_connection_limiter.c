/* Which connections the limiter shuts, of real sockets whose server does nothing. */
#include "common/thread.h"
#include "http/connection_limiter.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PER_ADDRESS 2
#define PATIENCE    3000 /* hundredths of a second */

struct pair {
    int client, server;
};

struct place {
    struct connection_limiter *limiter;
    int listener;
    uint16_t port;
};

static struct sockaddr_in address_of(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return address;
}

static struct place start(void)
{
    const struct connection_limiter_options options = {
        .threads = 100, .per_address = PER_ADDRESS, .stall_timeout_ms = 600000};
    struct sockaddr_in address = address_of("127.0.0.1", 0);
    socklen_t length = sizeof address;
    struct place place = {.limiter = connection_limiter_create(&options),
                          .listener = socket(AF_INET, SOCK_STREAM, 0)};

    assert_non_null(place.limiter);
    assert_int_equal(bind(place.listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(place.listener, 100), 0);
    assert_int_equal(getsockname(place.listener, (struct sockaddr *)&address, &length), 0);
    place.port = ntohs(address.sin_port);
    assert_int_equal(connection_limiter_start(place.limiter, place.port, NULL), 0);
    connection_limiter_note_opened(place.limiter); /* else there is nothing to look at */
    return place;
}

static void stop(struct place *place)
{
    connection_limiter_destroy(place->limiter);
    close(place->listener);
}

static struct pair open_from(const struct place *place, const char *host)
{
    struct sockaddr_in from = address_of(host, 0), to = address_of("127.0.0.1", place->port);
    struct pair pair = {.client = socket(AF_INET, SOCK_STREAM, 0)};

    assert_int_equal(bind(pair.client, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(pair.client, (struct sockaddr *)&to, sizeof to), 0);
    pair.server = accept(place->listener, NULL, NULL);
    assert_true(pair.server >= 0);
    return pair;
}

static void close_pair(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
}

/* True when the client finds the connection at its end. */
static bool is_shut(const struct pair *pair)
{
    char byte;

    return recv(pair->client, &byte, 1, MSG_DONTWAIT) == 0;
}

static void wait_for_shut(const struct place *place, uint64_t count)
{
    const struct timespec moment = {.tv_nsec = 10000000};

    for (int i = 0; i < PATIENCE && connection_limiter_figures(place->limiter).shut_address < count;
         i++)
        nanosleep(&moment, NULL);
    assert_int_equal(connection_limiter_figures(place->limiter).shut_address, count);
}

/* As many of an address as there may be, that the limiter has seen: it shut one more. */
static void fill(const struct place *place, const char *host, struct pair pairs[PER_ADDRESS])
{
    struct pair all[PER_ADDRESS + 1];
    size_t kept = 0;

    for (size_t i = 0; i < PER_ADDRESS + 1; i++)
        all[i] = open_from(place, host);
    wait_for_shut(place, 1);
    for (size_t i = 0; i < PER_ADDRESS + 1; i++) {
        if (is_shut(&all[i]) || kept == PER_ADDRESS)
            close_pair(&all[i]);
        else
            pairs[kept++] = all[i];
    }
    assert_int_equal(kept, PER_ADDRESS);
}

static void past_the_share_of_an_address_the_newest_are_shut(void **state)
{
    struct place place = start();
    struct pair old[PER_ADDRESS], new, other = open_from(&place, "127.0.0.3");

    (void)state;
    fill(&place, "127.0.0.2", old);
    new = open_from(&place, "127.0.0.2");
    wait_for_shut(&place, 2);
    assert_true(is_shut(&new));
    assert_false(is_shut(&old[0]) || is_shut(&old[1]) || is_shut(&other));
    close_pair(&old[0]);
    close_pair(&old[1]);
    close_pair(&new);
    close_pair(&other);
    stop(&place);
}

static void end_by_client(const struct pair *pair, bool asks)
{
    if (asks)
        assert_int_equal(send(pair->client, "GET", 3, 0), 3);
    assert_int_equal(shutdown(pair->client, SHUT_WR), 0);
}

/* Who reconnects at the limit does not lose the new connection for the old one. */
static void past_the_share_those_that_the_client_has_ended_go_first(void **state)
{
    struct place place = start();
    struct pair old[PER_ADDRESS], new[PER_ADDRESS];

    (void)state;
    fill(&place, "127.0.0.2", old);
    for (size_t i = 0; i < PER_ADDRESS; i++)
        end_by_client(&old[i], true); /* it may still wait for an answer: it counts */
    for (size_t i = 0; i < PER_ADDRESS; i++)
        new[i] = open_from(&place, "127.0.0.2");
    wait_for_shut(&place, 1 + PER_ADDRESS);
    for (size_t i = 0; i < PER_ADDRESS; i++) {
        assert_true(is_shut(&old[i]));
        assert_false(is_shut(&new[i]));
        close_pair(&old[i]);
        close_pair(&new[i]);
    }
    stop(&place);
}

/* Nothing is to be answered there: civetweb is about to close them. */
static void those_that_the_client_has_ended_unserved_do_not_count(void **state)
{
    struct place place = start();
    struct pair old[PER_ADDRESS], new[PER_ADDRESS + 1];
    size_t shut = 0;

    (void)state;
    fill(&place, "127.0.0.2", old);
    for (size_t i = 0; i < PER_ADDRESS; i++)
        end_by_client(&old[i], false);
    for (size_t i = 0; i < PER_ADDRESS + 1; i++)
        new[i] = open_from(&place, "127.0.0.2");
    wait_for_shut(&place, 2);
    for (size_t i = 0; i < PER_ADDRESS + 1; i++) {
        shut += is_shut(&new[i]);
        close_pair(&new[i]);
    }
    assert_int_equal(shut, 1);
    for (size_t i = 0; i < PER_ADDRESS; i++) {
        assert_false(is_shut(&old[i]));
        close_pair(&old[i]);
    }
    stop(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(past_the_share_of_an_address_the_newest_are_shut),
        cmocka_unit_test(past_the_share_those_that_the_client_has_ended_go_first),
        cmocka_unit_test(those_that_the_client_has_ended_unserved_do_not_count),
    };

    thread_adopt(THREAD_MAIN, "main");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
