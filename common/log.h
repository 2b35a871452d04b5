/*
 * The log: one line a message on standard error, as text or as JSON.
 *
 * Any thread may call log_write(); each line goes out in one write(2), so lines of different
 * threads never mix. Nothing on the packet path logs.
 */
#ifndef TALLYD_COMMON_LOG_H
#define TALLYD_COMMON_LOG_H

#include "common/compiler.h"

#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Sets level and format for the whole process. Called by: main, at its start and when it reads its
 * configuration again. */
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
 * At most one line of a kind every LOG_LIMIT_MS. Whoever logs embeds one zeroed struct a kind; the
 * line that is written tells how many were held back since the one before.
 */
#define LOG_LIMIT_MS 5000

struct log_limit {
    _Atomic uint64_t next_ms; /* no line before this time */
    _Atomic uint64_t muted;   /* held back since the last line */
};

/* What a line tells beside its message, in members of their own: `message kind=flood peer=...` as
 * text, {"message": ..., "kind": "flood", "peer": ...} as JSON. Borrowed during the call. A secret
 * is never among it. */
struct log_about {
    const char *kind;        /* what happened, by a lasting name that a program can look for */
    const char *peer;        /* who did it: an address. NULL: nobody */
    const char *request_id;  /* of the call that it is about; the client got the same. NULL: none */
    struct log_limit *limit; /* the kind's. NULL: every line is written */
};

/* Writes one line like log_write(), unless the kind's limit holds it back; then it is counted, and
 * the next line of the kind has the number as "held_back". A line below the level is not counted.
 */
void log_event(enum log_level level, const struct log_about *about, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
