/* Finds any of many byte strings: an automaton by Aho and Corasick behind a filter.
 *
 * The automaton looks at each byte and is exact. The filter knows all pieces of PIECE bytes within
 * the first bytes of the strings, as many as the shortest one has, and looks only at every n-th
 * place of the data: in whatever way a string lies there, one of its pieces is at such a place. The
 * automaton runs only where the filter has found one. Looks at different places do not depend on
 * each other, so that the processor does several at a time; leaps by a table, as of Wu and Manber,
 * do, and are several times slower. The automaton's nodes are kept small (children in a list)
 * rather than fast: it is there for few bytes.
 *
 * Immutable once built, so that threads share it; counted. Private to mask/. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct matcher;
struct matcher_builder;

struct matcher_builder *matcher_builder_new(void);
enum { MATCHER_MIN = 4 };

/* At least MATCHER_MIN bytes. */
void matcher_builder_add(struct matcher_builder *builder, const char *string, size_t len);
/* Frees the builder. At least one string has been added. */
struct matcher *matcher_build(struct matcher_builder *builder);
struct matcher *matcher_ref(struct matcher *matcher);
/* NULL is fine. */
void matcher_unref(struct matcher *matcher);

enum { MATCHER_START = 0 };

/* The state behind one more byte. */
uint32_t matcher_step(const struct matcher *matcher, uint32_t state, unsigned char byte);
/* The same state without the strings that are complete and of which no longer one begins. */
uint32_t matcher_settle(const struct matcher *matcher, uint32_t state);
/* How many of the last bytes may be the beginning of a string. */
uint32_t matcher_depth(const struct matcher *matcher, uint32_t state);
/* How many of the last bytes are a string, the longest one; 0: none. */
uint32_t matcher_match(const struct matcher *matcher, uint32_t state);
/* The first place, not before `from`, where a string may begin in data, as far as that can be told
 * quickly; at the latest one so near the end that it cannot. *ret_last is the last place that must
 * be looked at with it. */
size_t matcher_seek(const struct matcher *matcher, const char *data, size_t size, size_t from,
                    size_t *ret_last);
