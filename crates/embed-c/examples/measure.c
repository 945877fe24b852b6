/*
 * What a review costs from C: measure DIRECTORY ROUNDS [COUNT]. The directory is written by the example `measure` of
 * crates/embed. With COUNT, so many reviews are made after that, and the memory of the process is shown as they go.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "portcullis.h"

static uint8_t *read_file(const char *directory, const char *name, size_t *len) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    *len = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*len + 1);
    if (data == NULL || fread(data, 1, *len, file) != *len) {
        exit(2);
    }
    fclose(file);
    return data;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static long resident_kb(void) {
    long total = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &total, &pages) != 2) {
        return 0;
    }
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

struct object {
    const uint8_t *data;
    size_t len;
};

static size_t review(const PortcullisEngine *engine, struct object object, const char *options) {
    struct PortcullisAnswer answer =
        portcullis_review(engine, object.data, object.len, (const uint8_t *)options, strlen(options), NULL);
    size_t len = answer.len;
    portcullis_answer_free(answer);
    return len;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: measure DIRECTORY ROUNDS [COUNT]\n");
        return 2;
    }
    size_t len;
    uint8_t *request = read_file(argv[1], "compile.json", &len);
    PortcullisEngine *engine = NULL;
    portcullis_answer_free(portcullis_compile(request, len, &engine));
    free(request);
    uint8_t *bytes = read_file(argv[1], "objects", &len);
    struct object *objects = calloc(len / 4 + 1, sizeof *objects);
    size_t count = 0;
    for (size_t at = 0; at + 4 <= len; count++) {
        size_t size = bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | (size_t)bytes[at + 3] << 24;
        objects[count] = (struct object){bytes + at + 4, size};
        at += 4 + size;
    }
    const char *options[2] = {"{\"nowMs\":0,\"positions\":false}", "{\"nowMs\":0}"};
    const char *names[2] = {"without positions", "with positions"};
    for (int i = 0; i < 2; i++) {
        double sum = 0;
        size_t len = 0;
        for (size_t object = 0; object < count; object++) {
            /* Of each object the best: who else uses the machine makes single ones slower, and never faster. */
            double best = 1e18;
            for (int round = 0; round < atoi(argv[2]); round++) {
                double begun = now();
                len += review(engine, objects[object], options[i]);
                double took = now() - begun;
                best = took < best ? took : best;
            }
            sum += best;
        }
        printf("C, %s: %.1f µs a review (%zu)\n", names[i], sum / (double)count, len);
    }
    long total = argc > 3 ? atol(argv[3]) : 0;
    for (long done = 0; done < total; done++) {
        if (done % (total / 10 + 1) == 0) {
            printf("C: %ld reviews, %ld kB\n", done, resident_kb());
            fflush(stdout);
        }
        review(engine, objects[(size_t)done % count], options[0]);
    }
    printf("C: %ld reviews, %ld kB\n", total, resident_kb());
    free(objects);
    free(bytes);
    portcullis_engine_free(engine);
    return 0;
}
