/*
 * The array is written straight from the shared snapshot through the buffer of its answer, so its
 * size does not matter to the memory that a request takes. Devices are taken in groups, because
 * in the order of counts their ids lie anywhere in memory: those of a group are fetched at once.
 */
#include "http/metrics.h"

#include "common/compiler.h"
#include "common/hash.h"
#include "http/accept.h"
#include "http/exposition.h"
#include "http/freshness.h"
#include "http/json.h"
#include "http/listing.h"
#include "http/prometheus.h"
#include "http/reader.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/snapshot.h"

#include <civetweb.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GROUP_DEVICES 64

/* What a client can have here; JSON is the first, so it is what others get. */
enum { FORM_JSON, FORM_OPENMETRICS, FORM_PROMETHEUS };

static const struct accept_form forms[] = {
    [FORM_JSON] = {"application/json", NULL},
    [FORM_OPENMETRICS] = {"application/openmetrics-text", "1.0.0"},
    [FORM_PROMETHEUS] = {"text/plain", "0.0.4"},
};

static const char *order_name(enum cursor_order order)
{
    switch (order) {
    case CURSOR_BY_ID:
        break;
    case CURSOR_BY_COUNT_DOWN:
        return "-count";
    case CURSOR_BY_COUNT_UP:
        return "count";
    }
    return "device_id";
}

/* Writes a value of a query with a NUL, percent-encoded; `text` has room for three times its bytes
 * and one. */
static void encode_value(const struct query_pair *pair, char *text)
{
    for (size_t i = 0; i < pair->length; i++) {
        if (isalnum(pair->value[i]) || (pair->value[i] && strchr("-._~", pair->value[i])))
            *text++ = (char)pair->value[i];
        else
            text += sprintf(text, "%%%02X", pair->value[i]);
    }
    *text = '\0';
}

/* Adds where the next page is. A prefix is as long as the id in the cursor at most, so both lines
 * fit into REQUEST_HEADERS_BYTES. */
static void add_next(struct request *request, const struct listing_query *wanted,
                     const struct cursor *next)
{
    char cursor[CURSOR_TEXT_BYTES], prefix[3 * CURSOR_MAX_ID_BYTES + 1] = "";

    cursor_encode(next, cursor);
    if (wanted->prefix)
        encode_value(wanted->prefix, prefix);
    reply_header(request, "X-Tally-Next-Cursor: %s", cursor);
    reply_header(request, "Link: </metrics?limit=%" PRIu64 "&sort=%s%s%s&cursor=%s>; rel=\"next\"",
                 wanted->limit, order_name(wanted->order), prefix[0] ? "&prefix=" : "", prefix,
                 cursor);
}

/* Adds an ETag that no other content of this path has: its parts are the process, the snapshot and
 * the query. True when the client has that already, and was told so. */
static bool is_known(struct request *request, const struct snapshot *snapshot)
{
    const char *query = mg_get_request_info(request->connection)->query_string;
    const struct hash_key key = {request->shared->etag_seed, snapshot_version(snapshot)};
    char tag[64];

    snprintf(tag, sizeof tag, "%" PRIx64 "-%" PRIx64 "-%" PRIx64, request->shared->etag_seed,
             snapshot_version(snapshot), hash_bytes(&key, query, query ? strlen(query) : 0));
    return reply_not_modified(request, tag);
}

static void write_device(struct text_writer *writer, const struct snapshot_device *device)
{
    text_literal(writer, "{\"device_id\":");
    json_string(writer, device->id, device->id_length);
    text_literal(writer, ",\"count\":");
    text_integer(writer, device->count);
    text_literal(writer, "}");
}

static int send_listing(struct request *request, struct listing *listing)
{
    struct text_writer *writer = reply_stream_start(request, REPLY_JSON);
    struct snapshot_device group[GROUP_DEVICES];
    size_t length, written = 0;

    if (!writer)
        return 503;
    text_literal(writer, "[");
    while ((length = listing_next(listing, group, GROUP_DEVICES)) > 0 && !text_error(writer)) {
        for (size_t i = 0; i < length; i++, written++) {
            if (written)
                text_literal(writer, ",\n");
            write_device(writer, &group[i]);
        }
    }
    text_literal(writer, "]\n");
    return reply_stream_end(request, writer);
}

/* Answers from a snapshot. What else the head says is there already. */
static int serve_snapshot(struct request *request, const struct snapshot *snapshot,
                          const struct listing_query *wanted)
{
    struct listing listing;
    struct cursor next;
    int status;

    if (is_known(request, snapshot))
        return 304;
    if (listing_start(&listing, snapshot, wanted))
        return reply_problem(request, 503, "memory is short");
    if (wanted->limit && listing_limit(&listing, wanted->limit, &next))
        add_next(request, wanted, &next);
    status = send_listing(request, &listing);
    listing_end(&listing);
    return status;
}

static int serve_listing(struct request *request)
{
    struct reader *reader = request->shared->reader;
    struct listing_query wanted;
    struct reader_answer answer;
    struct query_error error;
    int status;

    if (listing_parse(&request->query, &wanted, &error))
        return reply_bad_parameter(request, &error);
    reader_acquire(reader, &answer);
    if (answer.result != COUNT_SOURCE_OK)
        return freshness_refuse(request, &answer);
    freshness_headers(request, answer.reading, answer.stale);
    reply_header(request, "Cache-Control: no-cache");
    status = serve_snapshot(request, reading_snapshot(answer.reading), &wanted);
    reading_release(answer.reading);
    return status;
}

int metrics_serve(struct request *request)
{
    const char *accept = mg_get_header(request->connection, "Accept");

    reply_header(request, "Vary: Accept, Accept-Encoding");
    switch (accept_choose(accept, forms, ARRAY_LENGTH(forms))) {
    case FORM_OPENMETRICS:
        return prometheus_serve_as(request, EXPOSITION_OPENMETRICS);
    case FORM_PROMETHEUS:
        return prometheus_serve_as(request, EXPOSITION_PROMETHEUS);
    default:
        return serve_listing(request);
    }
}
