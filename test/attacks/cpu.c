/*
 * cpu: two processes that only count, for three seconds. How much of a processor did they get?
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void) {
    const double start = now();
    struct rusage used;
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            while (now() < start + 3)
                ;
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    getrusage(RUSAGE_CHILDREN, &used);
    const double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    const int percent = (int)(100 * cpu / (now() - start));
    printf("%s: two busy loops got %d %% of a processor\n", percent > 70 ? "BROKEN" : "HOLDS",
           percent);
    return percent <= 70;
}
