#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"

struct request {
    const char *root, *list;
    bool accept, by_operator, figures, quiet, self_test;
    struct farm farm;
};

static const char usage[] =
    "usage: conformance [--quiet] [--by-operator] [--list FILE [--accept]] [--jobs N]\n"
    "                   [--seconds S] [--memory MIB] [--strict RTOL] ROOT\n"
    "       conformance --figures ROOT     tables for docs/conformance.md\n"
    "       conformance --self-test\n";

static bool parse(struct request *request, int argc, char **argv)
{
    static const struct option options[] = {
        {"list", required_argument, NULL, 'l'},
        {"accept", no_argument, NULL, 'a'},
        {"by-operator", no_argument, NULL, 'o'},
        {"figures", no_argument, NULL, 'f'},
        {"quiet", no_argument, NULL, 'q'},
        {"jobs", required_argument, NULL, 'j'},
        {"seconds", required_argument, NULL, 's'},
        {"memory", required_argument, NULL, 'm'},
        {"strict", required_argument, NULL, 'r'},
        {"self-test", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            request->list = optarg;
            break;
        case 'a':
            request->accept = true;
            break;
        case 'o':
            request->by_operator = true;
            break;
        case 'f':
            request->figures = true;
            break;
        case 'q':
            request->quiet = true;
            break;
        case 'j':
            request->farm.jobs = atoi(optarg);
            break;
        case 's':
            request->farm.seconds = atof(optarg);
            break;
        case 'm':
            request->farm.memory = (size_t)atol(optarg) << 20;
            break;
        case 'r':
            trial_relative = atof(optarg);
            break;
        case 't':
            request->self_test = true;
            break;
        default:
            return false;
        }
    }
    request->root = optind == argc - 1 ? argv[optind] : NULL;
    return request->self_test ||
           (request->root && !(request->accept && !request->list));
}

/* Compares or accepts; false: it differs, or the list cannot be read or written. */
static bool use_list(const struct request *request, const struct tests *tests)
{
    if (request->accept) {
        bool good = list_write(tests, request->list);
        printf("%s %s\n", request->list,
               good ? "is what is accepted from now on" : strerror(errno));
        return good;
    }
    int differ = list_compare(tests, request->list, stdout);
    if (differ < 0)
        printf("%s: %s\n", request->list, strerror(errno));
    else if (differ > 0)
        printf("%d differ from %s (- as listed, + as it is); 'make conformance-accept' "
               "writes the lists anew\n",
               differ, request->list);
    return differ == 0;
}

static int report(const struct request *request, const struct tests *tests)
{
    struct counts counts = tests_count(tests);
    int failed = counts.of[OUTCOME_FAIL] + counts.of[OUTCOME_CRASH];
    for (int i = 0; i < tests->n; i++) {
        enum outcome outcome = tests->at[i].result.outcome;
        bool bad = outcome == OUTCOME_FAIL || outcome == OUTCOME_CRASH;
        if (bad || !(request->quiet || request->figures))
            report_test(&tests->at[i], stdout);
    }
    printf("\n");
    report_counts(tests, stdout);
    printf("\n");
    report_precision(tests, stdout);
    if (request->by_operator || request->figures) {
        printf("\n");
        report_operators(tests, stdout);
    }
    if (request->figures)
        return 0;
    bool same = !request->list || use_list(request, tests);
    printf("%d passed, %d failed, %d skipped\n", counts.of[OUTCOME_PASS], failed,
           tests->n - counts.of[OUTCOME_PASS] - failed);
    return failed || !same;
}

static int run(const struct request *request)
{
    struct tests tests;
    if (!tests_find(&tests, request->root) || tests.n == 0) {
        fprintf(stderr, "conformance: %s: %s\n", request->root,
                tests.n ? strerror(errno)
                        : "no folder with a model.onnx and a test_data_set_0 below it");
        tests_release(&tests);
        return 2;
    }
    farm_run(&request->farm, &tests, trial);
    int status = report(request, &tests);
    tests_release(&tests);
    return status;
}

int main(int argc, char **argv)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct request request = {.farm = {.jobs = processors > 0 ? (int)processors : 1,
                                       .seconds = SANITIZED ? 60 : 10,
                                       .memory = (size_t)2 << 30}};
    if (!parse(&request, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    return request.self_test ? self_test() : run(&request);
}
