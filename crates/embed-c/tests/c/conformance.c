/*
 * Makes the calls that stand in a file, and writes the answers to standard output: for each step of a case its call
 * ('c', 'i', 'r', 'a'; 'n' begins a new case), and lengths and bytes of request and options. Answers are written as one
 * byte for `good`, a length, and the bytes. Lengths are 32 bits, little endian.
 *
 * Before that, calls that are wrong: null where something should be.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portcullis.h"

static uint8_t *read_bytes(FILE *file, size_t *len) {
    uint8_t head[4];
    if (fread(head, 1, 4, file) != 4) {
        exit(3);
    }
    *len = head[0] | head[1] << 8 | head[2] << 16 | (size_t)head[3] << 24;
    if (*len == 0) {
        return NULL;
    }
    /* Exactly as many as there are, so that a read beyond them is noticed. */
    uint8_t *data = malloc(*len);
    if (data == NULL || fread(data, 1, *len, file) != *len) {
        exit(3);
    }
    return data;
}

static void write_answer(struct PortcullisAnswer answer) {
    uint8_t head[5] = {answer.good, answer.len & 255, answer.len >> 8 & 255, answer.len >> 16 & 255, answer.len >> 24 & 255};
    fwrite(head, 1, 5, stdout);
    fwrite(answer.data, 1, answer.len, stdout);
    portcullis_answer_free(answer);
}

static void refused(struct PortcullisAnswer answer) {
    assert(!answer.good && answer.len > 2 && answer.data[0] == '{' && answer.data[answer.len - 1] == '}');
    portcullis_answer_free(answer);
}

static void wrong_calls(void) {
    const uint8_t some[1] = {'{'};
    PortcullisEngine *engine = (PortcullisEngine *)some;
    refused(portcullis_compile(NULL, 5, &engine));
    assert(engine == NULL);
    refused(portcullis_compile(some, (size_t)-1, &engine));
    refused(portcullis_compile(some, 1, NULL));
    refused(portcullis_compile_texts(NULL, 1, &engine));
    refused(portcullis_compile_texts(NULL, 0, &engine));
    const uint8_t broken[2] = {0xff, 0xfe};
    struct PortcullisText text = {broken, 2, some, 1};
    refused(portcullis_compile_texts(&text, 1, &engine));
    struct PortcullisText other = {some, 1, broken, 2};
    refused(portcullis_compile_texts(&other, 1, &engine));
    refused(portcullis_inventory(NULL, some, 1));
    refused(portcullis_review(NULL, some, 1, NULL, 0, NULL));
    refused(portcullis_admit(NULL, some, 1, NULL, 0, NULL));
    const char *empty = "{\"version\": 1, \"partial\": true, \"documents\": []}";
    struct PortcullisAnswer answer = portcullis_compile((const uint8_t *)empty, strlen(empty), &engine);
    assert(answer.good && engine != NULL);
    portcullis_answer_free(answer);
    refused(portcullis_inventory(engine, NULL, 1));
    refused(portcullis_review(engine, NULL, 1, NULL, 0, NULL));
    refused(portcullis_review(engine, broken, 2, NULL, 0, NULL));
    refused(portcullis_review(engine, some, 1, NULL, 1, NULL));
    refused(portcullis_admit(engine, NULL, 1, NULL, 0, NULL));
    PortcullisStop *stop = portcullis_stop_new();
    portcullis_stop_set(stop);
    portcullis_stop_set(NULL);
    refused(portcullis_review(engine, some, 1, NULL, 0, stop));
    portcullis_stop_free(stop);
    portcullis_stop_free(NULL);
    portcullis_engine_free(engine);
    portcullis_engine_free(NULL);
    portcullis_answer_free((struct PortcullisAnswer){NULL, 0, false});
    assert(portcullis_version() == 1);
}

int main(int argc, char **argv) {
    wrong_calls();
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        return 3;
    }
    PortcullisEngine *engine = NULL;
    PortcullisStop *stop = portcullis_stop_new();
    for (int call = fgetc(file); call != EOF; call = fgetc(file)) {
        if (call == 'n') {
            portcullis_engine_free(engine);
            engine = NULL;
            continue;
        }
        size_t len, options_len;
        uint8_t *request = read_bytes(file, &len);
        uint8_t *options = read_bytes(file, &options_len);
        switch (call) {
        case 'c':
            portcullis_engine_free(engine);
            write_answer(portcullis_compile(request, len, &engine));
            break;
        case 'i':
            write_answer(portcullis_inventory(engine, request, len));
            break;
        case 'r':
            write_answer(portcullis_review(engine, request, len, options, options_len, stop));
            break;
        case 'a':
            write_answer(portcullis_admit(engine, request, len, options, options_len, stop));
            break;
        default:
            return 3;
        }
        free(request);
        free(options);
    }
    portcullis_stop_free(stop);
    portcullis_engine_free(engine);
    fclose(file);
    return 0;
}
