/*
 * inotify: the kernel counts a user's instances of inotify(7), and has 128 for each. Whose are
 * ours? Take all, wait for three seconds: the host's root tries to get one meanwhile.
 * inotify one: one, for the host.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct rlimit files = {4096, 4096};
    int n = 0;
    if (argc > 1) {
        if (inotify_init1(0) < 0)
            return printf("BROKEN: the host gets no inotify: %s\n", strerror(errno)), 1;
        return printf("HOLDS: the host has its own inotify\n"), 0;
    }
    (void)argv;
    setrlimit(RLIMIT_NOFILE, &files);
    while (n < 4000 && inotify_init1(0) >= 0) n++;
    fprintf(stderr, "%d taken\n", n);
    sleep(3);
    return 0;
}
