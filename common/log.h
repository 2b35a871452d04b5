/*
 * The log: one line a message on standard error, as text or as JSON.
 *
 * Any thread may call log_write(); each line goes out in one write(2), so lines of different
 * threads never mix. Nothing on the packet path logs.
 */
#ifndef TALLYD_COMMON_LOG_H
#define TALLYD_COMMON_LOG_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Sets level and format for the whole process. Called by main, before other threads start. */
void log_configure(enum log_level level, enum log_format format);

/* Writes one line, if `level` is at least the configured one. A message is one sentence without a
 * newline; control characters in it are shown escaped, so that a peer cannot forge lines. A line
 * is cut at about 1 KiB. */
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/*
 * At most one line of a kind every LOG_LIMIT_MS. The owner embeds one zeroed struct a kind and is
 * the only thread that uses it:
 *
 *     if (log_limit_allows(&w->bad_peer_limit))
 *         log_warn("... (%" PRIu64 " more like it were not shown)", w->bad_peer_limit.suppressed);
 */
#define LOG_LIMIT_MS 5000

struct log_limit {
    uint64_t next_ms;    /* no line before this time */
    uint64_t muted;      /* kept back since the last line */
    uint64_t suppressed; /* kept back between the last two lines, for the message */
};

/* True when a line may be written now. Thread: the owner of `limit`. */
bool log_limit_allows(struct log_limit *limit);

#endif
