/* What main does while the server runs: it takes connections, looks at memory and at the watchdog
 * now and then, and takes over a new configuration. */
#include "common/clock.h"
#include "common/pressure.h"
#include "common/stats.h"
#include "common/thread.h"
#include "common/tls.h"
#include "common/tokens.h"
#include "server/acceptor.h"
#include "server/server_private.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define PAUSE_MS 100 /* from one look at memory to the next, and when no descriptor is left */

/* A limit that was taken away by a reload takes the pressure with it. */
uint64_t server_sample_memory(struct server *server, uint64_t now_ms)
{
    uint64_t limit = server->config->memory_limit_bytes;

    if (!limit && !pressure_level(&server->pressure))
        return UINT64_MAX;
    if (now_ms >= server->sample_ms) {
        server->sample_ms = now_ms + PAUSE_MS;
        stats_set(&server->main_stats->memory_pressure,
                  (uint64_t)pressure_sample(&server->pressure, limit));
    }
    return server->sample_ms;
}

/* Does what is to be done now and then. Returns for how many milliseconds there is nothing more,
 * -1 for ever. */
static int tick(struct server *server)
{
    uint64_t now = clock_now_ms();
    uint64_t due = watchdog_tick(&server->watchdog, now);
    uint64_t sample = server_sample_memory(server, now);

    if (sample < due)
        due = sample;
    return due == UINT64_MAX ? -1 : (int)(due - now);
}

void server_run(struct server *server, int signal_fd)
{
    struct pollfd fds[] = {
        {.fd = signal_fd, .events = POLLIN},
        {.fd = server->event_fd, .events = POLLIN},
        {.fd = acceptor_fd(server->acceptor), .events = POLLIN},
    };
    bool accepting = true;

    thread_assert_role(THREAD_MAIN);
    for (;;) {
        int patience = tick(server);

        if (!accepting && (patience < 0 || patience > PAUSE_MS))
            patience = PAUSE_MS;
        poll(fds, accepting ? 3 : 2, patience);
        if (fds[0].revents || fds[1].revents)
            return;
        accepting = acceptor_take(server->acceptor);
    }
}

/* ---- Reload --------------------------------------------------------------------------------- */

/* All is read first, each file once, and put in force when nothing can fail any more. */
int server_reload(struct server *server, char error[ERROR_BYTES])
{
    struct tls_material *material = NULL;
    struct token_set *set = NULL;
    struct tls_files files;

    thread_assert_role(THREAD_MAIN);
    if (server_check_limits(server, error))
        return -EINVAL;
    config_tls_files(server->config, &files);
    if (server->tls && !(material = tls_prepare(server->tls, &files, error)))
        return -EINVAL;
    if (server->tokens &&
        !(set = tokens_prepare(server->tokens, server->config->token_file, error))) {
        tls_discard(material);
        return -EINVAL;
    }
    if (material)
        tls_replace(server->tls, material);
    if (set)
        tokens_replace(server->tokens, set);
    acceptor_set_limits(server->acceptor, server->config->max_connections,
                        server->config->max_connections_per_address);
    server_note_limits(server);
    return 0;
}

void server_note_reload(struct server *server, int result)
{
    struct stats_main *stats = server->main_stats;

    stats_add(result ? &stats->reloads_failed : &stats->reloads, 1);
}
