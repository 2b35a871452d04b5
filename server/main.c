/* tallyd: reads its options, starts the server, and waits for the signal to drain it; or "tallyd
 * token", which has nothing to do with that. */
#include "common/log.h"
#include "server/config.h"
#include "server/healthcheck.h"
#include "server/server.h"
#include "server/token_command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_CANNOT_START = 1, EXIT_WRONG_OPTIONS = 2 };

/* SIGTERM and SIGINT come through a descriptor. Blocked before any thread starts, so that no
 * thread can be interrupted by them. */
static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static const char *read_signal(int fd)
{
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof info) != sizeof info)
        return NULL;
    return info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
}

static int serve(const struct config *config)
{
    char error[OPT_ERROR_BYTES];
    const char *signal_name;
    enum server_end end;
    struct server *server;
    int signals = open_signals();

    if (signals < 0) {
        fprintf(stderr, "tallyd: cannot receive signals: %s\n", strerror(errno));
        return EXIT_CANNOT_START;
    }
    server = server_start(config, error);
    if (!server) {
        fprintf(stderr, "tallyd: %s\n", error);
        return EXIT_CANNOT_START;
    }
    server_run(server, signals);
    signal_name = read_signal(signals);
    if (signal_name)
        log_info("%s received; a second one ends the streams at once", signal_name);
    end = server_drain(server, signals);
    server_destroy(server);
    close(signals);
    return (int)end;
}

static int check_health(const struct config *config)
{
    int error = healthcheck(config->bind, (uint16_t)config->http_port);

    if (error)
        fprintf(stderr, "tallyd: not healthy: %s, port %u: %s\n", config->bind,
                (unsigned)config->http_port, strerror(-error));
    return error ? 1 : 0;
}

/* The rest of --check-config: the options are in order, and so are the files that they name? */
static int check_files(const struct config *config)
{
    char error[TLS_ERROR_BYTES];
    struct tls_files files;
    struct tls *tls;

    if (config_tls_files(config, &files)) {
        tls = tls_create(&files, error);
        if (!tls) {
            fprintf(stderr, "tallyd: %s\n", error);
            return EXIT_WRONG_OPTIONS;
        }
        tls_destroy(tls);
    }
    puts("tallyd: the options are valid");
    return 0;
}

/* Does what the options ask for. */
static int act(const struct config *config)
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
    return serve(config);
}

int main(int argc, char **argv)
{
    char error[OPT_ERROR_BYTES];
    struct config config;
    int status;

    if (argc > 1 && !strcmp(argv[1], "token"))
        return token_command(argc - 1, argv + 1);
    if (config_load(&config, argc, argv, error)) {
        fprintf(stderr, "tallyd: %s\n", error);
        status = EXIT_WRONG_OPTIONS;
    } else {
        status = act(&config);
    }
    config_free(&config);
    return status;
}
