/* Packs lie apart, are filled once, and fill their pages. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packs.h"
#include "random.h"

enum { PACKS = 60, THREADS = 4, MIB = 1 << 18 /* reals */ };

static struct sal_pack_key key_of(int i)
{
    return (struct sal_pack_key){.weight = i / 2, .scale = -1, .form = i % 2};
}

struct content {
    size_t reals;
    float value;
    atomic_int filled;
};

static void fill(const void *context, sal_real *to)
{
    struct content *content = (struct content *)(uintptr_t)context;
    for (size_t i = 0; i < content->reals; i++)
        to[i] = content->value;
    atomic_fetch_add(&content->filled, 1);
}

static void packs_lie_apart(void **state)
{
    (void)state;
    uint64_t random = 9;
    static struct content contents[PACKS];
    struct sal_pack *pack[PACKS];
    struct sal_packs *packs = sal_packs_open();
    for (int i = 0; i < PACKS; i++) {
        contents[i].reals = (size_t)(1 + test_random(&random) * (i % 7 ? 3 * MIB : 20 * MIB));
        contents[i].value = (float)i;
        pack[i] = sal_packs_find(packs, key_of(i), contents[i].reals);
        assert_non_null(pack[i]);
    }
    for (int i = 0; i < PACKS; i++)
        assert_int_equal((uintptr_t)sal_pack_data(pack[i], fill, &contents[i]) % 64, 0);
    for (int i = 0; i < PACKS; i++) {
        assert_ptr_equal(sal_packs_find(packs, key_of(i), contents[i].reals), pack[i]);
        const sal_real *data = sal_pack_data(pack[i], fill, &contents[i]);
        for (size_t j = 0; j < contents[i].reals; j += 1 + j / 9)
            assert_true(data[j] == (float)i);
        assert_true(data[contents[i].reals - 1] == (float)i);
        assert_int_equal(contents[i].filled, 1);
    }
    sal_packs_close(packs);
}

/* Layers as transformers have them: large ones leave no gaps that nothing fits into. */
static void room_is_not_wasted(void **state)
{
    (void)state;
    static const size_t layer[] = {27 * MIB / 4, 9 * MIB / 4, 9 * MIB, 9 * MIB};
    struct sal_packs *packs = sal_packs_open();
    uintptr_t least = UINTPTR_MAX, most = 0;
    for (int i = 0; i < 8; i++) {
        static struct content content;
        size_t reals = layer[i % 4];
        struct sal_pack *pack = sal_packs_find(packs, key_of(i), reals);
        uintptr_t at = (uintptr_t)sal_pack_data(pack, fill, &content);
        least = at < least ? at : least;
        most = at + reals * sizeof(sal_real) > most ? at + reals * sizeof(sal_real) : most;
    }
    assert_int_equal(most - least, 2 * 27 * MIB * sizeof(sal_real));
    sal_packs_close(packs);
}

struct asker {
    struct sal_pack *pack;
    struct content *content;
};

static void *ask(void *context)
{
    struct asker *asker = context;
    const sal_real *data = sal_pack_data(asker->pack, fill, asker->content);
    return data[asker->content->reals - 1] == asker->content->value ? NULL : asker;
}

static void threads_fill_once(void **state)
{
    (void)state;
    struct sal_packs *packs = sal_packs_open();
    struct content content = {.reals = MIB, .value = 3};
    struct asker asker = {sal_packs_find(packs, key_of(0), MIB), &content};
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask, &asker), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(content.filled, 1);
    sal_packs_close(packs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_lie_apart),
        cmocka_unit_test(room_is_not_wasted),
        cmocka_unit_test(threads_fill_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
