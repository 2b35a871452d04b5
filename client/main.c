/* tally-send: options, the run, the summary. */
#include "client/credentials.h"
#include "client/device_totals.h"
#include "client/generator.h"
#include "client/report.h"
#include "client/send_options.h"
#include "client/sender.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_WRONG_OPTIONS = 2, EXIT_SIGNAL = 128 };

static int complain(const char *what, int error)
{
    fprintf(stderr, "tally-send: %s: %s\n", what, strerror(-error));
    return EXIT_FAILURE;
}

/* Runs and prints; `expect` is the open file of --expect, or NULL. Returns the exit status. */
static int send_and_report(const struct send_options *options,
                           const struct credentials *credentials, const struct generator *generator,
                           struct report *report, FILE *expect)
{
    struct device_totals *totals = NULL;
    int error;

    if (expect && !(totals = device_totals_create(generator, options->devices)))
        return complain("cannot count by device", -errno);
    error = sender_run(options, credentials, generator, report, totals);
    if (error) {
        device_totals_destroy(totals);
        return complain("cannot start", error);
    }
    report_print_failures(report, stderr);
    if (!options->json)
        report_print_text(report, stdout);
    else if ((error = report_print_json(report, stdout)))
        complain("cannot print the summary", error);
    if (totals && (error = device_totals_write(totals, expect)))
        complain(options->expect, error);
    device_totals_destroy(totals);
    if (report->signal)
        return EXIT_SIGNAL + report->signal;
    return report_complete(report) && !error ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const struct send_options *options, const struct credentials *credentials)
{
    const struct generator_options generator_options = send_options_generator(options);
    struct generator *generator = NULL;
    struct report *report = NULL;
    FILE *expect = NULL;
    int status = EXIT_FAILURE;

    if (options->expect && !(expect = fopen(options->expect, "we")))
        return complain(options->expect, -errno);
    generator = generator_create(&generator_options);
    report = calloc(1, sizeof *report);
    if (generator && report)
        status = send_and_report(options, credentials, generator, report, expect);
    else
        complain("cannot start", -ENOMEM);
    free(report);
    generator_destroy(generator);
    if (expect)
        fclose(expect);
    return status;
}

static int run_with_credentials(const struct send_options *options)
{
    struct credentials credentials;
    char error[ERROR_BYTES];
    int status = EXIT_WRONG_OPTIONS;

    if (credentials_load(&credentials, options, error))
        fprintf(stderr, "tally-send: %s\n", error);
    else
        status = run(options, &credentials);
    credentials_clear(&credentials);
    return status;
}

int main(int argc, char **argv)
{
    struct send_options options;
    char error[ERROR_BYTES];
    int status = EXIT_SUCCESS;

    if (send_options_load(&options, argc, argv, error)) {
        fprintf(stderr, "tally-send: %s\n", error);
        status = EXIT_WRONG_OPTIONS;
    } else if (options.help) {
        opt_print_help(&send_options_table, stdout);
    } else if (options.version) {
        printf("tally-send %s\n", TALLYD_VERSION);
    } else {
        signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
        status = run_with_credentials(&options);
    }
    send_options_free(&options);
    return status;
}
