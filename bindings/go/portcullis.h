/*
 * Portcullis for C: may this Kubernetes object or admission request pass, and if not, why?
 *
 * Made of crates/embed-c/src/lib.rs by cbindgen; a test compares them. What is in requests and answers says
 * docs/embed.schema.json, and docs/embedding.md shows how it is used.
 *
 * Bytes go in with their length and need no zero behind them; they are read during the call and not kept. A pointer to
 * bytes may be null if the length is 0. Answers, engines and stops belong to the caller, who gives each back once, by
 * its own function, and never by free().
 *
 * Threads: there is no global state but tables that never change. One engine may be used by all threads at once, also while the inventory changes:
 * a review sees it before a change or after it. An engine or a stop is given back when no call that has it is under
 * way. An answer is used by one thread at a time.
 *
 * Errors are data: every call gives an answer that is JSON. What could not be judged is never allowed. No panic leaves
 * a call; one that is caught is a problem with the code `defect`, and a message on standard error. Only memory that
 * runs out ends the process.
 */

#ifndef PORTCULLIS_H
#define PORTCULLIS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 Policies that were compiled, and the inventory that they compare with.
 */
typedef struct PortcullisEngine PortcullisEngine;

/*
 Ends reviews before their time.
 */
typedef struct PortcullisStop PortcullisStop;

/*
 An answer: `len` bytes of JSON at `data`, without a zero behind them. It is the caller's, who gives it back with
 `portcullis_answer_free`.
 */
typedef struct PortcullisAnswer {
  /*
   The bytes.
   */
  uint8_t *data;
  /*
   How many.
   */
  size_t len;
  /*
   Whether the policies make an engine; whether all changes of the inventory were done; whether the object or the
   request is allowed.
   */
  bool good;
} PortcullisAnswer;

/*
 A text of YAML or JSON documents, and what problems and positions call it. Both in UTF-8; bytes that are not are
 an error of the answer.
 */
typedef struct PortcullisText {
  /*
   The bytes of the name.
   */
  const uint8_t *name;
  /*
   How many.
   */
  size_t name_len;
  /*
   The bytes of the text.
   */
  const uint8_t *text;
  /*
   How many.
   */
  size_t text_len;
} PortcullisText;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of requests and answers.
 */
uint32_t portcullis_version(void);

/*
 Compiles policies: a `compileRequest` in, a `compileAnswer` out.

 If there is an engine, it is put at `engine`, else null is. It is the caller's, who gives it back with
 `portcullis_engine_free`. If `engine` is null, the policies are only checked.

 # Safety

 `request` points to `len` bytes; `engine` is null or points to a place for a pointer.
 */
struct PortcullisAnswer portcullis_compile(const uint8_t *request,
                                           size_t len,
                                           struct PortcullisEngine **engine);

/*
 As `portcullis_compile`, of `count` texts, without JSON: all of the policies count or none.

 # Safety

 `texts` points to `count` texts, of which each `name` points to `name_len` and each `text` to `text_len` bytes;
 `engine` is null or points to a place for a pointer.
 */
struct PortcullisAnswer portcullis_compile_texts(const struct PortcullisText *texts,
                                                 size_t count,
                                                 struct PortcullisEngine **engine);

/*
 Changes what policies compare with: an `inventoryRequest` in, an `inventoryAnswer` out.

 # Safety

 `engine` is null or an engine that was not given back; `request` points to `len` bytes.
 */
struct PortcullisAnswer portcullis_inventory(const struct PortcullisEngine *engine,
                                             const uint8_t *request,
                                             size_t len);

/*
 Judges a text that is one object or one AdmissionReview, in YAML or JSON: a `reviewAnswer` out. `options` may be
 null with `options_len` 0; `stop` may be null. With the options `{"explain": "all"}` the answer also says why.

 # Safety

 `engine` is null or an engine that was not given back; `text` points to `len` and `options` to `options_len` bytes;
 `stop` is null or a stop that was not given back.
 */
struct PortcullisAnswer portcullis_review(const struct PortcullisEngine *engine,
                                          const uint8_t *text,
                                          size_t len,
                                          const uint8_t *options,
                                          size_t options_len,
                                          const struct PortcullisStop *stop);

/*
 Answers an admission request: the body that an API server sends in, the body that it is answered with out. What
 cannot be read or judged is refused. Otherwise as `portcullis_review`.

 # Safety

 As of `portcullis_review`.
 */
struct PortcullisAnswer portcullis_admit(const struct PortcullisEngine *engine,
                                         const uint8_t *body,
                                         size_t len,
                                         const uint8_t *options,
                                         size_t options_len,
                                         const struct PortcullisStop *stop);

/*
 Makes a stop. It is the caller's, who gives it back with `portcullis_stop_free`.
 */
struct PortcullisStop *portcullis_stop_new(void);

/*
 Ends the reviews that were given this stop, and those that will be: what is under way cannot be evaluated, and does
 not pass. May be called from any thread while they run.

 # Safety

 `stop` is null or a stop that was not given back.
 */
void portcullis_stop_set(const struct PortcullisStop *stop);

/*
 Gives a stop back. Nothing happens if it is null.

 # Safety

 `stop` is null or a stop that was not given back, and no call that has it is under way.
 */
void portcullis_stop_free(struct PortcullisStop *stop);

/*
 Gives an engine back. Nothing happens if it is null.

 # Safety

 `engine` is null or an engine that was not given back, and no call that has it is under way.
 */
void portcullis_engine_free(struct PortcullisEngine *engine);

/*
 Gives an answer back. Nothing happens if its `data` is null.

 # Safety

 `answer` is what a call gave, unchanged, and was not given back.
 */
void portcullis_answer_free(struct PortcullisAnswer answer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PORTCULLIS_H */
