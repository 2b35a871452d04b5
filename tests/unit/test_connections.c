/* Whose turn it is, in rounds as the worker makes them. The connections are made up: each has
 * input without end, and takes its time over it. */
#include "common/clock.h"
#include "common/thread.h"
#include "server/connections.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MANY = 5, LONG_NS = 2000000 /* over what a round has for such connections */ };

struct connection {
    struct connection_links links;
    int fd;
    bool costly, pending, blocked;
    unsigned turns;
};

struct connection *connection_create(struct connection_context *context, int fd,
                                     struct address *address)
{
    struct connection *connection = calloc(1, sizeof *connection);

    (void)context;
    (void)address;
    assert_non_null(connection);
    connection->fd = fd;
    connection->costly = true;
    return connection;
}

void connection_destroy(struct connection *connection)
{
    close(connection->fd);
    free(connection);
}

bool connection_receive(struct connection *connection)
{
    uint64_t start_ns = clock_now_ns();

    connection->turns++;
    while (clock_now_ns() - start_ns < LONG_NS)
        ;
    return true;
}

void connection_end_turn(struct connection *connection, uint64_t ns)
{
    (void)connection;
    (void)ns;
}

bool connection_is_costly(const struct connection *connection)
{
    return connection->costly;
}

bool connection_has_more(const struct connection *connection)
{
    (void)connection;
    return true;
}

bool connection_is_blocked(const struct connection *connection)
{
    return connection->blocked;
}

bool connection_pending(const struct connection *connection)
{
    return connection->pending && !connection->blocked;
}

bool connection_send(struct connection *connection)
{
    (void)connection;
    return true;
}

bool connection_timer(struct connection *connection)
{
    (void)connection;
    return true;
}

uint32_t connection_events(const struct connection *connection)
{
    (void)connection;
    return EPOLLIN;
}

bool connection_tick_calls(struct connection *connection, uint64_t now_ms, size_t *left)
{
    (void)connection;
    (void)now_ms;
    (void)left;
    return true;
}

int connection_fd(const struct connection *connection)
{
    return connection->fd;
}

struct connection_links *connection_links(struct connection *connection)
{
    return &connection->links;
}

static struct stats_worker stats;
static struct connection_context context = {.calls = {.stats = &stats}};

static struct connections create(struct connection *some[MANY])
{
    struct connections connections = {.context = &context,
                                      .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};

    for (int i = 0; i < MANY; i++) {
        some[i] = connections_take(&connections, eventfd(0, EFD_CLOEXEC), NULL);
        assert_non_null(some[i]);
    }
    return connections;
}

static void destroy(struct connections *connections)
{
    connections_end_all(connections);
    connections_end_round(connections);
    assert_null(connections->first);
    close(connections->epoll_fd);
}

/* A round in which all `some` are readable, in that order. Fails when it does not end. */
static void go_round(struct connections *connections, struct connection *some[MANY])
{
    int visits = 0;

    connections_begin_pending(connections);
    while (connections_receive_pending(connections))
        assert_true(++visits <= MANY);
    for (int i = 0; i < MANY; i++)
        connections_receive(connections, some[i]);
    connections_send(connections);
    connections_end_round(connections);
}

static void check_turns(struct connection *const some[MANY], unsigned rounds, unsigned share)
{
    unsigned all = 0;

    for (int i = 0; i < MANY; i++) {
        all += some[i]->turns;
        assert_true(some[i]->turns + 1 >= rounds / share);
    }
    assert_true(all <= rounds + MANY);
}

static void receive_takes_turns_when_all_bring_few_packets(void **state)
{
    struct connection *some[MANY];
    struct connections connections = create(some);

    (void)state;
    for (int i = 0; i < 10 * MANY; i++)
        go_round(&connections, some);
    check_turns(some, 10 * MANY, MANY);
    destroy(&connections);
}

static void receive_takes_turns_when_epoll_does_not_see_the_input(void **state)
{
    struct connection *some[MANY];
    struct connections connections = create(some);

    (void)state;
    for (int i = 0; i < MANY - 1; i++)
        some[i]->pending = true;
    for (int i = 0; i < 10 * MANY; i++)
        go_round(&connections, some);
    check_turns(some, 10 * MANY, MANY);
    destroy(&connections);
}

/* It brings packets; the others have every second round. */
static void receive_takes_turns_when_one_brings_packets(void **state)
{
    struct connection *some[MANY];
    struct connections connections = create(some);

    (void)state;
    some[0]->costly = false;
    for (int i = 0; i < 20 * MANY; i++)
        go_round(&connections, some);
    assert_int_equal(some[0]->turns, 20 * MANY);
    for (int i = 1; i < MANY; i++)
        assert_true(some[i]->turns >= 2);
    destroy(&connections);
}

/* Who waits longest ends, and nobody waits for it any longer. */
static void receive_goes_on_when_who_is_first_is_gone(void **state)
{
    struct connection *some[MANY];
    struct connections connections = create(some);
    unsigned before;
    int first = 0;

    (void)state;
    for (int i = 0; i < 2; i++)
        go_round(&connections, some);
    while (some[first]->links.turn != connections.first_turn)
        assert_true(++first < MANY);
    connections_end(&connections, some[first]);
    some[first] = some[(first + 1) % MANY]; /* which then is asked twice a round */
    before = some[first]->turns;
    for (int i = 0; i < 2 * MANY; i++)
        go_round(&connections, some);
    assert_true(some[first]->turns > before);
    destroy(&connections);
}

/* Where epoll does not see the input, nothing else would bring it back. */
static void receive_leaves_who_is_blocked_until_it_is_not(void **state)
{
    struct connection *some[MANY];
    struct connections connections = create(some);

    (void)state;
    for (int i = 0; i < MANY; i++) {
        some[i]->costly = false;
        some[i]->pending = true;
    }
    go_round(&connections, some);
    some[0]->blocked = true;
    for (int i = 0; i < 3; i++)
        go_round(&connections, some);
    assert_int_equal(some[0]->turns, 1);
    assert_int_equal(some[1]->turns, 4);
    assert_false(some[0]->links.pending);

    some[0]->blocked = false;
    connections_touch(&connections, some[0]);
    connections_send(&connections);
    assert_true(some[0]->links.pending);
    go_round(&connections, some);
    assert_int_equal(some[0]->turns, 2);
    destroy(&connections);
}

static void take_fails_when_epoll_does(void **state)
{
    struct connections connections = {.context = &context, .epoll_fd = -1};
    uint64_t opened = stats_get(&stats.connections_opened);

    (void)state;
    assert_null(connections_take(&connections, eventfd(0, EFD_CLOEXEC), NULL));
    connections_end_round(&connections);
    assert_null(connections.first);
    assert_int_equal(stats_get(&stats.connections_opened), opened + 1);
    assert_int_equal(stats_get(&stats.connections_opened), stats_get(&stats.connections_closed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receive_takes_turns_when_all_bring_few_packets),
        cmocka_unit_test(receive_takes_turns_when_epoll_does_not_see_the_input),
        cmocka_unit_test(receive_takes_turns_when_one_brings_packets),
        cmocka_unit_test(receive_goes_on_when_who_is_first_is_gone),
        cmocka_unit_test(receive_leaves_who_is_blocked_until_it_is_not),
        cmocka_unit_test(take_fails_when_epoll_does),
    };

    thread_adopt(THREAD_WORKER, "worker");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
