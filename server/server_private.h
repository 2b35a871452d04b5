/* What the files of the server share: its parts. */
#ifndef TALLYD_SERVER_SERVER_PRIVATE_H
#define TALLYD_SERVER_SERVER_PRIVATE_H

#include "common/balance.h"
#include "common/hash.h"
#include "common/pressure.h"
#include "server/descriptors.h"
#include "server/server.h"
#include "server/watchdog.h"
#include "server/worker.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct server {
    const struct config *config;
    int wake_fd, event_fd; /* wake_fd: workers -> flusher; event_fd: flusher -> main */
    size_t worker_count;
    struct cut **cuts;
    struct worker **workers;
    struct acceptor *acceptor;
    struct stats_worker **worker_stats;
    struct stats_flusher *flusher_stats;
    struct stats_main *main_stats;
    struct descriptors descriptors;
    struct pressure pressure;
    int memory_error;   /* why `pressure` cannot measure; 0: it can */
    uint64_t sample_ms; /* when memory is looked at next */
    struct hash_key hash_key;
    struct balance balance;
    struct commits *commits;
    struct flusher *flusher;
    struct http_server *http;
    struct watchdog watchdog;
    struct tls *tls;             /* NULL: none */
    struct ssl_ctx_st *grpc_tls; /* its */
    struct tokens *tokens;       /* NULL: everybody may do everything */
    size_t workers_running;
    atomic_bool draining; /* read by HTTP's threads */
};

/* Whether the limits that are configured can be kept. Returns 0, or -EINVAL with `error`. */
int server_check_limits(const struct server *server, char error[ERROR_BYTES]) MUST_CHECK;

/* Tells the statistics which limits are configured. */
void server_note_limits(struct server *server);

/* Looks at memory, at most ten times a second, however often main calls: `now_ms` is
 * clock_now_ms(). Returns when it is due again; UINT64_MAX when there is no limit. */
uint64_t server_sample_memory(struct server *server, uint64_t now_ms);

/* Moves the workers that run to a later stage, or ends them. */
void server_set_stage(struct server *server, enum worker_stage stage);
void server_end_workers(struct server *server);

#endif
