/*
 * Which devices of a snapshot a query asks for, in what order, and where the next page begins:
 *
 *     prefix=TEXT     those whose ids begin with it
 *     device_id=ID    those alone, in the order of ids; may be repeated, and excludes the others
 *     sort=KEY        device_id (as without it), count or -count, the larger first; count is the
 *                     exact reverse of -count, in which equal counts stand in the order of ids
 *
 *     limit=N         a page of N
 *
 *     cursor=TEXT     those behind the page that gave this cursor, with the same sort and prefix
 *
 * A page begins behind a key and not at a number, so whoever walks all pages while counts change
 * finds every device that was there all along: once by device_id; by count once unless its count
 * passed the cursor meanwhile.
 *
 * Pure but for the memory that a list of ids takes. Called by: http.
 */
#ifndef TALLYD_HTTP_LISTING_H
#define TALLYD_HTTP_LISTING_H

#include "common/compiler.h"
#include "http/cursor.h"
#include "http/query.h"
#include "http/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTING_MAX_LIMIT 1000000
#define LISTING_MAX_IDS   1000

/* What a query asks for. */
struct listing_query {
    enum cursor_order order;
    const struct query_pair *prefix; /* or NULL */
    uint64_t limit;                  /* 0: none */
    bool resumed;                    /* `after` holds the cursor */
    struct cursor after;
    const struct query *ids; /* the query, when device_id is in it; or NULL */
};

/* Reads the parameters. `wanted` points into `query`, which must outlive it. Returns 0, or -EINVAL
 * with `error`. */
int listing_parse(const struct query *query, struct listing_query *wanted,
                  struct query_error *error) MUST_CHECK;

/* The devices still to be given. All members are the module's own. */
struct listing {
    const struct snapshot *snapshot;
    enum cursor_order order;
    size_t begin, end;     /* the indexes of the devices with the prefix */
    size_t position, stop; /* in the order, or in `chosen` */
    size_t *chosen;        /* the indexes of the devices asked for by id; or NULL */
};

/* Begins a listing of `snapshot`, which must outlive it. Returns 0, or -ENOMEM, and only after 0
 * listing_end() is due. */
int listing_start(struct listing *listing, const struct snapshot *snapshot,
                  const struct listing_query *wanted) MUST_CHECK;
void listing_end(struct listing *listing);

/* Ends the listing behind the next `limit` devices. True when there are more; `next` is then the
 * cursor that goes on there. A page whose last id is longer than CURSOR_MAX_ID_BYTES goes on to the
 * first that is not, so that no device is ever left out. */
bool listing_limit(struct listing *listing, uint64_t limit, struct cursor *next);

/* Gives the next devices, at most `room`, and returns how many; 0 at the end. Their ids are on the
 * way from memory: the larger `room` is, the fewer of them are waited for. */
size_t listing_next(struct listing *listing, struct snapshot_device *devices, size_t room);

#endif
