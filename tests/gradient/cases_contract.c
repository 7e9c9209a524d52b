/* What multiplies several tensors along labelled axes: Einsum, Attention and the
 * rotation in front of it. */
#include <stdio.h>
#include <string.h>

#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("Einsum", 12, "equation=bij,bjk->bik", "2x3x4", "2x4x2"),
    CASE("Einsum", 12, "equation=bihd,bjhd->bhij", "2x3x2x4", "2x2x2x4"),
    CASE("Einsum", 12, "equation=ij,jk", "3x4", "4x2"),
    CASE("Einsum", 12, "equation=kj,ki->ij", "4x3", "4x2"),
    CASE("Einsum", 12, "equation=bic,oc->bio", "2x3x4", "5x4"),
    CASE("Einsum", 12, "equation=...ii->...i", "2x3x3"),
    CASE("Einsum", 12, "equation=ii", "4x4"),
    CASE("Einsum", 12, "equation=i,j->ij", "3", "4"),
    CASE("Einsum", 12, "equation=ij->j", "3x4"),
    CASE("Einsum", 12, "equation=ab,bc,cd,a->d", "2x3", "3x2", "2x3", "2"),
    CASE("Einsum", 12, "equation=...ij,...jk->...ik", "2x1x3x2", "3x2x2"),
    CASE("Einsum", 12, "equation=iij,j->i", "3x3x2", "2"),
    CASE("Attention", 23, NULL, "2x2x3x4", "2x2x5x4", "2x2x5x3"),
    CASE("Attention", 23, "q_num_heads=4 kv_num_heads=2 scale=0.7", "2x3x8", "2x2x4",
         "2x2x6"),
    CASE("Attention", 23, "is_causal=1 softcap=1.5", "1x2x4x2", "1x1x4x2", "1x1x4x2"),
    CASE("Attention", 23, NULL, "1x2x2x3", "1x2x3x3", "1x2x3x2", "2x3"),
    CASE("Attention", 24, NULL, "2x1x2x3", "2x1x4x3", "2x1x4x2", "2x1x1x2"),
    OUTPUTS("y,p,q", "Attention", 23, "is_causal=1", "1x2x2x2", "1x2x2x2", "1x2x2x3", "",
            "1x2x3x2", "1x2x3x3"),
    OUTPUTS("u,y", "Attention", 23, NULL, "1x2x2x2", "1x2x2x2", "1x2x2x3", "",
            "1x2x3x2", "1x2x3x3"),
    OUTPUTS("u,,y", "Attention", 23, "q_num_heads=2 kv_num_heads=2", "1x2x4", "1x2x4",
            "1x2x6", "", "1x2x3x2", "1x2x3x3"),
    OUTPUTS("u,,,y", "Attention", 23, "softcap=0.9", "1x2x2x2", "1x2x3x2", "1x2x3x3",
            "2x3"),
    OUTPUTS("u,,,y", "Attention", 23, "softcap=0.9 qk_matmul_output_mode=1", "1x2x2x2",
            "1x2x3x2", "1x2x3x3", "2x3"),
    OUTPUTS("u,,,y", "Attention", 23, "softcap=0.9 qk_matmul_output_mode=2", "1x2x2x2",
            "1x2x3x2", "1x2x3x3", "2x3"),
    OUTPUTS("u,,,y", "Attention", 23, "is_causal=1 qk_matmul_output_mode=3", "1x2x3x2",
            "1x2x3x2", "1x2x3x3"),
    CASE("Attention", 24, "is_causal=1", "2x1x3x2", "2x1x5x2", "2x1x5x2", "", "", "",
         "[2,4]"),
    CASE("Attention", 25, "left_window_size=1 right_window_size=0", "1x1x4x2", "1x1x4x2",
         "1x1x4x2"),
    /* More queries than are worked on at a time. */
    CASE("Attention", 23, "is_causal=1", "1x2x67x1", "1x1x67x1", "1x1x67x1"),
    CASE("Attention", 23, NULL, "1x1x67x1", "1x1x2x1", "1x1x2x1", "67x2"),
    CASE("RotaryEmbedding", 23, NULL, "1x2x3x4", "1x3x2", "1x3x2"),
    CASE("RotaryEmbedding", 23, "interleaved=1", "2x2x3x4", "5x2", "5x2",
         "2x3[0,1,2,4,4,1]"),
    CASE("RotaryEmbedding", 23, "num_heads=2 rotary_embedding_dim=2", "1x3x8", "4x1",
         "4x1", "1x3[3,0,1]"),
};

/* ---- random equations ------------------------------------------------------------ */

enum { LETTERS = 4, AXES = 3 };

struct random_term {
    int n;
    char letter[AXES + 1];
};

static void draw_term(struct random_sentence *r, struct random_term *term)
{
    term->n = roll(r, 1, AXES);
    for (int i = 0; i < term->n; i++)
        term->letter[i] = (char)('a' + roll(r, 0, LETTERS - 1));
    term->letter[term->n] = '\0';
}

/* Some of the letters of two terms, each once, in any order. */
static void draw_output(struct random_sentence *r, const struct random_term *terms,
                        char output[LETTERS + 1])
{
    int n = 0, start = roll(r, 0, LETTERS - 1), step = roll(r, 0, 1) ? 1 : LETTERS - 1;
    for (int i = 0; i < LETTERS; i++) {
        char letter = (char)('a' + (start + i * step) % LETTERS);
        bool there = strchr(terms[0].letter, letter) || strchr(terms[1].letter, letter);
        if (there && roll(r, 0, 2))
            output[n++] = letter;
    }
    output[n] = '\0';
}

static void say_operand(struct random_sentence *r, int i, const struct random_term *term,
                        const int size[LETTERS], bool constant)
{
    char text[SENTENCE_TEXT] = "";
    int count = 1;
    for (int axis = 0; axis < term->n; axis++) {
        int dim = size[term->letter[axis] - 'a'];
        count *= dim;
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d",
                 axis ? "x" : "", dim);
    }
    for (int j = 0; constant && j < count; j++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d.5",
                 j ? "," : "{", roll(r, 0, 3));
    say_input(r, i, "%s%s", text, constant ? "}" : "");
}

/* Linear in one operand with the other held. */
static void einsum(struct random_sentence *r)
{
    struct random_term terms[2];
    int size[LETTERS], free_operand = roll(r, 0, 1);
    char output[LETTERS + 1];
    r->s.op = "Einsum";
    r->s.opset = 12;
    r->s.low = 0.5; /* sums that cancel would show rounding alone */
    r->s.high = 2;
    for (int i = 0; i < LETTERS; i++)
        size[i] = roll(r, 1, 3);
    draw_term(r, &terms[0]);
    draw_term(r, &terms[1]);
    draw_output(r, terms, output);
    for (int i = 0; i < 2; i++)
        say_operand(r, i, &terms[i], size, i != free_operand);
    say_attributes(r, "equation=%s,%s->%s", terms[0].letter, terms[1].letter, output);
}

/* ---- random attention and rotation ----------------------------------------------- */

/* Linear in the values with queries and keys held. */
static void attention(struct random_sentence *r)
{
    int images = roll(r, 1, 2), heads = roll(r, 1, 2), group = roll(r, 1, 2);
    int queries = roll(r, 1, 4), keys = roll(r, 1, 4), size = roll(r, 1, 3);
    r->s.op = "Attention";
    r->s.opset = 23;
    r->s.low = 0.5;
    r->s.high = 2;
    say_input(r, 0, "~%dx%dx%dx%d", images, heads * group, queries, size);
    say_input(r, 1, "~%dx%dx%dx%d", images, heads, keys, size);
    say_input(r, 2, "%dx%dx%dx%d", images, heads, keys, roll(r, 1, 3));
    say_attributes(r, "is_causal=%d softcap=%d.5", roll(r, 0, 1), roll(r, 0, 2));
}

/* Linear in what is turned. */
static void rotary(struct random_sentence *r)
{
    int images = roll(r, 1, 2), heads = roll(r, 1, 3), tokens = roll(r, 1, 4);
    int pairs = roll(r, 1, 3), rest = roll(r, 0, 2), three = roll(r, 0, 1);
    r->s.op = "RotaryEmbedding";
    r->s.opset = 23;
    if (three)
        say_input(r, 0, "%dx%dx%d", images, tokens, heads * (2 * pairs + rest));
    else
        say_input(r, 0, "%dx%dx%dx%d", images, heads, tokens, 2 * pairs + rest);
    say_input(r, 1, "~%dx%dx%d", images, tokens, pairs);
    say_input(r, 2, "~%dx%dx%d", images, tokens, pairs);
    say_attributes(r, "interleaved=%d num_heads=%d rotary_embedding_dim=%d",
                   roll(r, 0, 1), heads, 2 * pairs);
}

static void (*const linear[])(struct random_sentence *r) = {einsum, attention, rotary};

const struct family family_contract = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
