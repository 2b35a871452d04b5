/* tallyd: reads its options, starts the server, reads them again when it is told to, and waits for
 * the signal to drain it; or "tallyd token", which has nothing to do with that. */
#include "common/log.h"
#include "common/tls.h"
#include "common/tokens.h"
#include "server/config.h"
#include "server/healthcheck.h"
#include "server/notify.h"
#include "server/reload.h"
#include "server/server.h"
#include "server/signals.h"
#include "server/token_command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_CANNOT_START = 1, EXIT_WRONG_OPTIONS = 2 };

static int serve(struct config *config, int argc, char **argv)
{
    char error[ERROR_BYTES];
    enum server_end end;
    struct server *server;
    int signals = signals_open(), number;

    if (signals < 0) {
        fprintf(stderr, "tallyd: cannot receive signals: %s\n", strerror(-signals));
        return EXIT_CANNOT_START;
    }
    server = server_start(config, error);
    if (!server) {
        int status = errno == EINVAL ? EXIT_WRONG_OPTIONS : EXIT_CANNOT_START;

        fprintf(stderr, "tallyd: %s\n", error);
        return status;
    }
    notify_ready();
    do {
        server_run(server, signals);
        number = signals_take(signals);
        if (number == SIGHUP)
            reload(config, argc, argv, server);
    } while (number == SIGHUP);
    if (number)
        log_info("%s received; a second one ends the streams at once",
                 number == SIGINT ? "SIGINT" : "SIGTERM");
    notify_stopping();
    end = server_drain(server, signals);
    server_destroy(server);
    close(signals);
    return (int)end;
}

static int check_health(const struct config *config)
{
    int error = healthcheck(config->bind, (uint16_t)config->http_port, config->tls_cert);

    if (error)
        fprintf(stderr, "tallyd: not healthy: %s, port %u: %s\n", config->bind,
                (unsigned)config->http_port,
                error == -EPROTOTYPE ? "it seems to speak TLS: give --tls-cert and --tls-key"
                                     : strerror(-error));
    return error ? 1 : 0;
}

static bool are_tls_files_good(const struct config *config, char error[ERROR_BYTES])
{
    struct tls_files files;
    struct tls *tls;

    if (!config_tls_files(config, &files))
        return true;
    tls = tls_create(&files, error);
    tls_destroy(tls);
    return tls;
}

/* The rest of --check-config: the options are in order, and so are the files that they name? */
static int check_files(const struct config *config)
{
    char error[ERROR_BYTES];

    if (!are_tls_files_good(config, error) ||
        (config->token_file && tokens_check(config->token_file, error))) {
        fprintf(stderr, "tallyd: %s\n", error);
        return EXIT_WRONG_OPTIONS;
    }
    puts("tallyd: the options are valid");
    return 0;
}

/* Does what the options ask for. */
static int act(struct config *config, int argc, char **argv)
{
    if (config->help) {
        opt_print_help(&config_table, stdout);
        return 0;
    }
    if (config->version) {
        puts("tallyd " TALLYD_VERSION);
        return 0;
    }
    if (config->check_config)
        return check_files(config);
    if (config->healthcheck)
        return check_health(config);
    log_configure((enum log_level)config->log_level, (enum log_format)config->log_format);
    return serve(config, argc, argv);
}

int main(int argc, char **argv)
{
    char error[ERROR_BYTES];
    struct config config;
    int status;

    if (argc > 1 && !strcmp(argv[1], "token"))
        return token_command(argc - 1, argv + 1);
    if (config_load(&config, argc, argv, error)) {
        fprintf(stderr, "tallyd: %s\n", error);
        status = EXIT_WRONG_OPTIONS;
    } else {
        status = act(&config, argc, argv);
    }
    config_free(&config);
    return status;
}
