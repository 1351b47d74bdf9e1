/*
 * terminal WORD: type WORD and Enter into the terminal that we were given. Whoever reads from it
 * next takes it for the user's own keys. TIOCSTI in ioctl_tty(2)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    if (!isatty(0)) return printf("HOLDS: standard input is no terminal\n"), 1;
    for (const char *p = word; *p; p++)
        if (ioctl(0, TIOCSTI, p) < 0) return printf("HOLDS: TIOCSTI: %s\n", strerror(errno)), 1;
    ioctl(0, TIOCSTI, "\n");
    return 0; /* where it arrived is seen on the host */
}
