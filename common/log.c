/*
 * The log writes each line with one write(2) to standard error: no lock, no buffer that a crash
 * could lose, and lines of different threads stay whole. Level and format are the only state at
 * file scope. main sets them, while others log, too; they are atomic, and nothing else depends on
 * when a thread sees the new ones.
 */
#include "common/log.h"

#include "common/clock.h"
#include "common/thread.h"
#include "common/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024
#define HEAD_BYTES    120 /* time, level and thread, with their names in JSON */
#define FIELD_BYTES   160 /* of one field, its name included */
#define ABOUT_BYTES   (HEAD_BYTES + 3 * FIELD_BYTES + 48)
#define ESCAPED_BYTES 8 /* one character, escaped, takes less */
#define ENDING_BYTES  4

static _Atomic int log_level = LOG_INFO;
static _Atomic int log_format = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&log_level, level, memory_order_relaxed);
    atomic_store_explicit(&log_format, format, memory_order_relaxed);
}

static bool is_written(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* A line while it is put together. There is always room for what ends it. */
struct line {
    enum log_format format;
    char *at, *end;
    char text[MESSAGE_BYTES + ABOUT_BYTES];
};

/* True for the control characters of ASCII and of Latin-1; terminals obey both. */
static bool is_control(const uint8_t *character)
{
    return *character < 0x20 || *character == 0x7f || (*character == 0xc2 && character[1] < 0xa0);
}

static void append(struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);

static void append(struct line *line, const char *format, ...)
{
    size_t room = (size_t)(line->end - line->at);
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(line->at, room, format, args);
    va_end(args);
    if (length > 0)
        line->at += (size_t)length < room ? (size_t)length : room - 1;
}

/* Appends `text`, up to `end`, with everything escaped that could break the line, the terminal or
 * the JSON string. That includes bytes that are not UTF-8, which a message that was cut may end
 * in. */
static void append_escaped(struct line *line, const char *end, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text);

    while (left > 0 && end - line->at > ESCAPED_BYTES) {
        size_t bytes = utf8_character_bytes(at, left);

        if (bytes == 0) {
            bytes = 1;
            append(line, "\\ufffd");
        } else if (is_control(at)) {
            append(line, "\\u%04x", at[bytes - 1]);
        } else if (line->format == LOG_JSON && (*at == '"' || *at == '\\')) {
            append(line, "\\%c", *at);
        } else {
            memcpy(line->at, at, bytes);
            line->at += bytes;
        }
        at += bytes;
        left -= bytes;
    }
}

static void append_field(struct line *line, const char *name, const char *value)
{
    const char *end = line->at + FIELD_BYTES;

    if (!value)
        return;
    append(line, line->format == LOG_JSON ? ",\"%s\":\"" : " %s=", name);
    append_escaped(line, end < line->end ? end : line->end, value);
    if (line->format == LOG_JSON)
        append(line, "\"");
}

static void append_head(struct line *line, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    char when[40];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    append(line,
           line->format == LOG_JSON
               ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"thread\":\"%s\",\"message\":\""
               : "%s.%03ldZ %-5s %-8s ",
           when, now.tv_nsec / 1000000, level_names[level], thread_name());
}

static void append_about(struct line *line, const struct log_about *about, uint64_t held_back)
{
    append_field(line, "kind", about->kind);
    append_field(line, "peer", about->peer);
    append_field(line, "request_id", about->request_id);
    if (held_back)
        append(line, line->format == LOG_JSON ? ",\"held_back\":%" PRIu64 : " held_back=%" PRIu64,
               held_back);
}

static void write_line(enum log_level level, const struct log_about *about, uint64_t held_back,
                       const char *format, va_list args) PRINTF_LIKE(4, 0);

static void write_line(enum log_level level, const struct log_about *about, uint64_t held_back,
                       const char *format, va_list args)
{
    char message[MESSAGE_BYTES];
    struct line line;

    vsnprintf(message, sizeof message, format, args);
    line.format = (enum log_format)atomic_load_explicit(&log_format, memory_order_relaxed);
    line.at = line.text;
    line.end = line.text + sizeof line.text - ENDING_BYTES;
    append_head(&line, level);
    append_escaped(&line, line.text + MESSAGE_BYTES + HEAD_BYTES, message);
    if (line.format == LOG_JSON)
        append(&line, "\"");
    append_about(&line, about, held_back);
    line.end += ENDING_BYTES;
    append(&line, line.format == LOG_JSON ? "}\n" : "\n");
    if (write(STDERR_FILENO, line.text, (size_t)(line.at - line.text)) < 0) {
        /* Nowhere is left to say it. */
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    static const struct log_about nothing;
    int saved_errno = errno;
    va_list args;

    if (!is_written(level))
        return;
    va_start(args, format);
    write_line(level, &nothing, 0, format, args);
    va_end(args);
    errno = saved_errno;
}

/* True when a line may be written now; `held_back` is then how many were not since the last one. Of
 * the threads that come at the same time, one moves the time on, and may write. */
static bool limit_allows(struct log_limit *limit, uint64_t *held_back)
{
    uint64_t now = clock_now_ms();
    uint64_t next = atomic_load_explicit(&limit->next_ms, memory_order_relaxed);

    if (now < next ||
        !atomic_compare_exchange_strong_explicit(&limit->next_ms, &next, now + LOG_LIMIT_MS,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&limit->muted, 1, memory_order_relaxed);
        return false;
    }
    *held_back = atomic_exchange_explicit(&limit->muted, 0, memory_order_relaxed);
    return true;
}

void log_event(enum log_level level, const struct log_about *about, const char *format, ...)
{
    int saved_errno = errno;
    uint64_t held_back = 0;
    va_list args;

    if (!is_written(level) || (about->limit && !limit_allows(about->limit, &held_back)))
        return;
    va_start(args, format);
    write_line(level, about, held_back, format, args);
    va_end(args);
    errno = saved_errno;
}
