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

struct carrier *sender_carrier_of(const struct sender *sender, const struct channel *channel)
{
    struct carrier *carrier = sender->carriers;

    while (carrier->channel != channel)
        carrier++;
    return carrier;
}

static void ready(void *context, struct channel *channel)
{
    struct sender *sender = context;
    uint64_t streams = sender->options->streams;
    size_t index = (size_t)(sender_carrier_of(sender, channel) - sender->carriers);

    sender->steps++;
    sender->carriers[index].served = false;
    for (uint64_t i = 0; i < streams; i++)
        sender_start_next(sender, &sender->slots[index * streams + i]);
}

/* Streams that ended with it are noted already; otherwise it matters only while packets are left
 * that it should have carried. A server that asks to come again is asked again, as long as it
 * serves in between. */
static void closed(void *context, struct channel *channel, const struct rpc_outcome *outcome,
                   size_t calls)
{
    struct sender *sender = context;
    struct carrier *carrier = sender_carrier_of(sender, channel);

    sender->channels_live--;
    sender->steps++;
    if (calls > 0 || sender_plan_is_done(sender))
        return;
    if (outcome->come_again && carrier->served) {
        carrier->is_due = true;
        carrier->why = *outcome;
        sender->channels_live++;
        return;
    }
    report_add_failure(sender->report, REPORT_CONNECTION,
                       carrier->has_come_back ? &carrier->why : outcome, 0);
}

void sender_come_back(struct sender *sender)
{
    uint64_t slots = sender->options->connections * sender->options->streams;

    for (uint64_t i = 0; i < sender->options->connections; i++) {
        struct carrier *carrier = &sender->carriers[i];

        if (!carrier->is_due)
            continue;
        carrier->is_due = false;
        carrier->has_come_back = true;
        channel_start(carrier->channel);
    }
    for (uint64_t i = 0; sender->returned_count && i < slots; i++) {
        struct slot *slot = &sender->slots[i];

        if (slot->call.session || !channel_session(slot->channel))
            continue;
        sender_start_next(sender, slot);
        channel_wake(slot->channel);
    }
}

static const struct channel_handler channel_handler = {.ready = ready, .closed = closed};

int sender_create_carriers(struct sender *sender, const struct rpc_handler *rpc)
{
    const struct send_options *options = sender->options;
    const struct channel_options channel_options = {
        .addresses = sender->addresses,
        .target = options->target,
        .credentials = sender->credentials,
        .epoll_fd = sender->epoll_fd,
        .rpc = rpc,
        .handler = &channel_handler,
        .context = sender,
    };

    sender->carriers = calloc(options->connections, sizeof *sender->carriers);
    sender->slots = calloc(options->connections * options->streams, sizeof *sender->slots);
    sender->returned = calloc(options->connections * options->streams, sizeof *sender->returned);
    if (!sender->carriers || !sender->slots || !sender->returned)
        return -ENOMEM;
    for (uint64_t i = 0; i < options->connections; i++) {
        sender->carriers[i].channel = channel_create(&channel_options);
        if (!sender->carriers[i].channel)
            return -ENOMEM;
        sender->channels_live++;
        for (uint64_t j = 0; j < options->streams; j++)
            sender->slots[i * options->streams + j].channel = sender->carriers[i].channel;
    }
    return 0;
}

void sender_destroy_carriers(struct sender *sender)
{
    for (uint64_t i = 0; sender->carriers && i < sender->options->connections; i++)
        channel_destroy(sender->carriers[i].channel);
    free(sender->carriers);
    free(sender->returned);
    free(sender->slots);
}
