/*
 * The connections of a run: what becomes of the streams on one that is closed.
 *
 * A server that goes away asks to come again with what it took nothing of: to drain a connection
 * that has reached its age is its right, and no failure. So the connection is opened again, as long
 * as it served in between, and streams that were begun in vain are begun again.
 */
#include "client/sender_private.h"

#include <errno.h>
#include <stdlib.h>

static void ready(void *context)
{
    struct connection *connection = context;
    struct sender *sender = connection->sender;

    sender->steps++;
    connection->served = false;
    for (uint64_t i = 0; i < sender->options->streams; i++)
        sender_start_next(sender, &connection->slots[i]);
}

/* Streams that ended with it are noted already; otherwise it matters only while packets are left
 * that it should have carried. A server that asks to come again is asked again, as long as it
 * serves in between. */
static void closed(void *context, const struct rpc_outcome *outcome, size_t calls)
{
    struct connection *connection = context;
    struct sender *sender = connection->sender;

    sender->channels_live--;
    sender->steps++;
    if (calls > 0 || sender_plan_is_done(sender))
        return;
    if (outcome->come_again && connection->served) {
        connection->is_due = true;
        connection->why = *outcome;
        sender->connections_due++;
        sender->channels_live++;
        return;
    }
    report_add_failure(sender->report, REPORT_CONNECTION,
                       connection->has_come_back ? &connection->why : outcome, 0);
}

void sender_come_back(struct sender *sender)
{
    uint64_t slots = sender->options->connections * sender->options->streams;

    for (uint64_t i = 0; sender->connections_due && i < sender->options->connections; i++) {
        struct connection *connection = &sender->connections[i];

        if (!connection->is_due)
            continue;
        sender->connections_due--;
        connection->is_due = false;
        connection->has_come_back = true;
        channel_start(connection->channel);
    }
    for (uint64_t i = 0; sender->returned_count && i < slots; i++) {
        struct slot *slot = &sender->slots[i];

        if (slot->call.session || !channel_session(slot->connection->channel))
            continue;
        sender_start_next(sender, slot);
        channel_wake(slot->connection->channel);
    }
}

static const struct channel_handler channel_handler = {.ready = ready, .closed = closed};

int sender_create_connections(struct sender *sender, const struct rpc_handler *rpc)
{
    const struct send_options *options = sender->options;
    struct channel_options channel_options = {
        .addresses = sender->addresses,
        .target = options->target,
        .credentials = sender->credentials,
        .epoll_fd = sender->epoll_fd,
        .rpc = rpc,
        .handler = &channel_handler,
    };

    sender->connections = calloc(options->connections, sizeof *sender->connections);
    sender->slots = calloc(options->connections * options->streams, sizeof *sender->slots);
    sender->returned = calloc(options->connections * options->streams, sizeof *sender->returned);
    if (!sender->connections || !sender->slots || !sender->returned)
        return -ENOMEM;
    for (uint64_t i = 0; i < options->connections; i++) {
        struct connection *connection = &sender->connections[i];

        channel_options.context = connection;
        connection->sender = sender;
        connection->slots = &sender->slots[i * options->streams];
        connection->channel = channel_create(&channel_options);
        if (!connection->channel)
            return -ENOMEM;
        sender->channels_live++;
        for (uint64_t j = 0; j < options->streams; j++)
            connection->slots[j].connection = connection;
    }
    return 0;
}

void sender_destroy_connections(struct sender *sender)
{
    for (uint64_t i = 0; sender->connections && i < sender->options->connections; i++)
        channel_destroy(sender->connections[i].channel);
    free(sender->connections);
    free(sender->returned);
    free(sender->slots);
}
