/*
 * civetweb tells nobody its descriptors, so its sockets are found among those of the process: by
 * their own port, which is civetweb's. A descriptor may be closed and given to somebody else at any
 * time; so what is remembered of it is forgotten when it has another peer, or was missing once.
 *
 * Which of them are served is told by the clients' ports: each has a count of requests begun and of
 * answers ended. Two clients of one port, of different addresses, are taken for one; then one that
 * waits may pass for one that is served, which errs on the safe side.
 *
 * A connection waits when no request of it is being answered and no byte of it is unread: then its
 * head drips, or it idles. One with unread bytes stands in civetweb's queue.
 */
#include "http/census.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define STALL_BYTES (16 * 1024) /* of an answer, that must get through in time */
#define PORTS       65536

/* What is remembered of a descriptor from one census to the next. */
struct record {
    uint64_t number; /* of the last census that found it; 0: none */
    uint64_t acked;  /* bytes of answers that had got through by entry.moved_ms */
    uint32_t begun;  /* requests on its port, as of the last census */
    struct census_entry entry;
};

struct census {
    uint64_t number, now_ms; /* of the last one */
    struct record *records;  /* by descriptor */
    size_t record_count;
    struct census_entry *entries;
    size_t entry_count, entry_room;
    _Atomic uint32_t begun[PORTS], ended[PORTS];
};

struct census *census_create(void)
{
    return calloc(1, sizeof(struct census));
}

void census_destroy(struct census *census)
{
    if (!census)
        return;
    free(census->records);
    free(census->entries);
    free(census);
}

void census_note_request(struct census *census, int peer_port)
{
    atomic_fetch_add_explicit(&census->begun[(uint16_t)peer_port], 1, memory_order_relaxed);
}

void census_note_answered(struct census *census, int peer_port)
{
    atomic_fetch_add_explicit(&census->ended[(uint16_t)peer_port], 1, memory_order_relaxed);
}

/* Makes room for a descriptor. Returns what is remembered of it, or NULL when memory is short. */
static struct record *remember(struct census *census, int fd)
{
    size_t count = census->record_count ? census->record_count : 64;
    struct record *grown;

    while (count <= (size_t)fd)
        count *= 2;
    if (count > census->record_count) {
        grown = realloc(census->records, count * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + census->record_count, 0, (count - census->record_count) * sizeof *grown);
        census->records = grown;
        census->record_count = count;
    }
    return &census->records[fd];
}

/* Brings what is remembered of a connection up to date. */
static void update(struct census *census, struct record *record, uint64_t now_ms)
{
    struct census_entry *entry = &record->entry;
    uint16_t port = entry->peer.port;
    uint32_t begun = atomic_load_explicit(&census->begun[port], memory_order_relaxed);
    uint32_t ended = atomic_load_explicit(&census->ended[port], memory_order_relaxed);
    int unread = 0, unsent = 0;
    uint64_t acked;

    ioctl(entry->fd, SIOCINQ, &unread);
    ioctl(entry->fd, SIOCOUTQ, &unsent);
    if (begun != ended || unread > 0 || begun != record->begun)
        entry->waiting_ms = 0;
    else if (!entry->waiting_ms)
        entry->waiting_ms = now_ms;
    acked = unsent > 0 ? tcp_peer_bytes_acked(entry->fd) : 0;
    if (unsent == 0 || acked >= record->acked + STALL_BYTES || acked < record->acked) {
        entry->moved_ms = now_ms;
        record->acked = acked;
    }
    record->begun = begun;
}

/* Takes one that was found into the census. */
static void look_at(void *context, int fd, const struct tcp_peer *peer)
{
    struct census *census = context;
    uint64_t now_ms = census->now_ms;
    enum tcp_peer_end end = tcp_peer_end(fd);
    struct record *record;

    if (end == TCP_PEER_SHUT)
        return;
    record = remember(census, fd);
    if (!record)
        return;
    if (record->number + 1 != census->number || !tcp_peer_is_equal(&record->entry.peer, peer))
        *record = (struct record){
            .entry = {.fd = fd, .peer = *peer, .found_ms = now_ms, .moved_ms = now_ms}};
    record->number = census->number;
    record->entry.ended = end == TCP_PEER_ENDED;
    update(census, record, now_ms);
}

/* Makes entries of what the last census found. Returns 0 or -ENOMEM. */
static int list_entries(struct census *census)
{
    if (census->entry_room < census->record_count) {
        struct census_entry *grown = realloc(census->entries, census->record_count * sizeof *grown);

        if (!grown)
            return -ENOMEM;
        census->entries = grown;
        census->entry_room = census->record_count;
    }
    for (size_t fd = 0; fd < census->record_count; fd++) {
        if (census->records[fd].number == census->number)
            census->entries[census->entry_count++] = census->records[fd].entry;
    }
    return 0;
}

int census_take(struct census *census, uint64_t own_port, uint64_t now_ms)
{
    int result;

    census->entry_count = 0;
    census->number++;
    census->now_ms = now_ms;
    result = tcp_peer_each(own_port, look_at, census);
    if (result)
        census->number--; /* nothing was missing */
    return result ? result : list_entries(census);
}

struct census_entry *census_entries(struct census *census, size_t *count)
{
    *count = census->entry_count;
    return census->entries;
}
