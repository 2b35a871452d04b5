/*
 * A listing walks positions in one of four orders: by id a position is an index of the snapshot; by
 * count, down or up, it is a rank; and of devices that were asked for by id it is a place in their
 * list. Only by count can positions lie in between whose devices do not have the prefix; they are
 * stepped over by their index alone, which takes a nanosecond or two. So a page costs most when its
 * prefix is that of few devices, or of none: 3 ms of CPU with a million devices, 28 ms with ten
 * million. Whoever may ask for that may ask for the list of all, which costs far more; to sort what
 * has the prefix would cost more, too, where many have it.
 *
 * In each order the devices' keys grow with the positions, so a cursor's place is found by halving.
 */
#include "http/listing.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool pair_is(const struct query_pair *pair, const char *text)
{
    return pair->length == strlen(text) && !memcmp(pair->value, text, pair->length);
}

static int parse_order(const struct query *query, struct listing_query *wanted,
                       struct query_error *error)
{
    const struct query_pair *pair;
    int result = query_single(query, "sort", &pair, error);

    if (result)
        return result;
    if (!pair || pair_is(pair, "device_id"))
        wanted->order = CURSOR_BY_ID;
    else if (pair_is(pair, "count"))
        wanted->order = CURSOR_BY_COUNT_UP;
    else if (pair_is(pair, "-count"))
        wanted->order = CURSOR_BY_COUNT_DOWN;
    else
        return query_fail(error, "sort", "it must be device_id, count or -count");
    return 0;
}

static int parse_prefix(const struct query *query, struct listing_query *wanted,
                        struct query_error *error)
{
    int result = query_single(query, "prefix", &wanted->prefix, error);

    if (!result && wanted->prefix && !utf8_is_valid(wanted->prefix->value, wanted->prefix->length))
        return query_fail(error, "prefix", "it is not valid UTF-8");
    return result;
}

/* Reads the cursor, behind what it must agree with. */
static int parse_cursor(const struct query *query, struct listing_query *wanted,
                        struct query_error *error)
{
    const struct query_pair *pair, *prefix = wanted->prefix;
    const struct cursor *after = &wanted->after;
    int result = query_single(query, "cursor", &pair, error);

    if (result || !pair)
        return result;
    if (cursor_decode(pair->value, pair->length, &wanted->after))
        return query_fail(error, "cursor", "it is none that an answer gave");
    if (after->order != wanted->order)
        return query_fail(error, "cursor", "it belongs to another sort");
    if (prefix && (prefix->length > after->id_length ||
                   memcmp(prefix->value, after->id, prefix->length) != 0))
        return query_fail(error, "cursor", "it belongs to another prefix");
    wanted->resumed = true;
    return 0;
}

/* Checks a list of ids, and that nothing stands beside it. */
static int parse_ids(const struct query *query, struct query_error *error)
{
    size_t ids = 0;

    for (const struct query_pair *pair = query->pairs; pair < query->pairs + query->count; pair++) {
        if (strcmp(pair->name, "device_id") != 0)
            return query_fail(error, pair->name, "it cannot be combined with device_id");
        if (pair->length == 0)
            return query_fail(error, "device_id", "the device id is empty");
        if (!utf8_is_valid(pair->value, pair->length))
            return query_fail(error, "device_id", "the device id is not valid UTF-8");
        if (++ids > LISTING_MAX_IDS)
            return query_fail(error, "device_id", "more than %d ids are too many", LISTING_MAX_IDS);
    }
    return 0;
}

int listing_parse(const struct query *query, struct listing_query *wanted,
                  struct query_error *error)
{
    int result;

    *wanted = (struct listing_query){.order = CURSOR_BY_ID};
    if (query_find(query, "device_id", NULL)) {
        wanted->ids = query;
        return parse_ids(query, error);
    }
    result = parse_order(query, wanted, error);
    if (!result)
        result = parse_prefix(query, wanted, error);
    if (!result)
        result = query_number(query, "limit", 1, LISTING_MAX_LIMIT, &wanted->limit, error);
    if (!result)
        result = parse_cursor(query, wanted, error);
    return result;
}

static size_t index_at(const struct listing *listing, size_t position)
{
    if (listing->chosen)
        return listing->chosen[position];
    if (listing->order == CURSOR_BY_COUNT_DOWN)
        return snapshot_by_count(listing->snapshot, position);
    if (listing->order == CURSOR_BY_COUNT_UP)
        return snapshot_by_count(listing->snapshot,
                                 snapshot_length(listing->snapshot) - 1 - position);
    return position;
}

/* Moves *position to the next that is listed; false when there is none. */
static bool find_listed(const struct listing *listing, size_t *position, size_t *index)
{
    for (; *position < listing->stop; ++*position) {
        *index = index_at(listing, *position);
        if (*index >= listing->begin && *index < listing->end)
            return true;
    }
    return false;
}

/* Whether a device comes behind the one whose key the cursor holds. */
static bool is_behind(const struct snapshot_device *device, const struct cursor *cursor)
{
    size_t common = device->id_length < cursor->id_length ? device->id_length : cursor->id_length;
    int order = memcmp(device->id, cursor->id, common);

    if (!order)
        order = (device->id_length > cursor->id_length) - (device->id_length < cursor->id_length);
    if (cursor->order != CURSOR_BY_ID && device->count != cursor->count)
        order = device->count < cursor->count ? 1 : -1;
    return cursor->order == CURSOR_BY_COUNT_UP ? order < 0 : order > 0;
}

/* The first position that is behind the cursor. */
static size_t find_behind(const struct listing *listing, const struct cursor *cursor)
{
    size_t low = listing->position, high = listing->stop;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct snapshot_device device = snapshot_get(listing->snapshot, index_at(listing, middle));

        if (is_behind(&device, cursor))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int compare_indexes(const void *a, const void *b)
{
    const size_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static bool is_id(const struct snapshot_device *device, const struct query_pair *id)
{
    return device->id_length == id->length && !memcmp(device->id, id->value, id->length);
}

/* Finds the devices that were asked for by id, in the order of ids, each once. Returns 0 or
 * -ENOMEM. */
static int choose(struct listing *listing, const struct query *ids)
{
    size_t found = 0, kept = 0;

    listing->chosen = calloc(ids->count, sizeof *listing->chosen);
    if (!listing->chosen)
        return -ENOMEM;
    for (const struct query_pair *id = ids->pairs; id < ids->pairs + ids->count; id++) {
        size_t index = snapshot_lower_bound(listing->snapshot, id->value, id->length);
        struct snapshot_device device;

        if (index == snapshot_length(listing->snapshot))
            continue;
        device = snapshot_get(listing->snapshot, index);
        if (is_id(&device, id))
            listing->chosen[found++] = index;
    }
    qsort(listing->chosen, found, sizeof *listing->chosen, compare_indexes);
    for (size_t i = 0; i < found; i++) {
        if (i == 0 || listing->chosen[i] != listing->chosen[i - 1])
            listing->chosen[kept++] = listing->chosen[i];
    }
    listing->stop = kept;
    return 0;
}

int listing_start(struct listing *listing, const struct snapshot *snapshot,
                  const struct listing_query *wanted)
{
    *listing = (struct listing){
        .snapshot = snapshot,
        .order = wanted->order,
        .end = snapshot_length(snapshot),
        .stop = snapshot_length(snapshot),
    };
    if (wanted->ids)
        return choose(listing, wanted->ids);
    if (wanted->prefix)
        snapshot_prefix(snapshot, wanted->prefix->value, wanted->prefix->length, &listing->begin,
                        &listing->end);
    if (wanted->order == CURSOR_BY_ID) {
        listing->position = listing->begin;
        listing->stop = listing->end;
    }
    if (wanted->resumed)
        listing->position = find_behind(listing, &wanted->after);
    return 0;
}

void listing_end(struct listing *listing)
{
    free(listing->chosen);
    listing->chosen = NULL;
}

bool listing_limit(struct listing *listing, uint64_t limit, struct cursor *next)
{
    struct snapshot_device last = {0};
    size_t position = listing->position, index = 0;

    for (uint64_t taken = 0; find_listed(listing, &position, &index); taken++, position++) {
        if (taken >= limit && last.id_length <= CURSOR_MAX_ID_BYTES) {
            listing->stop = position;
            next->order = listing->order;
            next->count = listing->order == CURSOR_BY_ID ? 0 : last.count;
            next->id_length = last.id_length;
            if (last.id_length > 0)
                memcpy(next->id, last.id, last.id_length);
            return true;
        }
        if (taken + 1 >= limit)
            last = snapshot_get(listing->snapshot, index);
    }
    return false;
}

size_t listing_next(struct listing *listing, struct snapshot_device *devices, size_t room)
{
    size_t given = 0, index;

    while (given < room && find_listed(listing, &listing->position, &index)) {
        devices[given] = snapshot_get(listing->snapshot, index);
        __builtin_prefetch(devices[given].id);
        listing->position++;
        given++;
    }
    return given;
}
