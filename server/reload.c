/* See reload.h. A second configuration is loaded and checked beside the one in force; what changes
 * is exchanged between the two, so nothing can fail half-way, and the way back is the same. */
#include "server/reload.h"

#include "common/log.h"
#include "common/thread.h"
#include "server/notify.h"
#include "server/server.h"

#include <stdbool.h>
#include <stdio.h>

#define NAMES_BYTES 512

/* A function that is not there at all, TLS or tokens, takes more than a reload to begin or end. */
static bool can_change(const struct opt_row *row, const struct config *a, const struct config *b)
{
    return row->traits & OPT_RELOADABLE && opt_is_set(row, a) == opt_is_set(row, b);
}

/* Exchanges what is reloadable and not the same. The second call undoes the first. */
static void exchange(struct config *a, struct config *b)
{
    for (size_t i = 0; i < config_table.count; i++) {
        const struct opt_row *row = &config_table.rows[i];

        if (can_change(row, a, b) && !opt_is_equal(row, a, b))
            opt_exchange(row, a, b);
    }
}

/* Renders the names of the options that differ and can change, or that cannot: "a, b". Returns
 * false when there are none. */
static bool name_changes(const struct config *a, const struct config *b, bool can,
                         char names[NAMES_BYTES])
{
    size_t used = 0;

    names[0] = '\0';
    for (size_t i = 0; i < config_table.count && used < NAMES_BYTES; i++) {
        const struct opt_row *row = &config_table.rows[i];

        if (can_change(row, a, b) == can && !opt_is_equal(row, a, b))
            used += (size_t)snprintf(names + used, NAMES_BYTES - used, "%s--%s", used ? ", " : "",
                                     row->name);
    }
    return used > 0;
}

/* Whatever the options are, the files that they name are read. */
static const char *what_was_read(const struct config *config)
{
    if (config->tls_cert && config->token_file)
        return "configuration, certificates and tokens";
    if (config->tls_cert)
        return "configuration and certificates";
    return config->token_file ? "configuration and tokens" : "configuration";
}

static void log_changes(const struct config *now, const struct config *before)
{
    char names[NAMES_BYTES];
    bool any = name_changes(now, before, true, names);

    log_info("%s read again: %s", what_was_read(now),
             any ? names : "no option that can change has");
    if (name_changes(now, before, false, names))
        log_warn("changed, but not in force before a restart: %s", names);
}

void reload(struct config *config, int argc, char **argv, struct server *server)
{
    char error[ERROR_BYTES];
    struct config next;
    int result;

    thread_assert_role(THREAD_MAIN);
    notify_reloading();
    result = config_load(&next, argc, argv, error);
    if (!result) {
        exchange(config, &next);
        result = server_reload(server, error);
        if (result)
            exchange(config, &next);
    }
    if (result) {
        log_error("configuration not read again, the old one stays in force: %s", error);
    } else {
        log_configure((enum log_level)config->log_level, (enum log_format)config->log_format);
        log_changes(config, &next);
    }
    server_note_reload(server, result);
    notify_ready();
    config_free(&next);
}
