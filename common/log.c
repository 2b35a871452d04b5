/*
 * The log writes each line with one write(2) to standard error: no lock, no buffer that a crash
 * could lose, and lines of different threads stay whole. Level and format are the only state at
 * file scope; main sets them once, before any other thread exists.
 */
#include "common/log.h"

#include "common/clock.h"
#include "common/thread.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024

static enum log_level log_level = LOG_INFO;
static enum log_format log_format = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level level, enum log_format format)
{
    log_level = level;
    log_format = format;
}

/* True for the control characters of ASCII and of Latin-1; terminals obey both. */
static bool is_control(const uint8_t *character)
{
    return *character < 0x20 || *character == 0x7f || (*character == 0xc2 && character[1] < 0xa0);
}

/* Appends `text` with everything escaped that could break the line, the terminal or the JSON
 * string. That includes bytes that are not UTF-8, which a message that was cut may end in. */
static size_t append_escaped(char *out, size_t used, size_t size, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text);

    while (left > 0 && used + 7 < size) {
        size_t bytes = utf8_character_bytes(at, left);

        if (bytes == 0) {
            bytes = 1;
            used += (size_t)snprintf(out + used, size - used, "\\ufffd");
        } else if (is_control(at)) {
            used += (size_t)snprintf(out + used, size - used, "\\u%04x", at[bytes - 1]);
        } else if (log_format == LOG_JSON && (*at == '"' || *at == '\\')) {
            used += (size_t)snprintf(out + used, size - used, "\\%c", *at);
        } else {
            memcpy(out + used, at, bytes);
            used += bytes;
        }
        at += bytes;
        left -= bytes;
    }
    return used;
}

void log_write(enum log_level level, const char *format, ...)
{
    char message[MESSAGE_BYTES], line[MESSAGE_BYTES + 256], when[40];
    struct timespec now;
    struct tm utc;
    va_list args;
    size_t used;
    int saved_errno = errno;

    if (level < log_level)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    used = (size_t)snprintf(
        line, sizeof line,
        log_format == LOG_JSON
            ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"thread\":\"%s\",\"message\":\""
            : "%s.%03ldZ %-5s %-8s ",
        when, now.tv_nsec / 1000000, level_names[level], thread_name());
    used = append_escaped(line, used, sizeof line - 4, message);
    if (log_format == LOG_JSON) {
        line[used++] = '"';
        line[used++] = '}';
    }
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0) {
        /* Nowhere is left to say it. */
    }
    errno = saved_errno;
}

bool log_limit_allows(struct log_limit *limit)
{
    uint64_t now = clock_now_ms();

    if (now < limit->next_ms) {
        limit->muted++;
        return false;
    }
    limit->next_ms = now + LOG_LIMIT_MS;
    limit->suppressed = limit->muted;
    limit->muted = 0;
    return true;
}
