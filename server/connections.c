/* See connections.h. */
#include "server/connections.h"

#include "common/log.h"

#include <sys/epoll.h>

#define TICK_CALLS 4096 /* that a round looks at: well under a millisecond */

struct connection *connections_take(struct connections *connections, int fd,
                                    struct address *address)
{
    struct connection_context *context = connections->context;
    struct connection *connection = connection_create(context, fd, address);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    struct connection_links *links;

    stats_add(&context->calls.stats->connections_opened, 1);
    if (!connection) {
        log_warn("cannot take a connection: out of memory");
        stats_add(&context->calls.stats->connections_closed, 1);
        return NULL;
    }
    links = connection_links(connection);
    links->next = connections->first;
    if (links->next)
        connection_links(links->next)->previous = connection;
    connections->first = connection;
    if (epoll_ctl(connections->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        connections_end(connections, connection);
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

void connections_receive(struct connections *connections, struct connection *connection)
{
    struct connection_links *links = connection_links(connection);

    if (links->dead)
        return;
    if (!connection_receive(connection)) {
        connections_end(connections, connection);
        return;
    }
    connections_touch(connections, connection);
    if (connection_pending(connection) && !links->pending) {
        links->pending = true;
        links->next_pending = connections->pending;
        connections->pending = connection;
    }
}

bool connections_receive_pending(struct connections *connections)
{
    struct connection *connection = connections->pending;
    struct connection_links *links;

    if (!connection)
        return false;
    links = connection_links(connection);
    connections->pending = links->next_pending;
    links->pending = false;
    connections_receive(connections, connection);
    return true;
}

void connections_each(struct connections *connections, void (*act)(struct connection *))
{
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

/* Waits for the socket to take more, or does not wait any longer. */
static void poll_write(const struct connections *connections, struct connection *connection)
{
    bool wants_write = connection_wants_write(connection);
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0),
                                .data.ptr = connection};
    struct connection_links *links = connection_links(connection);

    if (wants_write == links->polls_write)
        return;
    epoll_ctl(connections->epoll_fd, EPOLL_CTL_MOD, connection_fd(connection), &event);
    links->polls_write = wants_write;
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
        if (connection_send(connection))
            poll_write(connections, connection);
        else
            connections_end(connections, connection);
    }
}

/* Takes it out of the lists that it may still be in; it was touched or not, connections_send() has
 * emptied that one. */
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

void connections_destroy_ended(struct connections *connections)
{
    while (connections->dead) {
        struct connection *connection = connections->dead;

        connections->dead = connection_links(connection)->next_dead;
        unlink_one(connections, connection);
        connection_destroy(connection);
        stats_add(&connections->context->calls.stats->connections_closed, 1);
    }
}
