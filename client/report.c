/* Totals of a run and their text; the JSON form is in report_json.c. */
#include "client/report.h"

#include "client/rpc_failure.h"
#include "proto/grpc.h"

#include <inttypes.h>
#include <string.h>

void report_add_acknowledged(struct report *report, uint64_t packets, uint64_t latency_ns)
{
    report->acknowledged += packets;
    report->streams_acknowledged++;
    latency_add(&report->latency, latency_ns);
}

static struct report_failure *group_of(struct report *report, enum report_kind kind,
                                       enum grpc_status status, const char *message)
{
    struct report_failure *group = report->failures;

    for (size_t i = 0; i < report->failure_count; i++, group++) {
        if (group->kind == kind && group->status == status && strcmp(group->message, message) == 0)
            return group;
    }
    if (report->failure_count == REPORT_FAILURES)
        return group - 1;
    if (++report->failure_count == REPORT_FAILURES) {
        status = GRPC_UNKNOWN;
        message = "(other failures, of many kinds)";
    }
    group->kind = kind;
    group->status = status;
    snprintf(group->message, sizeof group->message, "%s", message);
    return group;
}

void report_add_failure(struct report *report, enum report_kind kind,
                        const struct rpc_outcome *outcome, uint64_t packets)
{
    struct report_failure *group = group_of(report, kind, outcome->status, outcome->message);

    group->count++;
    group->packets += packets;
    group->told += outcome->told;
    group->received += outcome->received;
    report->streams_failed += kind == REPORT_STREAM;
}

bool report_complete(const struct report *report)
{
    return report->acknowledged == report->planned;
}

static void print_failure(const struct report_failure *failure, FILE *out)
{
    const char *hint = rpc_failure_hint(failure->status, failure->message);
    const char *what = failure->kind == REPORT_STREAM ? "stream" : "connection";

    fprintf(out, "tally-send: %s: %s (%" PRIu64 " %s%s", grpc_status_name(failure->status),
            *failure->message ? failure->message : "(no message)", failure->count, what,
            failure->count == 1 ? "" : "s");
    if (failure->kind == REPORT_STREAM)
        fprintf(out, ", %" PRIu64 " packets sent", failure->packets);
    fputs(")\n", out);
    if (failure->told)
        fprintf(out,
                "  counted nevertheless: %" PRIu64 " packets (tally-received, from %" PRIu64
                " of the streams)\n",
                failure->received, failure->told);
    if (hint)
        fprintf(out, "  hint: %s\n", hint);
}

void report_print_failures(const struct report *report, FILE *out)
{
    for (size_t i = 0; i < report->failure_count; i++)
        print_failure(&report->failures[i], out);
}

/* Milliseconds that `percent` of the Acks took at most. */
static double percentile_ms(const struct report *report, double percent)
{
    return (double)latency_percentile(&report->latency, percent) / 1e6;
}

void report_print_text(const struct report *report, FILE *out)
{
    double seconds = report->seconds;

    fprintf(out, "packets sent          %" PRIu64, report->sent);
    if (report->sent != report->planned)
        fprintf(out, " of %" PRIu64, report->planned);
    fprintf(out, "\npackets acknowledged  %" PRIu64 "\n", report->acknowledged);
    fprintf(out, "seconds               %.3f\n", seconds);
    fprintf(out, "packets/s             %.0f\n",
            seconds > 0 ? (double)report->acknowledged / seconds : 0.0);
    fprintf(out, "streams               %" PRIu64 " acknowledged, %" PRIu64 " failed\n",
            report->streams_acknowledged, report->streams_failed);
    if (report->latency.count)
        fprintf(out, "Ack latency           p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, max %.3f ms\n",
                percentile_ms(report, 50), percentile_ms(report, 90), percentile_ms(report, 99),
                (double)report->latency.max_ns / 1e6);
}
