/* Paths are compared as they were sent: the endpoints' own names need no percent-encoding. */
#include "http/router.h"

#include "common/compiler.h"
#include "http/device.h"
#include "http/health.h"
#include "http/metrics.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/statistics.h"

#include <civetweb.h>
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct route {
    const char *path;
    const char *parameter; /* for a path that goes on: the name of the rest; else NULL */
    int (*serve)(struct request *request);
    const char *help;
};

static int serve_index(struct request *request);

static const struct route routes[] = {
    {"/", NULL, serve_index, "this list"},
    {"/metrics", NULL, metrics_serve, "the counts of all devices, sorted by device_id"},
    {"/devices/", "{device_id}", device_serve, "the count of one device"},
    {"/stats", NULL, statistics_serve, "what this instance does"},
    {"/healthz", NULL, health_serve_alive, "200 while the process lives"},
    {"/readyz", NULL, health_serve_ready, "200 when Redis answers and tallyd is not draining"},
};

/* Adds {"endpoints": {path: help, ...}} to `json`. */
static void add_endpoints(cJSON *json)
{
    cJSON *endpoints = cJSON_AddObjectToObject(json, "endpoints");
    char path[64];

    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        snprintf(path, sizeof path, "%s%s", routes[i].path,
                 routes[i].parameter ? routes[i].parameter : "");
        cJSON_AddStringToObject(endpoints, path, routes[i].help);
    }
}

static int serve_index(struct request *request)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "service", "tallyd");
    cJSON_AddStringToObject(json, "version", TALLYD_VERSION);
    add_endpoints(json);
    return reply_json(request, 200, "", json);
}

static int refuse_path(struct request *request)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "error", "no such path");
    add_endpoints(json);
    return reply_json(request, 404, "", json);
}

static int refuse_method(struct request *request)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "error", "only GET and HEAD are served here");
    return reply_json(request, 405, "Allow: GET, HEAD\r\n", json);
}

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        const struct route *route = &routes[i];

        if (route->parameter ? !strncmp(path, route->path, strlen(route->path))
                             : !strcmp(path, route->path))
            return route;
    }
    return NULL;
}

/* Whether the connection may carry another request. A request with a body ends it: nothing here
 * reads bodies, and to skip a long one would cost the thread. An HTTP/1.0 connection ends too,
 * since an answer of unknown length has no other end there. */
static bool may_keep_alive(struct mg_connection *connection, const struct mg_request_info *info,
                           bool http10)
{
    const char *wish = mg_get_header(connection, "Connection");

    if (http10 || info->content_length > 0 || mg_get_header(connection, "Transfer-Encoding"))
        return false;
    return !wish || strcasestr(wish, "keep-alive");
}

int router_handle(struct mg_connection *connection, const struct http_shared *shared,
                  struct count_source *source)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    bool http10 = !strcmp(info->http_version, "1.0");
    struct request request = {
        .connection = connection,
        .shared = shared,
        .source = source,
        .path = info->local_uri_raw,
        .head = !strcmp(info->request_method, "HEAD"),
        .keep_alive = may_keep_alive(connection, info, http10),
        .http10 = http10,
    };
    const struct route *route = find_route(request.path);

    if (!request.keep_alive)
        mg_disable_connection_keep_alive(connection);
    if (!request.head && strcmp(info->request_method, "GET") != 0)
        return refuse_method(&request);
    if (!route)
        return refuse_path(&request);
    if (!source)
        return reply_error(&request, 503, "memory is short");
    return route->serve(&request);
}

void router_handle_unreadable(struct mg_connection *connection, int status, const char *message)
{
    struct request request = {.connection = connection};

    mg_disable_connection_keep_alive(connection);
    reply_error(&request, status, "%s", message);
}
