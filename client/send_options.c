/* The option table of tally-send, and what the table alone cannot check. */
#include "client/send_options.h"

#include "client/generator.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const payloads[] = {
    [GENERATOR_JSON] = "json",
    [GENERATOR_BINARY] = "binary",
    [GENERATOR_TEXT] = "text",
    [GENERATOR_MIX] = "mix",
    NULL,
};

#define STRING(n, field, default_value, meta, text)                                                \
    {                                                                                              \
        .name = n, .type = OPT_STRING, .offset = offsetof(struct send_options, field),             \
        .fallback = default_value, .metavar = meta, .help = text                                   \
    }
#define NUMBER(n, field, default_value, low, high, meta, text)                                     \
    {                                                                                              \
        .name = n, .type = OPT_NUMBER, .offset = offsetof(struct send_options, field),             \
        .fallback = default_value, .min = low, .max = high, .metavar = meta, .help = text          \
    }
#define FLAG(n, field, traits_set, text)                                                           \
    {                                                                                              \
        .name = n, .type = OPT_FLAG, .offset = offsetof(struct send_options, field), .help = text, \
        .traits = traits_set                                                                       \
    }

static const struct opt_row rows[] = {
    STRING("target", target, "127.0.0.1:50051", "HOST:PORT",
           "tallyd's gRPC port; an IPv6 address stands in brackets: [::1]:50051"),
    NUMBER("n", packets, "10000", 1, 1000000000000, "N", "packets to send"),
    NUMBER("devices", devices, "100", 1, 1000000000, "D", "devices to send them for, at random"),
    {.name = "payload",
     .type = OPT_CHOICE,
     .offset = offsetof(struct send_options, payload),
     .fallback = "mix",
     .choices = payloads,
     .metavar = "KIND",
     .help = "what the packets carry"},
    NUMBER("connections", connections, "1", 1, 10000, "C", "connections"),
    NUMBER("streams", streams, "1", 1, 10000, "S", "streams open at once on each connection"),
    NUMBER("packets-per-stream", packets_per_stream, "0", 0, 1000000000000, "P",
           "packets after which a stream ends and the next one starts; 0 sends all in one stream "
           "for each of connections x streams"),
    NUMBER("rate", rate, "0", 0, 1000000000, "R", "packets a second in all; 0 is without limit"),
    NUMBER("seed", seed, "1", 0, UINT64_MAX, "X",
           "seed of the random packets; the same seed and options send the same packets"),
    STRING("id-prefix", id_prefix, "device-", "PREFIX", "what a device_id has before its number"),
    NUMBER("timeout-ms", timeout_ms, "60000", 0, 86400000, "MS",
           "fail after so many milliseconds without progress; 0 waits without end"),
    STRING("expect", expect, NULL, "FILE",
           "write a line \"device, acknowledged, unacknowledged\" (by tabs) for each device"),
    FLAG("json", json, 0, "print the summary as one JSON object"),
    FLAG("help", help, OPT_COMMAND, "print this help"),
    FLAG("version", version, OPT_COMMAND, "print the version"),
};

const struct opt_table send_options_table = {
    .synopsis = "Usage: tally-send [options]\n\n"
                "Sends random telemetry packets to tallyd over gRPC and waits for its Acks.",
    .epilogue = "Exit status: 0 when every packet was sent and acknowledged, 1 when not, 2 for a\n"
                "wrong option, 130 after Ctrl-C.",
    .rows = rows,
    .count = ARRAY_LENGTH(rows),
};

/* Splits "host:port" and "[v6]:port" into the two fields. */
static int split_target(struct send_options *options)
{
    const char *host = options->target, *colon = strrchr(host, ':');
    size_t host_length, port_length;
    unsigned long port;

    if (!colon)
        return -EINVAL;
    host_length = (size_t)(colon - host);
    if (*host == '[') {
        if (host_length < 3 || colon[-1] != ']')
            return -EINVAL;
        host++;
        host_length -= 2;
    } else if (memchr(host, ':', host_length)) {
        return -EINVAL; /* an IPv6 address without brackets: its end is anyone's guess */
    }
    port_length = strlen(++colon);
    if (!host_length || host_length >= SEND_HOST_BYTES || port_length >= SEND_PORT_BYTES ||
        strspn(colon, "0123456789") != port_length)
        return -EINVAL;
    port = strtoul(colon, NULL, 10);
    if (port < 1 || port > 65535)
        return -EINVAL;
    memcpy(options->host, host, host_length);
    options->host[host_length] = '\0';
    memcpy(options->port, colon, port_length + 1);
    return 0;
}

int send_options_load(struct send_options *options, int argc, char **argv,
                      char error[OPT_ERROR_BYTES])
{
    int result = opt_load(&send_options_table, options, argc, argv, error);

    if (result || options->help || options->version)
        return result;
    if (split_target(options)) {
        snprintf(error, OPT_ERROR_BYTES,
                 "--target: \"%.80s\" is neither host:port nor [IPv6 address]:port",
                 options->target);
        return -EINVAL;
    }
    if (strlen(options->id_prefix) > GENERATOR_PREFIX_MAX_BYTES) {
        snprintf(error, OPT_ERROR_BYTES, "--id-prefix: longer than %d bytes",
                 GENERATOR_PREFIX_MAX_BYTES);
        return -EINVAL;
    }
    return 0;
}

void send_options_free(struct send_options *options)
{
    opt_free(&send_options_table, options);
}
