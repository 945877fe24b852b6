/*
 * Judges manifests by policies: review POLICY.yaml MANIFEST.yaml...
 *
 * Each manifest is judged in a thread of its own, by the one engine. Exit code: 0 all may pass, 1 something is denied,
 * 2 the policies are broken or a file cannot be read.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portcullis.h"

struct bytes {
    uint8_t *data;
    size_t len;
};

static bool read_file(const char *path, struct bytes *found) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    long len = ftell(file);
    rewind(file);
    found->data = malloc(len > 0 ? (size_t)len : 1);
    found->len = fread(found->data, 1, (size_t)len, file);
    fclose(file);
    return found->len == (size_t)len;
}

struct job {
    const PortcullisEngine *engine;
    const char *path;
    struct PortcullisAnswer answer;
};

static void *judge(void *argument) {
    struct job *job = argument;
    struct bytes text;
    read_file(job->path, &text);
    char options[512];
    int len = snprintf(options, sizeof options, "{\"name\": \"%s\", \"timeoutMs\": 10000}", job->path);
    job->answer = portcullis_review(job->engine, text.data, text.len, (uint8_t *)options, (size_t)len, NULL);
    free(text.data);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: review POLICY.yaml MANIFEST.yaml...\n");
        return 2;
    }
    struct bytes policy;
    read_file(argv[1], &policy);
    struct PortcullisText text = {(uint8_t *)argv[1], strlen(argv[1]), policy.data, policy.len};
    PortcullisEngine *engine = NULL;
    struct PortcullisAnswer answer = portcullis_compile_texts(&text, 1, &engine);
    free(policy.data);
    if (engine == NULL) {
        fprintf(stderr, "%.*s\n", (int)answer.len, answer.data);
        portcullis_answer_free(answer);
        return 2;
    }
    portcullis_answer_free(answer);

    size_t count = (size_t)argc - 2;
    struct job *jobs = calloc(count, sizeof *jobs);
    pthread_t *threads = calloc(count, sizeof *threads);
    for (size_t i = 0; i < count; i++) {
        jobs[i].engine = engine;
        jobs[i].path = argv[i + 2];
        if (pthread_create(&threads[i], NULL, judge, &jobs[i]) != 0) {
            return 2;
        }
    }
    int code = 0;
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        printf("%s: %s %.*s\n", jobs[i].path, jobs[i].answer.good ? "may pass" : "is denied",
               (int)jobs[i].answer.len, jobs[i].answer.data);
        code = jobs[i].answer.good ? code : 1;
        portcullis_answer_free(jobs[i].answer);
    }
    free(threads);
    free(jobs);
    portcullis_engine_free(engine);
    return code;
}
