/* tally-send's options, their table and their checks. Called by: main. */
#ifndef TALLYD_CLIENT_SEND_OPTIONS_H
#define TALLYD_CLIENT_SEND_OPTIONS_H

#include "common/opt.h"

#include <stdbool.h>
#include <stdint.h>

#define SEND_HOST_BYTES 256
#define SEND_PORT_BYTES 6

struct send_options {
    char *target; /* as given: host:port */
    uint64_t packets;
    uint64_t devices;
    int payload; /* enum generator_payload */
    uint64_t connections;
    uint64_t streams; /* open at once on each connection */
    uint64_t packets_per_stream;
    uint64_t rate; /* packets a second in all; 0: no limit */
    uint64_t seed;
    char *id_prefix;
    uint64_t timeout_ms; /* without progress; 0: none */
    char *expect;        /* a file to write what was sent for each device to, or NULL */
    bool json;
    bool help, version;

    char host[SEND_HOST_BYTES], port[SEND_PORT_BYTES]; /* of target */
};

extern const struct opt_table send_options_table;

/* Loads and checks the options. Returns 0, or -EINVAL with one line in `error`. With --help or
 * --version nothing else is checked. Whatever it returns, send_options_free() releases them. */
int send_options_load(struct send_options *options, int argc, char **argv,
                      char error[OPT_ERROR_BYTES]) MUST_CHECK;
void send_options_free(struct send_options *options);

#endif
