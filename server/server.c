/* Start order, written once, here; and the way back. */
#include "aggregator/commits.h"
#include "aggregator/cut.h"
#include "aggregator/flusher.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "common/tls.h"
#include "common/tokens.h"
#include "http/http.h"
#include "server/acceptor.h"
#include "server/server_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- Start ---------------------------------------------------------------------------------- */

static struct connection_options connection_options(const struct server *server)
{
    const struct config *config = server->config;

    return (struct connection_options){
        .max_streams = (uint32_t)config->max_streams,
        .handshake_timeout_ms = config->handshake_timeout_ms,
        .stall_timeout_ms = config->stall_timeout_ms,
        .keepalive_time_ms = config->keepalive_time_ms,
        .keepalive_timeout_ms = config->keepalive_timeout_ms,
        .keepalive_min_ping_ms = config->keepalive_min_ping_ms,
        .max_age_ms = config->max_connection_age_ms,
        .max_age_grace_ms = config->max_connection_age_grace_ms,
        .tls = server->grpc_tls,
    };
}

/* Returns NULL with errno. */
static struct worker *create_worker(struct server *server, size_t i)
{
    const struct config *config = server->config;
    struct worker_options options = {
        .number = (unsigned)i,
        .commits = server->commits,
        .redis_grace_ms = config->redis_grace_ms,
        .stall_timeout_ms = config->stall_timeout_ms,
        .max_message_bytes = (uint32_t)config->max_message_bytes,
        .max_device_id_bytes = (size_t)config->max_device_id_bytes,
        .connections = connection_options(server),
        .pressure = &server->pressure,
        .tokens = server->tokens,
    };

    server->worker_stats[i] = aligned_alloc(CACHE_LINE_BYTES, sizeof(struct stats_worker));
    server->cuts[i] = cut_create(&server->hash_key, (size_t)config->max_devices, server->wake_fd);
    if (!server->worker_stats[i] || !server->cuts[i])
        return NULL;
    memset(server->worker_stats[i], 0, sizeof(struct stats_worker));
    cut_heed(server->cuts[i], &server->pressure);
    options.cut = server->cuts[i];
    options.stats = server->worker_stats[i];
    return worker_create(&options);
}

static struct flusher *create_flusher(struct server *server)
{
    const struct config *config = server->config;
    const struct flusher_options options = {
        .redis = config_redis_options(config),
        .instance = config->instance,
        .interval_ms = config->flush_interval_ms,
        .max_devices = config->max_devices,
        .hash_key = server->hash_key,
        .cuts = server->cuts,
        .cut_count = server->worker_count,
        .commits = server->commits,
        .stats = server->flusher_stats,
        .balance = &server->balance,
        .wake_fd = server->wake_fd,
        .event_fd = server->event_fd,
    };

    return flusher_create(&options);
}

static int share_descriptors(struct server *server, char error[ERROR_BYTES])
{
    const struct config *config = server->config;
    const struct descriptors_wanted wanted = {
        .workers = server->worker_count,
        .connections = config->max_connections,
        .http_connections = config->http_connections,
        .tls = server->tls,
    };
    struct descriptors *shares = &server->descriptors;
    uint64_t limit = descriptors_raise_limit();

    if (descriptors_share(limit, &wanted, shares)) {
        snprintf(error, ERROR_BYTES,
                 "cannot start: the process may open %" PRIu64 " files (ulimit -n), and %" PRIu64
                 " are the least that it works with",
                 limit, shares->limit);
        return -EMFILE;
    }
    if (shares->http_connections < wanted.http_connections)
        log_warn("at most %" PRIu64 " HTTP connections, of the %" PRIu64
                 " of --http-connections: the process may open %" PRIu64 " files (ulimit -n)",
                 shares->http_connections, wanted.http_connections, limit);
    return 0;
}

/* Makes all parts, and starts none. Returns 0 or a negative errno. */
static int create_parts(struct server *server)
{
    size_t n = server->worker_count;

    if (getrandom(&server->hash_key, sizeof server->hash_key, 0) !=
        (ssize_t)sizeof server->hash_key)
        return -errno;
    server->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (server->wake_fd < 0)
        return -errno;
    server->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (server->event_fd < 0)
        return -errno;
    server->cuts = calloc(n, sizeof *server->cuts);
    server->workers = calloc(n, sizeof *server->workers);
    server->worker_stats = calloc(n, sizeof *server->worker_stats);
    server->flusher_stats = aligned_alloc(CACHE_LINE_BYTES, sizeof *server->flusher_stats);
    server->main_stats = aligned_alloc(CACHE_LINE_BYTES, sizeof *server->main_stats);
    server->commits = commits_create();
    if (!server->cuts || !server->workers || !server->worker_stats || !server->flusher_stats ||
        !server->main_stats || !server->commits)
        return -ENOMEM;
    memset(server->main_stats, 0, sizeof *server->main_stats);
    memset(server->flusher_stats, 0, sizeof *server->flusher_stats);
    for (size_t i = 0; i < n; i++) {
        server->workers[i] = create_worker(server, i);
        if (!server->workers[i])
            return -errno;
    }
    server->flusher = create_flusher(server);
    return server->flusher ? 0 : -errno;
}

/* Starts the threads; order important: the flusher waits for answers of running workers. */
static int start_threads(struct server *server)
{
    int error = 0;

    for (size_t i = 0; !error && i < server->worker_count; i++) {
        error = worker_start(server->workers[i]);
        server->workers_running += !error;
    }
    return error ? error : flusher_start(server->flusher);
}

static int create_tls(struct server *server, char error[ERROR_BYTES])
{
    struct tls_files files;

    if (!config_tls_files(server->config, &files))
        return 0;
    server->tls = tls_create(&files, error);
    if (!server->tls)
        return -EINVAL;
    server->grpc_tls = tls_context(server->tls, "h2", true, true);
    if (server->grpc_tls)
        return 0;
    snprintf(error, ERROR_BYTES, "out of memory");
    return -ENOMEM;
}

static int create_tokens(struct server *server, char error[ERROR_BYTES])
{
    if (!server->config->token_file)
        return 0;
    server->tokens = tokens_create(server->config->token_file, error);
    return server->tokens ? 0 : -EINVAL;
}

static struct http_server *start_http(struct server *server, char error[ERROR_BYTES])
{
    const struct config *config = server->config;
    const struct http_options options = {
        .bind = config->bind,
        .port = config->http_port,
        .instance = config->instance,
        .redis = config_redis_options(config),
        .max_device_id_bytes = config->max_device_id_bytes,
        .max_devices = config->max_devices,
        .connections = server->descriptors.http_connections,
        .refresh_ms = config->http_refresh_ms,
        .prom_devices = config->prom_devices,
        .commits = server->commits,
        .redis_grace_ms = config->redis_grace_ms,
        .workers = server->worker_stats,
        .worker_count = server->worker_count,
        .flusher = server->flusher_stats,
        .main = server->main_stats,
        .balance = &server->balance,
        .draining = &server->draining,
        .tokens = server->tokens,
        .public_paths = config->http_public,
        .tls = server->tls,
        .handshake_timeout_ms = config->handshake_timeout_ms,
        .connections_per_address = config->http_connections_per_address,
        .hash_key = server->hash_key,
        .stall_timeout_ms = config->stall_timeout_ms,
    };

    return http_start(&options, error);
}

static int open_port(struct server *server, char error[ERROR_BYTES])
{
    const struct config *config = server->config;
    const struct acceptor_options options = {
        .address = config->bind,
        .port = (uint16_t)config->grpc_port,
        .workers = server->workers,
        .worker_count = server->worker_count,
        .max_connections = config->max_connections,
        .max_connections_per_address = config->max_connections_per_address,
        .descriptors = server->descriptors.connections,
        .hash_key = server->hash_key,
        .stats = server->main_stats,
        .pressure = &server->pressure,
    };

    int result;

    server->acceptor = acceptor_create(&options);
    if (server->acceptor)
        return 0;
    result = -errno;
    snprintf(error, ERROR_BYTES, "cannot listen for gRPC on %s, port %" PRIu64 ": %s%s",
             config->bind, config->grpc_port, strerror(-result),
             result == -EADDRINUSE ? "; choose another with --grpc-port" : "");
    return result;
}

static void log_start(const struct server *server)
{
    const struct config *config = server->config;
    const struct redis_options redis = config_redis_options(config);
    char address[ERROR_BYTES];

    log_info("tallyd " TALLYD_VERSION ": gRPC on %s:%" PRIu64 ", HTTP on %s:%" PRIu64
             ", Redis at %s, instance %s, %zu worker%s",
             config->bind, config->grpc_port, config->bind, config->http_port,
             redis_address(&redis, address), config->instance, server->worker_count,
             server->worker_count == 1 ? "" : "s");
}

static void warn_of_exposure(const struct config *config)
{
    if (!config_is_exposed(config) || config->tls_cert)
        return;
    if (config->token_file)
        log_warn("other machines can reach %s, and without --tls-cert tokens travel in the clear",
                 config->bind);
    else
        log_warn("everybody who can reach %s may send and read: it is no loopback address, and "
                 "neither --tls-cert nor --token-file is set",
                 config->bind);
}

int server_check_limits(const struct server *server, char error[ERROR_BYTES])
{
    if (!server->config->memory_limit_bytes || !server->memory_error)
        return 0;
    snprintf(error, ERROR_BYTES, "--memory-limit-bytes: memory cannot be measured here: %s",
             strerror(-server->memory_error));
    return -EINVAL;
}

void server_note_limits(struct server *server)
{
    stats_set(&server->main_stats->memory_limit_bytes, server->config->memory_limit_bytes);
}

struct server *server_start(const struct config *config, char error[ERROR_BYTES])
{
    struct server *server = calloc(1, sizeof *server);
    int result;

    thread_assert_role(THREAD_MAIN);
    if (!server) {
        snprintf(error, ERROR_BYTES, "out of memory");
        return NULL; /* errno is ENOMEM */
    }
    server->config = config;
    server->worker_count = (size_t)config->workers;
    server->wake_fd = server->event_fd = -1;
    balance_init(&server->balance);
    server->memory_error = pressure_init(&server->pressure);
    if ((result = server_check_limits(server, error)) || (result = create_tls(server, error)) ||
        (result = create_tokens(server, error)))
        goto err;
    if (share_descriptors(server, error)) /* what the process may have, and no option */
        goto err;
    if ((result = create_parts(server)))
        goto err_result;
    /* Both ports before the flusher: the epoch that it takes fences whoever has this name. */
    if (open_port(server, error))
        goto err;
    server->http = start_http(server, error);
    if (!server->http)
        goto err;
    if ((result = start_threads(server)))
        goto err_result;
    watchdog_init(&server->watchdog, server->workers, server->worker_count, server->flusher);
    server_note_limits(server);
    log_start(server);
    warn_of_exposure(config);
    return server;

err_result:
    snprintf(error, ERROR_BYTES, "cannot start: %s", strerror(-result));
    result = 0;
err:
    server_destroy(server);
    errno = result == -EINVAL ? EINVAL : ECANCELED;
    return NULL;
}

void server_destroy(struct server *server)
{
    thread_assert_role(THREAD_MAIN);
    if (!server)
        return;
    http_stop(server->http);
    if (server->flusher)
        flusher_stop(server->flusher, 0);
    server_end_workers(server);
    flusher_destroy(server->flusher);
    for (size_t i = 0; i < server->worker_count; i++) {
        if (server->workers)
            worker_destroy(server->workers[i]);
        if (server->cuts)
            cut_destroy(server->cuts[i]);
        if (server->worker_stats)
            free(server->worker_stats[i]);
    }
    commits_destroy(server->commits);
    balance_fini(&server->balance);
    pressure_fini(&server->pressure);
    free(server->flusher_stats);
    free(server->main_stats);
    free(server->worker_stats);
    free(server->workers);
    free(server->cuts);
    acceptor_destroy(server->acceptor);
    tls_destroy(server->tls);
    tokens_destroy(server->tokens);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    if (server->event_fd >= 0)
        close(server->event_fd);
    free(server);
}
