/* Content negotiation: headers as clients send them, and rubbish. */
#include "common/compiler.h"
#include "http/accept.h"
#include "tests/unit/unit.h"

enum { JSON, PLAIN, OPENMETRICS };

static const struct accept_form forms[] = {
    [JSON] = {"application/json", NULL},
    [PLAIN] = {"text/plain", "0.0.4"},
    [OPENMETRICS] = {"application/openmetrics-text", "1.0.0"},
};

static const struct {
    const char *accept;
    size_t form;
} samples[] = {
    {NULL, JSON},
    {"", JSON},
    {"*/*", JSON},
    {"application/json", JSON},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", JSON},
    {"text/plain", PLAIN},
    {"text/*", PLAIN},
    {"TEXT/PLAIN", PLAIN},
    {"text/plain;version=0.0.4", PLAIN},
    {"text/plain; version=0.0.4; charset=utf-8", PLAIN},
    {"text/plain;version=\"0.0.4\"", PLAIN},
    {"text/plain;version=9", JSON},
    {"text/plain;q=0.5, application/json;q=0.4", PLAIN},
    {"text/plain;q=0.5, application/json;q=0.6", JSON},
    {"text/plain;q=0.5, */*;q=0.1", PLAIN},
    {"application/json;q=0, */*", PLAIN},
    {"text/plain;q=0", JSON},
    {"application/openmetrics-text", OPENMETRICS},
    {"application/openmetrics-text;version=1.0.0", OPENMETRICS},
    {"application/openmetrics-text;version=0.0.1", JSON},
    /* Prometheus 2.42. */
    {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
     "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     OPENMETRICS},
    /* Prometheus of old. */
    {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
     "encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
     PLAIN},
    {",,;;q=1,", JSON},
    {"text", JSON},
    {"text/plain;q", PLAIN},
    {"text/plain;q=rubbish", JSON},
    {";q=1;version", JSON},
};

static void choose_sample_gives_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        size_t form = accept_choose(samples[i].accept, forms, ARRAY_LENGTH(forms));

        if (form != samples[i].form)
            fail_msg("%s: got %s", samples[i].accept, forms[form].type);
    }
}

static void gzip_sample_is_taken_or_not(void **state)
{
    static const struct {
        const char *header;
        bool taken;
    } headers[] = {
        {NULL, false},
        {"", false},
        {"gzip", true},
        {"gzip, deflate, br", true},
        {"GZIP;q=1.0", true},
        {"*", true},
        {"gzip;q=0", false},
        {"gzip;q=0.000, *", false},
        {"identity", false},
        {"br;q=1", false},
        {"*;q=0", false},
        {"gzipped", false},
        {"deflate,gzip", true},
        {"x-gzip", true},
        {"gzip ; q=0.001", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        if (accept_gzip(headers[i].header) != headers[i].taken)
            fail_msg("%s", headers[i].header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choose_sample_gives_form),
        cmocka_unit_test(gzip_sample_is_taken_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
