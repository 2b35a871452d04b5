/* Paths are compared as they were sent: the endpoints' own names need no percent-encoding. */
#include "http/router.h"

#include "common/compiler.h"
#include "common/thread.h"
#include "http/accept.h"
#include "http/assets.h"
#include "http/caller.h"
#include "http/device.h"
#include "http/events.h"
#include "http/health.h"
#include "http/http.h"
#include "http/metrics.h"
#include "http/prometheus.h"
#include "http/reload_ask.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/request_head.h"
#include "http/responses.h"
#include "http/statistics.h"
#include "http/summary.h"
#include "http/top.h"

#include <civetweb.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PATH_BYTES           1024 /* of a path, beside a device id in it */
#define CIVETWEB_MAX_HEADERS 64   /* of a request; it drops what comes behind */

struct route {
    const char *path;
    bool goes_on; /* the path is the beginning of what it serves */
    int (*serve)(struct request *request);
    const char *const *parameters; /* of the query, the last NULL; NULL: none */
    bool changes;                  /* POST, and the right to administrate; else GET and HEAD */
};

static const char *const metrics_parameters[] = {"prefix", "sort",      "limit",
                                                 "cursor", "device_id", NULL};
static const char *const top_parameters[] = {"n", NULL};

/* Those that change something are the last, and never public. */
static const struct route routes[] = {
    {"/metrics", false, metrics_serve, metrics_parameters, false},
    {"/metrics/prom", false, prometheus_serve, NULL, false},
    {"/devices/", true, device_serve, NULL, false},
    {"/top", false, top_serve, top_parameters, false},
    {"/summary", false, summary_serve, NULL, false},
    {"/events", false, events_serve, NULL, false},
    {"/stats", false, statistics_serve, NULL, false},
    {"/healthz", false, health_serve_alive, NULL, false},
    {"/readyz", false, health_serve_ready, NULL, false},
    {"/-/reload", false, reload_ask_serve, NULL, true},
};

#define READING_ROUTES (ARRAY_LENGTH(routes) - 1)

/* A file that was built in, for a path that is none of the above. */
static int serve_asset(struct request *request)
{
    return reply_asset(request, assets_find(request->path));
}

static const struct route asset_route = {NULL, false, serve_asset, NULL, false};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        const struct route *route = &routes[i];

        if (route->goes_on ? !strncmp(path, route->path, strlen(route->path))
                           : !strcmp(path, route->path))
            return route;
    }
    return assets_find(path) ? &asset_route : NULL;
}

/* Reads the query, and lets the handler answer if it is one that the path knows. */
static int serve(struct request *request, const struct route *route, const char *query)
{
    struct query_error error;
    int status;

    switch (query_parse(&request->query, query, route->parameters, &error)) {
    case 0:
        status = route->serve(request);
        query_free(&request->query);
        return status;
    case -ENOMEM:
        return reply_problem(request, 503, "memory is short");
    default:
        return reply_bad_parameter(request, &error);
    }
}

/* Files that were built in are for everybody; other paths are if --http-public says so. */
static bool is_public(const struct http_shared *shared, const struct route *route)
{
    return route == &asset_route || (shared->public_routes >> (route - routes) & 1);
}

/* The route of a path; none for what changes something when there are no tokens, since nobody could
 * be told from an administrator then. */
static const struct route *find_served(const struct request *request)
{
    const struct route *route = find_route(request->path);

    return route && route->changes && !request->shared->options->tokens ? NULL : route;
}

static bool is_method_served(const struct request *request, const struct route *route,
                             const char *method)
{
    if (route && route->changes)
        return !strcmp(method, "POST");
    return request->head || !strcmp(method, "GET");
}

/* Returns 0, or the status of the answer that refuses. */
static int admit(struct request *request, const struct route *route)
{
    int status;

    if (is_public(request->shared, route))
        return 0;
    status = caller_admit(request);
    return status ? status : auth_admit(request, route->changes ? TOKEN_ADMIN : TOKEN_READ);
}

/* What HTTP/1.1 asks of a request: exactly one Host, which HTTP/1.0 need not have. Who sends two
 * hopes that a proxy and this server choose different ones. */
static bool names_one_host(const struct mg_request_info *info, bool http10)
{
    int hosts = 0;

    for (int i = 0; i < info->num_headers; i++)
        hosts += !strcasecmp(info->http_headers[i].name, "Host");
    return hosts == 1 || (http10 && hosts == 0);
}

/* Refuses a method. Who asks for a reload that there is none of is told what is missing. */
static int refuse_method(struct request *request, const struct route *route)
{
    const struct route *known = find_route(request->path);
    bool changes = route && route->changes;

    reply_header(request, "Allow: %s", changes ? "POST" : "GET, HEAD");
    if (!route && known && known->changes)
        return reply_problem(request, 405,
                             "without --token-file nobody can be told from an "
                             "administrator here: send SIGHUP instead");
    return reply_problem(request, 405, "only %s served here",
                         changes ? "POST is" : "GET and HEAD are");
}

/* Refuses what is too large, or not whole. Returns the status of the answer, or 0. */
static int refuse_odd(struct request *request, const struct mg_request_info *info)
{
    size_t path_max = PATH_BYTES + 3 * request->shared->options->max_device_id_bytes;
    struct request_head_buffer *buffer = mg_get_thread_pointer(request->connection);
    const char *fault;

    if (info->num_headers >= CIVETWEB_MAX_HEADERS)
        return reply_problem(request, 431, "more than %d headers", CIVETWEB_MAX_HEADERS - 1);
    if (!buffer)
        return reply_problem(request, 503, "memory is short");
    fault = request_head_fault(info, buffer);
    if (fault) {
        request->keep_alive = false;
        mg_disable_connection_keep_alive(request->connection);
        return reply_problem(request, 400, "%s", fault);
    }
    if (strlen(request->path) > path_max)
        return reply_problem(request, 414, "the path has more than %zu bytes", path_max);
    if (!names_one_host(info, request->http10))
        return reply_problem(request, 400, "there must be exactly one Host header");
    return 0;
}

static int answer(struct request *request, const struct mg_request_info *info)
{
    const struct route *route = find_served(request);
    int status = refuse_odd(request, info);

    if (status)
        return status;
    if (!is_method_served(request, route, info->request_method))
        return refuse_method(request, route);
    if (!route)
        return reply_problem(request, 404, "no such path; /docs lists those that there are");
    status = admit(request, route);
    if (!status)
        status = serve(request, route, info->query_string);
    auth_done(request);
    return status;
}

int router_read_public(const char *list, uint64_t *set, char error[ERROR_BYTES])
{
    const char *known[READING_ROUTES];

    for (size_t i = 0; i < READING_ROUTES; i++)
        known[i] = routes[i].path;
    return auth_read_public(list, known, READING_ROUTES, set, error);
}

/* Whether a body follows the head, or may: a length that is no plain 0 is taken for one, and so is
 * one that civetweb may have dropped, with all headers past its limit. */
static bool may_have_body(const struct mg_request_info *info)
{
    if (info->num_headers >= CIVETWEB_MAX_HEADERS)
        return true;
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *header = &info->http_headers[i];

        if (!strcasecmp(header->name, "Transfer-Encoding") ||
            (!strcasecmp(header->name, "Content-Length") && strcmp(header->value, "0") != 0))
            return true;
    }
    return false;
}

/* Whether the connection may carry another request. A request with a body ends it: nothing here
 * reads bodies, so the body would be taken for the next request. An HTTP/1.0 connection ends too,
 * since an answer of unknown length has no other end there. */
static bool may_keep_alive(struct mg_connection *connection, const struct mg_request_info *info,
                           bool http10)
{
    const char *wish = mg_get_header(connection, "Connection");

    if (http10 || may_have_body(info) || !request_head_is_certain(info))
        return false;
    return !wish || (strcasestr(wish, "keep-alive") && !strcasestr(wish, "close"));
}

int router_handle(struct mg_connection *connection, const struct http_shared *shared)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    bool http10 = !strcmp(info->http_version, "1.0");
    struct request request = {
        .connection = connection,
        .shared = shared,
        .path = info->local_uri_raw,
        .head = !strcmp(info->request_method, "HEAD"),
        .keep_alive = may_keep_alive(connection, info, http10),
        .http10 = http10,
        .gzip = accept_gzip(mg_get_header(connection, "Accept-Encoding")),
    };
    int status;

    thread_assert_role(THREAD_HTTP);
    if (!request.keep_alive)
        mg_disable_connection_keep_alive(connection);
    if (caller_bypasses_tls(&request))
        status = reply_problem(&request, 403, "HTTP is not served here, but with TLS, elsewhere");
    else
        status = answer(&request, info);
    responses_note(shared->responses, status);
    return status;
}

void router_handle_unreadable(struct mg_connection *connection, const struct http_shared *shared,
                              int status, const char *message)
{
    struct request request = {.connection = connection, .shared = shared};

    mg_disable_connection_keep_alive(connection);
    if (status == 411) { /* where there is one: RFC 9112, 6.3, wants 400 */
        status = 400;
        message = "the Content-Length is no number";
    } else if (strcmp(message, "Malformed message") == 0) { /* civetweb tells no difference */
        message = "the head of the request is malformed, or too long";
    } else if (strcmp(message, "Bad request") == 0) { /* neither here */
        message = "the request line or a header line is malformed, or the method is unknown";
    }
    responses_note(shared->responses, reply_problem(&request, status, "%s", message));
}
