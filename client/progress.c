/* The progress bar's arithmetic and drawing; see progress.h. */
#include "client/progress.h"

#include "common/compiler.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_COLUMNS_MAX 30
#define LINE_BYTES      256
/* How much of the newest interval goes into the rate: settles in about two seconds. */
#define RATE_WEIGHT 0.15

void progress_init(struct progress *progress, FILE *out, uint64_t now_ns)
{
    progress->out = isatty(fileno(out)) ? out : NULL;
    progress->drawn_ns = now_ns;
    progress->drawn_sent = 0;
    progress->rate = -1;
}

/* "12.3 M" and so on: three significant digits and a unit. */
static void format_count(char *out, size_t size, double count)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    size_t unit = 0;

    for (; count >= 999.5 && unit < ARRAY_LENGTH(units) - 1; unit++)
        count /= 1000;
    snprintf(out, size, "%.*f%s",
             unit == 0 || count >= 99.95 ? 0
             : count >= 9.995            ? 1
                                         : 2,
             count, units[unit]);
}

static void format_left(char *out, size_t size, const struct progress_values *values)
{
    double seconds = (double)(values->planned - values->sent) / values->rate;

    if (values->sent == values->planned)
        snprintf(out, size, "waiting for Acks");
    else if (!(values->rate > 0) || seconds > 359999)
        snprintf(out, size, "--:-- left");
    else if (seconds >= 3600)
        snprintf(out, size, "%d:%02d:%02d left", (int)seconds / 3600, (int)seconds / 60 % 60,
                 (int)seconds % 60);
    else
        snprintf(out, size, "%d:%02d left", (int)seconds / 60, (int)seconds % 60);
}

void progress_format(char *out, size_t size, size_t width, const struct progress_values *values)
{
    char bar[BAR_COLUMNS_MAX + 1], sent[16], acknowledged[16], rate[16], left[32];
    char text[LINE_BYTES];
    double part = values->planned ? (double)values->sent / (double)values->planned : 1;
    size_t columns, length;

    format_count(sent, sizeof sent, (double)values->sent);
    format_count(acknowledged, sizeof acknowledged, (double)values->acknowledged);
    format_count(rate, sizeof rate, values->rate > 0 ? values->rate : 0);
    format_left(left, sizeof left, values);
    length = (size_t)snprintf(text, sizeof text, "%3d%%  %s/s  %s sent  %s acknowledged  %s",
                              (int)(part * 100), rate, sent, acknowledged, left);

    columns = width > length + 3 ? width - length - 3 : 0;
    if (columns > BAR_COLUMNS_MAX)
        columns = BAR_COLUMNS_MAX;
    for (size_t i = 0; i < columns; i++)
        bar[i] = i < (size_t)(part * (double)columns) ? '#' : '.';
    bar[columns] = '\0';
    if (size > width + 1)
        size = width + 1;
    if (columns >= 5)
        snprintf(out, size, "[%s] %s", bar, text);
    else
        snprintf(out, size, "%s", text);
}

/* A line as wide as the terminal would make some terminals wrap: one column stays free. */
static size_t terminal_columns(FILE *out)
{
    struct winsize size;

    if (ioctl(fileno(out), TIOCGWINSZ, &size) || size.ws_col < 2)
        return 79;
    return size.ws_col - 1u;
}

void progress_update(struct progress *progress, uint64_t planned, uint64_t sent,
                     uint64_t acknowledged, uint64_t now_ns)
{
    struct progress_values values = {planned, sent, acknowledged, 0};
    uint64_t passed_ns = now_ns - progress->drawn_ns;
    char line[LINE_BYTES];
    double rate;

    if (!progress->out || passed_ns < PROGRESS_INTERVAL_MS * 1000000u)
        return;
    rate = (double)(sent - progress->drawn_sent) * 1e9 / (double)passed_ns;
    if (progress->rate < 0)
        progress->rate = rate;
    progress->rate += RATE_WEIGHT * (rate - progress->rate);
    progress->drawn_ns = now_ns;
    progress->drawn_sent = sent;
    values.rate = progress->rate;
    progress_format(line, sizeof line, terminal_columns(progress->out), &values);
    fprintf(progress->out, "\r%s\033[K", line);
    fflush(progress->out);
}

void progress_clear(struct progress *progress)
{
    if (!progress->out)
        return;
    fputs("\r\033[K", progress->out);
    fflush(progress->out);
}
