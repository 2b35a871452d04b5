/*
 * Half of the time is for those who bring much with little work. Turns are about equally long
 * (turn.h), but many connections whose every byte costs much would leave little to anybody else. So
 * their time is owed to the others, and while it is, and some of the others have more to bring than
 * they had turns for, they are held back; together, however many there are. Among themselves they
 * take turns. A peer that is held back stays readable, so epoll brings it again next round.
 */
#include "server/connections.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define TICK_CALLS 4096    /* that a round looks at: well under a millisecond */
#define IDLE_NS    1000000 /* of their time in a round that has nobody else */

/* Books time that a connection took. */
static void charge(struct connections *connections, bool costly, uint64_t ns)
{
    if (costly)
        connections->owed_ns += ns;
    else
        connections->owed_ns -= ns < connections->owed_ns ? ns : connections->owed_ns;
}

struct connection *connections_take(struct connections *connections, int fd,
                                    struct address *address)
{
    struct connection_context *context = connections->context;
    uint64_t start_ns = clock_now_ns();
    struct connection *connection = connection_create(context, fd, address);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    struct connection_links *links;

    thread_assert_role(THREAD_WORKER);
    stats_add(&context->calls.stats->connections_opened, 1);
    if (!connection) {
        log_warn("cannot take a connection: out of memory");
        stats_count_end(&context->calls.stats->connections_closed);
        return NULL;
    }
    links = connection_links(connection);
    links->events = EPOLLIN;
    links->turn = ++connections->turns; /* behind all who wait */
    links->next = connections->first;
    if (links->next)
        connection_links(links->next)->previous = connection;
    connections->first = connection;
    if (epoll_ctl(connections->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
        log_warn("cannot take a connection: %s", strerror(errno));
        connections_end(connections, connection);
        return NULL;
    }
    charge(connections, true, clock_now_ns() - start_ns);
    return connection;
}

void connections_touch(struct connections *connections, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);

    if (!links->to_send) {
        links->to_send = true;
        links->next_to_send = connections->to_send;
        connections->to_send = connection;
    }
}

void connections_end(struct connections *connections, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);

    thread_assert_role(THREAD_WORKER);
    if (!links->dead) {
        links->dead = true;
        links->next_dead = connections->dead;
        connections->dead = connection;
    }
}

void connections_end_all(struct connections *connections)
{
    for (struct connection *c = connections->first; c; c = connection_links(c)->next)
        connections_end(connections, c);
}

/* True when a costly connection has to wait: because of the others, or because the one of its kind
 * that waits longest is to come first in this round. If that one is gone, nobody's turn comes,
 * once; so each of n that want theirs has it after n rounds in which there is time. */
static bool is_held_back(const struct connections *connections,
                         const struct connection_links *links)
{
    uint64_t most = connections->others_waited ? 0 : IDLE_NS;

    return connections->owed_ns > most ||
           (connections->first_turn > 0 && links->turn > connections->first_turn);
}

static void hold_back(struct connections *connections, const struct connection_links *links)
{
    if (!connections->next_first_turn || links->turn < connections->next_first_turn)
        connections->next_first_turn = links->turn;
}

static void take_turn(struct connections *connections, struct connection_links *links)
{
    connections->first_turn = 0;
    links->turn = ++connections->turns;
}

static void note_pending(struct connections *connections, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);

    if (!connection_pending(connection) || links->pending)
        return;
    links->pending = true;
    links->next_pending = connections->pending;
    connections->pending = connection;
}

void connections_receive(struct connections *connections, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);
    uint64_t start_ns, ns;
    bool alive, costly;

    if (links->dead || links->pending)
        return;
    if (connection_is_blocked(connection)) {
        connections_touch(connections, connection);
        return;
    }
    if (connection_is_costly(connection)) {
        if (is_held_back(connections, links)) {
            hold_back(connections, links);
            note_pending(connections, connection);
            return;
        }
        take_turn(connections, links);
    }
    start_ns = clock_now_ns();
    alive = connection_receive(connection);
    ns = clock_now_ns() - start_ns;
    connection_end_turn(connection, ns);
    costly = connection_is_costly(connection);
    charge(connections, costly, ns);
    if (costly)
        stats_add(&connections->context->calls.stats->turns_costly, 1);
    if (!alive) {
        connections_end(connections, connection);
        return;
    }
    connections->others_wait |= !costly && connection_has_more(connection);
    connections_touch(connections, connection);
    note_pending(connections, connection);
}

void connections_lost(struct connections *connections, struct connection *connection)
{
    if (connection_is_costly(connection) && connection_has_more(connection))
        connections_end(connections, connection);
}

void connections_begin_pending(struct connections *connections)
{
    connections->due = connections->pending;
    connections->pending = NULL;
}

bool connections_receive_pending(struct connections *connections)
{
    struct connection *connection = connections->due;
    struct connection_links *links;

    if (!connection)
        return false;
    links = connection_links(connection);
    connections->due = links->next_pending;
    links->pending = false;
    connections_receive(connections, connection);
    return true;
}

void connections_timer(struct connections *connections, struct connection *connection)
{
    if (connection_links(connection)->dead)
        return;
    if (connection_timer(connection))
        connections_touch(connections, connection);
    else
        connections_end(connections, connection);
}

void connections_each(struct connections *connections, void (*act)(struct connection *))
{
    thread_assert_role(THREAD_WORKER);
    for (struct connection *c = connections->first; c; c = connection_links(c)->next) {
        act(c);
        connections_touch(connections, c);
    }
}

void connections_tick_begin(struct connections *connections)
{
    connections->sweep = connections->first;
}

void connections_tick(struct connections *connections, uint64_t now_ms)
{
    size_t left = TICK_CALLS;

    while (connections->sweep) {
        if (!connection_tick_calls(connections->sweep, now_ms, &left))
            return;
        connections->sweep = connection_links(connections->sweep)->next;
    }
}

/* Waits for what the connection can go on with. */
static void poll_events(const struct connections *connections, struct connection *connection)
{
    struct epoll_event event = {.events = connection_events(connection), .data.ptr = connection};
    struct connection_links *links = connection_links(connection);

    if (event.events == links->events)
        return;
    epoll_ctl(connections->epoll_fd, EPOLL_CTL_MOD, connection_fd(connection), &event);
    links->events = event.events;
}

static void send_one(struct connections *connections, struct connection *connection)
{
    bool costly = connection_is_costly(connection);
    uint64_t start_ns = costly ? clock_now_ns() : 0;

    if (connection_send(connection)) {
        poll_events(connections, connection);
        note_pending(connections, connection); /* it may have been blocked */
    } else {
        connections_end(connections, connection);
    }
    if (costly)
        charge(connections, true, clock_now_ns() - start_ns);
}

void connections_send(struct connections *connections)
{
    while (connections->to_send) {
        struct connection *connection = connections->to_send;
        struct connection_links *links = connection_links(connection);

        connections->to_send = links->next_to_send;
        links->to_send = false;
        if (links->dead)
            continue;
        send_one(connections, connection);
    }
}

/* Takes it out of the lists that it may still be in. Those of the output and of the input that was
 * due are empty by now. */
static void unlink_one(struct connections *connections, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);
    struct connection **pending = &connections->pending;

    if (connections->sweep == connection)
        connections->sweep = links->next;
    if (links->previous)
        connection_links(links->previous)->next = links->next;
    else
        connections->first = links->next;
    if (links->next)
        connection_links(links->next)->previous = links->previous;
    while (links->pending && *pending != connection)
        pending = &connection_links(*pending)->next_pending;
    if (links->pending)
        *pending = links->next_pending;
}

void connections_end_round(struct connections *connections)
{
    thread_assert_role(THREAD_WORKER);
    if (!connections->others_wait)
        connections->owed_ns = 0; /* there is nobody to pay it to */
    connections->others_waited = connections->others_wait;
    connections->others_wait = false;
    connections->first_turn = connections->next_first_turn;
    connections->next_first_turn = 0;
    while (connections->dead) {
        struct connection *connection = connections->dead;

        connections->dead = connection_links(connection)->next_dead;
        unlink_one(connections, connection);
        connection_destroy(connection);
        stats_count_end(&connections->context->calls.stats->connections_closed);
    }
}
