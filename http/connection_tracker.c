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
#include "http/connection_tracker.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define STALL_BYTES (16 * 1024) /* of an answer, that must get through in time */
#define PORTS       65536

/* What is remembered of a descriptor from one scan to the next. */
struct record {
    uint64_t number; /* of the last scan that found it; 0: none */
    uint64_t acked;  /* bytes of answers that had got through by entry.moved_ms */
    uint32_t begun;  /* requests on its port, as of the last scan */
    struct tracked_connection entry;
};

struct connection_tracker {
    uint64_t number, now_ms; /* of the last scan */
    struct record *records;  /* by descriptor */
    size_t record_count;
    struct tracked_connection *entries;
    size_t entry_count, entry_room;
    _Atomic uint32_t begun[PORTS], ended[PORTS];
};

struct connection_tracker *connection_tracker_create(void)
{
    return calloc(1, sizeof(struct connection_tracker));
}

void connection_tracker_destroy(struct connection_tracker *tracker)
{
    if (!tracker)
        return;
    free(tracker->records);
    free(tracker->entries);
    free(tracker);
}

void connection_tracker_note_request(struct connection_tracker *tracker, int peer_port)
{
    atomic_fetch_add_explicit(&tracker->begun[(uint16_t)peer_port], 1, memory_order_relaxed);
}

void connection_tracker_note_answered(struct connection_tracker *tracker, int peer_port)
{
    atomic_fetch_add_explicit(&tracker->ended[(uint16_t)peer_port], 1, memory_order_relaxed);
}

/* Makes room for a descriptor. Returns what is remembered of it, or NULL when memory is short. */
static struct record *remember(struct connection_tracker *tracker, int fd)
{
    size_t count = tracker->record_count ? tracker->record_count : 64;
    struct record *grown;

    while (count <= (size_t)fd)
        count *= 2;
    if (count > tracker->record_count) {
        grown = realloc(tracker->records, count * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + tracker->record_count, 0, (count - tracker->record_count) * sizeof *grown);
        tracker->records = grown;
        tracker->record_count = count;
    }
    return &tracker->records[fd];
}

/* Brings what is remembered of a connection up to date. */
static void update(struct connection_tracker *tracker, struct record *record, uint64_t now_ms)
{
    struct tracked_connection *entry = &record->entry;
    uint16_t port = entry->peer.port;
    uint32_t begun = atomic_load_explicit(&tracker->begun[port], memory_order_relaxed);
    uint32_t ended = atomic_load_explicit(&tracker->ended[port], memory_order_relaxed);
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

/* Takes in one that a scan found. */
static void look_at(void *context, int fd, const struct tcp_peer *peer)
{
    struct connection_tracker *tracker = context;
    uint64_t now_ms = tracker->now_ms;
    enum tcp_peer_end end = tcp_peer_end(fd);
    struct record *record;

    if (end == TCP_PEER_SHUT)
        return;
    record = remember(tracker, fd);
    if (!record)
        return;
    if (record->number + 1 != tracker->number || !tcp_peer_is_equal(&record->entry.peer, peer))
        *record = (struct record){
            .entry = {.fd = fd, .peer = *peer, .found_ms = now_ms, .moved_ms = now_ms}};
    record->number = tracker->number;
    record->entry.ended = end == TCP_PEER_ENDED;
    update(tracker, record, now_ms);
}

/* Makes entries of what the last scan found. Returns 0 or -ENOMEM. */
static int list_entries(struct connection_tracker *tracker)
{
    if (tracker->entry_room < tracker->record_count) {
        struct tracked_connection *grown =
            realloc(tracker->entries, tracker->record_count * sizeof *grown);

        if (!grown)
            return -ENOMEM;
        tracker->entries = grown;
        tracker->entry_room = tracker->record_count;
    }
    for (size_t fd = 0; fd < tracker->record_count; fd++) {
        if (tracker->records[fd].number == tracker->number)
            tracker->entries[tracker->entry_count++] = tracker->records[fd].entry;
    }
    return 0;
}

int connection_tracker_scan(struct connection_tracker *tracker, uint64_t own_port, uint64_t now_ms)
{
    int result;

    tracker->entry_count = 0;
    tracker->number++;
    tracker->now_ms = now_ms;
    result = tcp_peer_each(own_port, look_at, tracker);
    if (result)
        tracker->number--; /* nothing was missing */
    return result ? result : list_entries(tracker);
}

struct tracked_connection *connection_tracker_list(struct connection_tracker *tracker,
                                                   size_t *count)
{
    *count = tracker->entry_count;
    return tracker->entries;
}
