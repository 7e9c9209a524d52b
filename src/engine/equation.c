#include "equation.h"

#include <string.h>

struct reader {
    const char *text, *at;
    const struct sal_node *node;
    struct sal_error *err;
};

static enum sal_status wrong(const struct reader *r, const char *what)
{
    return sal_node_fail(r->node, r->err, SAL_BAD_INPUT, "equation '%.80s' %s", r->text,
                         what);
}

/* The letter's number in ASCII's order; -1: it is none. */
static int number_of(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* Up to a comma, an arrow or the end. */
static enum sal_status read_term(struct reader *r, struct sal_term *term)
{
    *term = (struct sal_term){.ellipsis = -1};
    for (; *r->at && *r->at != ',' && *r->at != '-'; r->at++) {
        int letter = number_of(*r->at);
        if (*r->at == ' ')
            continue;
        if (strncmp(r->at, "...", 3) == 0) {
            if (term->ellipsis >= 0)
                return wrong(r, "has two ellipses in one term");
            term->ellipsis = term->n;
            r->at += 2;
        } else if (letter < 0) {
            return wrong(r, "must be letters, ellipses, commas and an arrow");
        } else if (term->n == SAL_RANK_MAX) {
            return wrong(r, "has a term of more than 8 letters");
        } else {
            term->letter[term->n++] = (unsigned char)letter;
        }
    }
    return SAL_OK;
}

static void count_letters(const struct sal_equation *equation, int count[SAL_LETTERS])
{
    for (int i = 0; i < equation->n; i++)
        for (int j = 0; j < equation->operand[i].n; j++)
            count[equation->operand[i].letter[j]]++;
}

/* The ellipsis, then the letters that occur once, in ASCII's order. */
static enum sal_status make_output(struct reader *r, struct sal_equation *equation)
{
    int count[SAL_LETTERS] = {0};
    count_letters(equation, count);
    equation->output = (struct sal_term){.ellipsis = -1};
    for (int i = 0; i < equation->n; i++)
        if (equation->operand[i].ellipsis >= 0)
            equation->output.ellipsis = 0;
    for (int i = 0; i < SAL_LETTERS; i++) {
        if (count[i] != 1)
            continue;
        if (equation->output.n == SAL_RANK_MAX)
            return sal_node_fail(r->node, r->err, SAL_UNSUPPORTED,
                                 "output has more than %d axes", SAL_RANK_MAX);
        equation->output.letter[equation->output.n++] = (unsigned char)i;
    }
    return SAL_OK;
}

static enum sal_status read_output(struct reader *r, struct sal_equation *equation)
{
    int count[SAL_LETTERS] = {0};
    bool seen[SAL_LETTERS] = {false};
    enum sal_status status = read_term(r, &equation->output);
    if (status)
        return status;
    if (*r->at)
        return wrong(r, "has more than one output");
    count_letters(equation, count);
    for (int i = 0; i < equation->output.n; i++) {
        int letter = equation->output.letter[i];
        if (seen[letter] || !count[letter])
            return wrong(r, "has an output letter twice or in no operand");
        seen[letter] = true;
    }
    return SAL_OK;
}

enum sal_status sal_equation_parse(struct sal_equation *equation, const char *text,
                                   const struct sal_node *node, struct sal_arena *arena,
                                   struct sal_error *err)
{
    struct reader r = {text, text, node, err};
    struct sal_term *operand = sal_new(arena, struct sal_term, node->n_in);
    if (!operand)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    *equation = (struct sal_equation){.n = node->n_in, .operand = operand};
    for (int i = 0; i < node->n_in; i++) {
        enum sal_status status = read_term(&r, &operand[i]);
        if (status)
            return status;
        bool last = i == node->n_in - 1;
        if ((*r.at == ',') == last)
            return wrong(&r, "must have a term for each input");
        r.at += !last;
    }
    if (!*r.at)
        return make_output(&r, equation);
    if (strncmp(r.at, "->", 2) != 0)
        return wrong(&r, "must be letters, ellipses, commas and an arrow");
    r.at += 2;
    return read_output(&r, equation);
}

bool sal_term_labels(const struct sal_term *term, int rank,
                     unsigned char label[SAL_RANK_MAX])
{
    int more = rank - term->n;
    if (more < 0 || (more > 0 && term->ellipsis < 0))
        return false;
    for (int axis = 0, i = 0; axis < rank; axis++) {
        int past = term->ellipsis < 0 ? -1 : axis - term->ellipsis;
        if (past >= 0 && past < more)
            label[axis] = (unsigned char)(SAL_LABELS - more + past);
        else
            label[axis] = term->letter[i++];
    }
    return true;
}
