/*
 * forkbomb: processes that do nothing but be there, until the kernel refuses or there are 300. (A
 * real one, :(){ :|:& };:, has no end.) The kernel's table of processes is one for all.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    enum { MANY = 300 };
    pid_t pids[MANY];
    int children = 0, error = 0;
    while (children < MANY && !error) {
        const pid_t pid = fork();
        if (pid == 0) return pause();
        if (pid < 0) error = errno;
        if (pid > 0) pids[children++] = pid;
    }
    for (int i = 0; i < children; i++) kill(pids[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    if (error) return printf("HOLDS: fork no. %d: %s\n", children + 1, strerror(error)), 1;
    printf("BROKEN: %d processes, and it could go on\n", children);
    return 0;
}
