#include "onnx_read.h"

enum { FORMALS_MAX = 65536, FUNCTION_ATTRS_MAX = 256, IMPORTS_MAX = 256 };

#define AT(member) offsetof(struct sal_onnx_function, member)
#define TEXT(number, name, member) \
    {name, number, SAL_WIRE_BYTES, SAL_FIELD_ONE, sal_read_text, AT(member), 0, 1, -1}
#define LIST(number, name, read, member, type, most) \
    {name, number, SAL_WIRE_BYTES, SAL_FIELD_MANY, read, AT(member), sizeof(type), most, \
     AT(n_##member)}

static const struct sal_message function_message = {
    "FunctionProto",
    (const struct sal_field[]){
        TEXT(1, "name", name),
        LIST(4, "input", sal_read_text, inputs, const char *, FORMALS_MAX),
        LIST(5, "output", sal_read_text, outputs, const char *, FORMALS_MAX),
        LIST(6, "attribute", sal_read_text, attr_names, const char *, FUNCTION_ATTRS_MAX),
        LIST(7, "node", sal_read_node, nodes, struct sal_onnx_node, SAL_ONNX_NODES_MAX),
        LIST(9, "opset_import", sal_read_opset, opsets, struct sal_onnx_opset, IMPORTS_MAX),
        TEXT(10, "domain", domain),
        LIST(11, "attribute_proto", sal_read_attr, defaults, struct sal_onnx_attr,
             FUNCTION_ATTRS_MAX),
        TEXT(13, "overload", overload),
        {0},
    },
};

enum sal_status sal_read_function(struct sal_reader *reader, void *at,
                                  const struct sal_wire_field *field)
{
    struct sal_onnx_function *function = at;
    *function = (struct sal_onnx_function){.name = "", .domain = "", .overload = ""};
    enum sal_status status =
        sal_message_read(reader, &function_message, field->bytes, function);
    if (status == SAL_OK && !*function->name)
        return sal_fail(reader->err, SAL_BAD_INPUT, "a local function has no name");
    if (status != SAL_OK)
        return sal_fail_within(reader->err, status, "function '" SAL_NAME "'",
                               function->name);
    function->domain = sal_onnx_plain_domain(function->domain);
    return SAL_OK;
}
