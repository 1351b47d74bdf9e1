/*
 * keys: read what is typed at the terminals there are, for three seconds. One of the host's, if
 * there is one, has somebody who types. Whoever has a terminal open may read its keys.
 */
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    struct pollfd p[64];
    nfds_t n = 0;
    char line[200];
    glob_t terminals;
    glob("/dev/pts/[0-9]*", 0, NULL, &terminals);
    for (size_t i = 0; i < terminals.gl_pathc && n < 64; i++) {
        p[n].fd = open(terminals.gl_pathv[i], O_RDONLY | O_NOCTTY);
        p[n].events = POLLIN;
        n += p[n].fd >= 0;
    }
    for (const time_t end = time(NULL) + 3; time(NULL) < end; poll(p, n, 1000))
        for (nfds_t i = 0; i < n; i++) {
            const ssize_t got = p[i].revents & POLLIN ? read(p[i].fd, line, sizeof line - 1) : 0;
            if (got <= 0) continue;
            line[got] = '\0';
            line[strcspn(line, "\r\n")] = '\0';
            return printf("BROKEN: read what was typed on the host: %s\n", line), 0;
        }
    printf("HOLDS: %lu terminals could be opened, nobody typed there\n", (unsigned long)n);
    return 1;
}
