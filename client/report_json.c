/* The summary of a run as one JSON object; its form is in report.h. */
#include "client/report.h"
#include "proto/grpc.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>

/* Milliseconds with three decimals: finer digits would only pretend to precision. */
static double milliseconds(uint64_t ns)
{
    return round((double)ns / 1e3) / 1e3;
}

static bool add_latency(cJSON *json, const struct latency *latency)
{
    cJSON *object;

    if (!latency->count)
        return cJSON_AddNullToObject(json, "ack_latency_ms");
    object = cJSON_AddObjectToObject(json, "ack_latency_ms");
    return object &&
           cJSON_AddNumberToObject(object, "p50", milliseconds(latency_percentile(latency, 50))) &&
           cJSON_AddNumberToObject(object, "p90", milliseconds(latency_percentile(latency, 90))) &&
           cJSON_AddNumberToObject(object, "p99", milliseconds(latency_percentile(latency, 99))) &&
           cJSON_AddNumberToObject(object, "p99.9",
                                   milliseconds(latency_percentile(latency, 99.9))) &&
           cJSON_AddNumberToObject(object, "max", milliseconds(latency->max_ns));
}

static bool add_failure(cJSON *array, const struct report_failure *failure)
{
    cJSON *object = cJSON_CreateObject();

    /* An array that takes nothing (it is NULL only without memory) leaves the object with us. */
    if (!cJSON_AddItemToArray(array, object)) {
        cJSON_Delete(object);
        return false;
    }
    return cJSON_AddStringToObject(object, "of",
                                   failure->kind == REPORT_STREAM ? "stream" : "connection") &&
           cJSON_AddStringToObject(object, "status", grpc_status_name(failure->status)) &&
           cJSON_AddStringToObject(object, "message", failure->message) &&
           cJSON_AddNumberToObject(object, "count", (double)failure->count) &&
           cJSON_AddNumberToObject(object, "packets", (double)failure->packets) &&
           (failure->told
                ? cJSON_AddNumberToObject(object, "tally_received", (double)failure->received)
                : cJSON_AddNullToObject(object, "tally_received"));
}

static bool add_failures(cJSON *json, const struct report *report)
{
    cJSON *array = cJSON_AddArrayToObject(json, "failures");
    bool ok = array;

    for (size_t i = 0; ok && i < report->failure_count; i++)
        ok = add_failure(array, &report->failures[i]);
    return ok;
}

static bool add_totals(cJSON *json, const struct report *report)
{
    double rate = report->seconds > 0 ? (double)report->acknowledged / report->seconds : 0;
    cJSON *streams;

    return cJSON_AddNumberToObject(json, "packets", (double)report->planned) &&
           cJSON_AddNumberToObject(json, "sent", (double)report->sent) &&
           cJSON_AddNumberToObject(json, "acknowledged", (double)report->acknowledged) &&
           cJSON_AddBoolToObject(json, "complete", report_complete(report)) &&
           cJSON_AddNumberToObject(json, "seconds", round(report->seconds * 1e6) / 1e6) &&
           cJSON_AddNumberToObject(json, "packets_per_second", round(rate)) &&
           (streams = cJSON_AddObjectToObject(json, "streams")) &&
           cJSON_AddNumberToObject(streams, "acknowledged", (double)report->streams_acknowledged) &&
           cJSON_AddNumberToObject(streams, "failed", (double)report->streams_failed);
}

int report_print_json(const struct report *report, FILE *out)
{
    cJSON *json = cJSON_CreateObject();
    char *text = NULL;

    if (json && add_totals(json, report) && add_latency(json, &report->latency) &&
        add_failures(json, report))
        text = cJSON_PrintUnformatted(json);
    if (text)
        fprintf(out, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(json);
    return text ? 0 : -ENOMEM;
}
