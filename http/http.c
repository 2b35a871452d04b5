/*
 * Starts and stops civetweb, and hands its requests to the router.
 *
 * civetweb is used for what it is good at, connections and the reading of requests, and kept from
 * all else: no document root, no scripts, no authentication, no pages of its own. Every request
 * is taken in the begin_request callback, before civetweb looks for files, with its path as it
 * was sent. civetweb takes a thread for each connection. They are all started at once, and an
 * idle one costs 15 KB; ARCHITECTURE.md, "Decisions", has what that buys.
 */
#include "http/http.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "http/connection_limiter.h"
#include "http/count_source.h"
#include "http/events.h"
#include "http/health.h"
#include "http/listener_wake.h"
#include "http/lookup.h"
#include "http/rates.h"
#include "http/reader.h"
#include "http/request.h"
#include "http/request_head.h"
#include "http/responses.h"
#include "http/router.h"
#include "http/tls_proxy.h"

#include <civetweb.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A request's head may take this much beside its device id, which percent-encoding can make three
 * times as long: enough to ask for a thousand devices by usual ids. civetweb allocates the whole
 * for each thread, but memory that no request fills is never touched. */
#define REQUEST_HEAD_BYTES (64 * 1024)
#define REQUEST_MAX_BYTES  (1024 * 1024)

#define CIVETWEB_WORKER 1 /* the type of the threads that serve connections, in its callbacks */

struct http_server {
    struct http_options options;
    struct http_shared shared;
    struct response_counts responses;
    struct count_source *reader_source; /* the reader's; only its thread uses it */
    struct mg_context *civetweb;
    const char *host;  /* the address that civetweb listens on: the option's, as a rule */
    uint64_t port;     /* and the port */
    char address[128]; /* both, as civetweb takes them: "127.0.0.1:8000" */
    pthread_t starter;
    char complaint[192]; /* the first thing that civetweb said while it started; else "" */
};

static int on_connection(const struct mg_connection *connection, void **data)
{
    const struct http_server *server = mg_get_user_data(mg_get_context(connection));

    (void)data;
    connection_limiter_note_opened(server->shared.limiter);
    return 0;
}

static void on_closed(const struct mg_connection *connection)
{
    const struct http_server *server = mg_get_user_data(mg_get_context(connection));

    connection_limiter_note_closed(server->shared.limiter);
}

static int on_request(struct mg_connection *connection)
{
    const struct http_server *server = mg_get_user_data(mg_get_context(connection));
    int status, port = mg_get_request_info(connection)->remote_port;

    connection_limiter_note_request(server->shared.limiter, port);
    status = router_handle(connection, &server->shared);
    connection_limiter_note_answered(server->shared.limiter, port);
    return status;
}

static int on_unreadable(struct mg_connection *connection, int status, const char *message)
{
    const struct http_server *server = mg_get_user_data(mg_get_context(connection));

    router_handle_unreadable(connection, &server->shared, status, message);
    return 0;
}

/* What civetweb says while it starts is kept for http_start()'s error; the rest is logged. */
static int on_message(const struct mg_connection *connection, const char *message)
{
    struct http_server *server = mg_get_user_data(mg_get_context(connection));

    if (!pthread_equal(pthread_self(), server->starter))
        log_warn("civetweb: %s", message);
    else if (!server->complaint[0])
        snprintf(server->complaint, sizeof server->complaint, "%s", message);
    return 1;
}

/* How much of a request civetweb takes in: the size of its buffers. A number divisible by 16, to
 * which malloc() adds 8 bytes; see request_head.c. */
static uint64_t request_bytes(const struct http_options *options)
{
    uint64_t bytes = (REQUEST_HEAD_BYTES + 3 * options->max_device_id_bytes + 15) / 16 * 16;

    return bytes < REQUEST_MAX_BYTES ? bytes : REQUEST_MAX_BYTES;
}

/* The threads that serve connections stand back behind those that count packets, and behind the one
 * that takes connections, which would hardly get a turn among a thousand of them. Each has its
 * struct request_head_buffer, or NULL when memory is short. */
static void *on_thread_start(const struct mg_context *context, int type)
{
    const struct http_server *server = mg_get_user_data(context);
    struct request_head_buffer *buffer;

    thread_adopt(THREAD_HTTP, "http");
    if (type != CIVETWEB_WORKER)
        return NULL;
    thread_stand_back();
    buffer = calloc(1, sizeof *buffer);
    if (buffer)
        buffer->bytes = request_bytes(&server->options);
    return buffer;
}

static void on_thread_end(const struct mg_context *context, int type, void *buffer)
{
    (void)context;
    (void)type;
    free(buffer);
}

static enum count_source_result read_counts(void *source, const atomic_bool *stop,
                                            const struct snapshot *before,
                                            struct snapshot **snapshot, char error[ERROR_BYTES])
{
    return count_source_read_all(source, stop, before, snapshot, error);
}

/* Renders the address to listen on. Debian builds civetweb without IPv6, so that must be asked
 * for. Returns 0, or -EAFNOSUPPORT with `error`. */
static int render_address(struct http_server *server, char error[ERROR_BYTES])
{
    const char *bind = server->options.bind;
    uint64_t port = server->options.port;
    bool any = !strcmp(bind, "::");

    server->host = bind;
    server->port = port;
    if (server->options.tls) {
        server->host = "127.0.0.1";
        snprintf(server->address, sizeof server->address, "127.0.0.1:0"); /* any port */
    } else if (!strchr(bind, ':')) {
        snprintf(server->address, sizeof server->address, "%s:%" PRIu64, bind, port);
    } else if (mg_check_feature(MG_FEATURES_IPV6) && any) {
        snprintf(server->address, sizeof server->address, "+%" PRIu64, port); /* IPv4 as well */
    } else if (mg_check_feature(MG_FEATURES_IPV6)) {
        snprintf(server->address, sizeof server->address, "[%s]:%" PRIu64, bind, port);
    } else if (any) {
        log_warn("civetweb is built without IPv6 here: HTTP listens on all IPv4 addresses only");
        server->host = "0.0.0.0";
        snprintf(server->address, sizeof server->address, "%s:%" PRIu64, server->host, port);
    } else {
        snprintf(error, ERROR_BYTES,
                 "HTTP cannot listen on %.64s: civetweb is built without IPv6 here; choose an IPv4 "
                 "address with --bind",
                 bind);
        return -EAFNOSUPPORT;
    }
    return 0;
}

static void explain_failure(const struct http_server *server, char error[ERROR_BYTES])
{
    if (strstr(server->complaint, strerror(EADDRINUSE)))
        snprintf(error, ERROR_BYTES,
                 "HTTP port %" PRIu64 " on %.64s is in use: stop the program that holds it, or "
                 "choose another one with --http-port",
                 server->options.port, server->options.bind);
    else
        snprintf(error, ERROR_BYTES, "HTTP cannot listen on port %" PRIu64 " of %.64s: %.120s",
                 server->options.port, server->options.bind,
                 server->complaint[0] ? server->complaint : "civetweb did not start");
}

/* Starts civetweb with all signals blocked, which its threads inherit, so that only main receives
 * them. Returns 0, or -EIO with `error`. */
static int start_civetweb(struct http_server *server, char error[ERROR_BYTES])
{
    static const struct mg_callbacks callbacks = {
        .init_connection = on_connection,
        .connection_closed = on_closed,
        .begin_request = on_request,
        .http_error = on_unreadable,
        .log_message = on_message,
        .init_thread = on_thread_start,
        .exit_thread = on_thread_end,
    };
    char request_text[24], threads_text[24], timeout_text[24];
    /* A name and its value a line. */
    /* clang-format off */
    const char *const options[] = {
        "listening_ports", server->address,
        "num_threads", threads_text,
        "connection_queue", threads_text, /* taken, and not yet by a thread */
        "listen_backlog", "1024",
        "max_request_size", request_text,
        "request_timeout_ms", timeout_text, /* for a head, all in all, and for a stalled write */
        "enable_keep_alive", "yes",
        "keep_alive_timeout_ms", "500",  /* an idle connection holds a thread */
        "tcp_nodelay", "1",
        "decode_url", "no",              /* its decoder ends a path at %00 */
        "enable_auth_domain_check", "no", /* takes requests for any host name */
        NULL,
    };
    /* clang-format on */
    sigset_t all, before;

    snprintf(request_text, sizeof request_text, "%" PRIu64, request_bytes(&server->options));
    snprintf(timeout_text, sizeof timeout_text, "%" PRIu64, server->options.handshake_timeout_ms);
    snprintf(threads_text, sizeof threads_text, "%" PRIu64, server->options.connections);
    server->starter = pthread_self();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->civetweb = mg_start(&callbacks, server, (const char **)options);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (server->civetweb)
        return 0;
    explain_failure(server, error);
    return -EIO;
}

/* With TLS: opens the port, which civetweb then does not. Returns 0 or a negative errno with
 * `error`.
 */
static int create_tls_proxy(struct http_server *server, char error[ERROR_BYTES])
{
    const struct http_options *options = &server->options;
    struct tls_proxy_options proxy = {
        .bind = options->bind,
        .port = options->port,
        .handshake_timeout_ms = options->handshake_timeout_ms,
        .connections = 2 * options->connections, /* civetweb queues as many as it serves */
        .connections_per_address = options->connections_per_address,
        .hash_key = options->hash_key,
    };

    if (!options->tls)
        return 0;
    proxy.context = tls_context(options->tls, "http/1.1", false, false);
    if (!proxy.context) {
        snprintf(error, ERROR_BYTES, "HTTP cannot start: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    server->shared.tls_proxy = tls_proxy_create(&proxy, error);
    return server->shared.tls_proxy ? 0 : -EADDRINUSE;
}

/* Leads the proxy to the port that civetweb got. */
static int start_tls_proxy(struct http_server *server, char error[ERROR_BYTES])
{
    struct mg_server_port port;
    int result;

    if (!server->shared.tls_proxy)
        return 0;
    result = mg_get_server_ports(server->civetweb, 1, &port) == 1 ? 0 : -EIO;
    if (!result) {
        server->port = (uint64_t)port.port;
        result = tls_proxy_start(server->shared.tls_proxy, (uint16_t)port.port);
    }
    if (!result)
        return 0;
    snprintf(error, ERROR_BYTES, "HTTP cannot start: %s", strerror(-result));
    mg_stop(server->civetweb);
    return result;
}

static int start_connection_limiter(struct http_server *server, char error[ERROR_BYTES])
{
    int result = connection_limiter_start(server->shared.limiter, server->port,
                                          tls_proxy_callers(server->shared.tls_proxy));

    if (!result)
        return 0;
    snprintf(error, ERROR_BYTES, "HTTP cannot start: %s", strerror(-result));
    mg_stop(server->civetweb);
    return result;
}

/* Everything that requests need. Returns 0 or a negative errno. */
static int create_shared(struct http_server *server)
{
    struct http_options *options = &server->options;
    struct http_shared *shared = &server->shared;
    const struct connection_limiter_options limiter = {
        .threads = options->connections,
        .per_address = options->tls ? 0 : options->connections_per_address, /* the proxy's then */
        .stall_timeout_ms = options->stall_timeout_ms,
    };

    shared->options = options;
    shared->started_ms = clock_now_ms();
    shared->responses = &server->responses;
    if (getrandom(&shared->etag_seed, sizeof shared->etag_seed, 0) != sizeof shared->etag_seed)
        return -errno;
    server->reader_source = count_source_create(&options->redis);
    shared->health = health_create();
    shared->lookup = lookup_create(&options->redis);
    if (!server->reader_source || !shared->health || !shared->lookup)
        return -ENOMEM;
    shared->reader = reader_create(read_counts, server->reader_source, options->refresh_ms);
    if (!shared->reader)
        return -errno;
    shared->rates = rates_create(options->workers, options->worker_count);
    if (!shared->rates)
        return -errno;
    shared->limiter = connection_limiter_create(&limiter);
    if (!shared->limiter)
        return -ENOMEM;
    shared->events = events_create(shared);
    return shared->events ? 0 : -errno;
}

static void destroy(struct http_server *server)
{
    struct http_shared *shared = &server->shared;

    connection_limiter_destroy(shared->limiter); /* it asks the proxy for names */
    tls_proxy_destroy(shared->tls_proxy);
    events_destroy(shared->events);
    rates_destroy(shared->rates);
    reader_destroy(shared->reader);
    lookup_destroy(shared->lookup);
    health_destroy(shared->health);
    count_source_destroy(server->reader_source);
    mg_exit_library();
    free(server);
}

int http_check_public(const char *public_paths, char error[ERROR_BYTES])
{
    uint64_t set;

    return router_read_public(public_paths, &set, error);
}

struct http_server *http_start(const struct http_options *options, char error[ERROR_BYTES])
{
    struct http_server *server = calloc(1, sizeof *server);
    int result;

    thread_assert_role(THREAD_MAIN);
    if (!server) {
        snprintf(error, ERROR_BYTES, "HTTP cannot start: %s", strerror(ENOMEM));
        return NULL;
    }
    server->options = *options;
    mg_init_library(0);
    if (options->public_paths &&
        router_read_public(options->public_paths, &server->shared.public_routes, error))
        goto err;
    result = create_shared(server);
    if (result) {
        snprintf(error, ERROR_BYTES, "HTTP cannot start: %s", strerror(-result));
        goto err;
    }
    if (create_tls_proxy(server, error) || render_address(server, error) ||
        start_civetweb(server, error) || start_tls_proxy(server, error) ||
        start_connection_limiter(server, error))
        goto err;
    return server;

err:
    destroy(server);
    return NULL;
}

void http_stop(struct http_server *server)
{
    struct listener_wake *wake;

    thread_assert_role(THREAD_MAIN);
    if (!server)
        return;
    events_stop(server->shared.events);
    reader_stop(server->shared.reader);
    wake = listener_wake_start(server->host, server->port);
    mg_stop(server->civetweb);
    listener_wake_stop(wake);
    destroy(server);
}
