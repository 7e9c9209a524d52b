/* fontconfig keeps its tables for good, through pointers that the leak sanitizer
 * does not see. The sanitizer calls this by name, from its own library. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig";
}
