/* tally-docs: prints an option table for the documents; scripts/docs.sh puts it where it goes. */
#include "client/send_options.h"
#include "server/config.h"
#include "server/token_command.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const struct opt_table *table = NULL;

    if (argc == 3 && strcmp(argv[2], "tallyd") == 0)
        table = &config_table;
    else if (argc == 3 && strcmp(argv[2], "tally-send") == 0)
        table = &send_options_table;
    else if (argc == 3 && strcmp(argv[2], "tallyd-token") == 0)
        table = &token_command_table;
    if (table && strcmp(argv[1], "markdown") == 0)
        opt_print_markdown(table, stdout);
    else if (table && strcmp(argv[1], "roff") == 0)
        opt_print_roff(table, stdout);
    else {
        fputs("usage: tally-docs markdown|roff tallyd|tally-send|tallyd-token\n", stderr);
        return 2;
    }
    return 0;
}
