"""Compares `nemotron render` with transformers on generated templates and conversations.

    python3 tools/compare_templates.py build/release/nemotron [--count 2000] [--seed 1] [--conversations 3]
    python3 tools/compare_templates.py build/release/nemotron --templates FOLDER [--conversations 1000]

Needs transformers 5.23 with jinja2 3.1.6. Each template is rendered for a few conversations by both; the texts must be
equal, and where one fails the other must fail with the same kind of error (and, for raise_exception, the same words).
Prints every difference and exits with 1 if there was one. With --templates the *.jinja files of a folder (real ones) take the
place of generated templates.
"""
import argparse
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile

import jinja2
from transformers.utils import chat_template_utils as hf

NOW = datetime.datetime(2026, 11, 21, 9, 5, 7)


class Frozen(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


hf.datetime = Frozen

TEXTS = ["", "a", "Hello, World", " two  words ", "line\nbreak\n\nend", "it's \"q\" \\ \t", "Zoë ß ŉ İ ǆ ΑΣ", "中文🙂", "<b>&amp;</b>",
         "12", "-7", "3.5", "1e3", "0x1f", "{x}", "%s|%d", "a,b,,c", "</think>rest", "x\u2028y\u00a0z", "\x1f\x7f\u200b"]
NUMBERS = ["0", "1", "2", "-1", "7", "3.5", "-0.5", "1e16", "1e-7", "100", "2.0", "10000000000000000000000", "0.1"]
NAMES = ["s", "t", "i", "f", "l", "d", "m", "n", "b", "e", "zz", "u", "messages", "big"]
KEYS = ["role", "content", "a", "b", "items", "zz", "0", "name"]
FILTERS = ["upper", "lower", "title", "capitalize", "trim", "length", "list", "string", "first", "last", "sort", "unique|list", "join",
           "join(',')", "reverse|list", "sum", "min", "max", "tojson", "tojson(indent=2)", "tojson(sort_keys=true)", "int", "float",
           "abs", "round", "round(1)", "round(-1)", "round(1, 'floor')", "default('x')", "default('x', true)", "d", "items|list",
           "dictsort", "indent", "indent(2, true)", "replace('a', 'b')", "wordcount", "map('string')|list", "map('upper')|join('|')",
           "select|list", "reject|list", "select('string')|list", "selectattr('role')|list", "map(attribute='role')|list",
           "batch(2)|list", "slice(2)|list", "safe", "escape", "e", "striptags", "center(9)", "truncate(5)", "truncate(5, true, '~', 0)",
           "urlencode", "format(1)", "format(1, 2)", "filesizeformat", "attr('zz')", "groupby('role')|list", "count",
           "selectattr('role', 'eq', 'user')|list", "rejectattr('role', 'in', ['user'])|list", "wordwrap(7)", "xmlattr",
           "sort(reverse=true)", "sort(attribute='role')", "map('length')|list", "tojson(ensure_ascii=true)", "pprint"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable",
         "callable", "odd", "even", "true", "false", "lower", "upper", "divisibleby(2)", "eq(1)", "in([1, 'a'])", "gt(1)", "escaped", "sameas(none)"]
METHODS = [".upper()", ".lower()", ".strip()", ".split()", ".split('a')", ".split(',', 1)", ".rsplit(' ', 1)", ".title()", ".capitalize()",
           ".startswith('a')", ".endswith(('a', 'd'))", ".find('l')", ".rfind('l')", ".count('l')", ".replace('l', 'L', 1)", ".isdigit()",
           ".isalpha()", ".isupper()", ".islower()", ".istitle()", ".isspace()", ".isalnum()", ".splitlines()", ".partition('l')",
           ".rpartition('l')", ".zfill(5)", ".center(8, '*')", ".ljust(6)", ".rjust(6)", ".swapcase()", ".casefold()", ".expandtabs(4)",
           ".removeprefix('a')", ".removesuffix('d')", ".join(['x', 'y'])", ".format('p', x=1)", ".items()|list", ".keys()|list",
           ".values()|list", ".get('a')", ".get('zz', 3)", ".index(1)", ".copy()", ".append(1)", ".pop()", ".update({})", ".isdecimal()",
           ".isnumeric()", ".isidentifier()", ".isprintable()", ".isascii()", ".bit_length()", ".is_integer()", ".__class__", ".real"]
SPECS = ["", ":>8", ":<6", ":^7", ":08.3f", ":,", ":_", ":x", ":+d", ":e", ":.2%", ":g", ":.3", ":5", ":=+6", ":#o", "!r", "!s:>5", "!a", ":c", ":s", ":10.3s"]
PERCENTS = ["%s", "%r", "%5s|", "%-5s|", "%d", "%05d", "%x", "%#o", "%.2f", "%e", "%g", "%c", "%+d", "%.3s", "%a", "%i", "%%", "%8.3f", "%G"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.plain = self.random.random() < 0.7

    def pick(self, items):
        return self.random.choice(items)

    def literal(self):
        kind = self.random.randrange(8)
        if kind < 3:
            return json.dumps(self.pick(TEXTS)).replace("\\/", "/") if self.random.random() < 0.5 else repr(self.pick(TEXTS))
        if kind < 5:
            return self.pick(NUMBERS)
        if kind == 5:
            return self.pick(["true", "false", "none"])
        items = ", ".join(self.expression(2) for _ in range(self.random.randrange(4)))
        if kind == 6:
            return f"[{items}]"
        return self.pick([f"({items},)" if items else "()", "{'a': 1, 'b': [2, none], 3: 'x'}", "{'k': " + self.expression(2) + "}"])

    def slice(self):
        part = lambda: self.pick(["", "", "0", "1", "-1", "2", "-3", "100", "none"])
        return f"[{part()}:{part()}" + (f":{self.pick(['', '1', '2', '-1', '-2'])}]" if self.random.random() < 0.4 else "]")

    def expression(self, depth=0):
        roll = self.random.randrange(22)
        if depth > 3 or roll < 4:
            return self.pick(NAMES) if self.random.random() < 0.6 else self.literal()
        if depth and self.plain:
            return self.typed(depth)
        inner = lambda: self.expression(depth + 1)
        if roll < 8:
            return f"({inner()} | {self.pick(FILTERS)})"
        if roll < 10:
            return f"({inner()} is {self.pick(['', 'not '])}{self.pick(TESTS)})"
        if roll < 13:
            return f"{self.operand(inner())}{self.pick(METHODS)}"
        if roll < 16:
            return f"({inner()} {self.pick(OPERATORS)} {inner()})"
        if roll == 16:
            # Not of a literal: Jinja folds it, and then slicing a number is merely undefined.
            return f"{self.pick(NAMES)}{self.slice()}"
        if roll == 17:
            return f"{self.operand(inner())}[{self.pick([repr(self.pick(KEYS)), '0', '-1', inner()])}]"
        if roll == 18:
            return f"({inner()} if {inner()} else {inner()})"
        if roll == 19:
            return f"({self.pick(['not ', '-', '+'])}{inner()})"
        if roll == 20:
            return "'{" + self.pick(SPECS) + "}'.format(" + inner() + ")"
        return f"('{self.pick(PERCENTS)}{self.pick(['', self.pick(PERCENTS)])}' % {self.pick([inner(), '(' + inner() + ',)', '(' + inner() + ', ' + inner() + ')'])})"

    @staticmethod
    def operand(text):
        return text if text[0] in "'\"([{" or text.isidentifier() else f"({text})"

    def typed(self, depth):
        """An expression that mostly makes sense: what is applied fits what it is applied to."""
        text = self.pick(["s", "u", "big[0]", "messages[0].content", "'aXb c'", "'" + self.pick(["Ab cd", "x,y", "3.7", "12", " é "]) + "'"])
        number = self.pick(["i", "f", "3", "2.5", "l|length", "7"])
        sequence = self.pick(["l", "m", "messages", "big", "[3, 1, 2]", "(1, 'a')", "range(5)"])
        mapping = self.pick(["d", "m[0]", "messages[0]", "{'B': 2, 'a': 1}"])
        roll = self.random.randrange(9)
        if roll == 8:  # only small powers: Python would compute the others
            return f"({number} ** {self.pick(['2', '3', '0', '-1', '0.5', '-2.5'])})"
        if roll == 0:
            return f"{text}{self.pick(METHODS[:47])}"
        if roll == 1:
            return f"({text} | {self.pick(FILTERS)})"
        if roll == 2:
            return f"({number} {self.pick(OPERATORS[:15])} {number if self.random.random() < 0.5 else self.pick(NUMBERS)})"
        if roll == 3:
            return f"({sequence} | {self.pick(FILTERS)})"
        if roll == 4:
            return f"({mapping} | {self.pick(['tojson', 'dictsort', 'items|list', 'length', 'list', 'string', 'tojson(indent=2)', 'pprint', 'urlencode', 'xmlattr'])})"
        if roll == 5:
            return "'{" + self.pick(SPECS) + "}'.format(" + self.pick([number, text]) + ")"
        if roll == 6:
            return f"('{self.pick(PERCENTS)}' % {self.pick([number, number, text])})"
        return f"({self.pick([text, number, sequence, mapping])} is {self.pick(TESTS)})"

    def sign(self):
        return self.pick(["", "", "", "-", "-", "+"])

    def tag(self, text):
        return "{%" + self.sign() + f" {text} " + self.sign() + "%}"

    def block(self, depth=0):
        e, inner = self.expression, lambda: self.body(depth + 1)
        space = lambda: self.pick(["", "", "\n", "  ", "\n  ", " x ", "\n\n\t"])
        name = self.pick(["v", "w", "s", "ns", "i", "x"])
        roll = self.random.randrange(17 if depth < 3 else 5)
        t = self.tag
        if roll < 3:
            return "{{" + self.pick(["", "-"]) + f" {e()} " + self.pick(["", "-"]) + "}}" + space()
        if roll == 3:
            return t(f"set {name} = {e()}") + space()
        if roll == 4:
            return "{#" + self.pick(["", "-", "+"]) + " note " + self.pick(["", "-", "+"]) + "#}" + space()
        if roll < 7:
            return t(f"if {e()}") + space() + inner() + self.pick(["", t(f"elif {e()}") + inner(), t("else") + space() + inner()]) + t("endif") + space()
        if roll < 10:
            target = self.pick(["x", "x", "x", "x, v", "(x, v)"])
            items = self.pick(["l", "m", "messages", "d", "d.items()", "range(4)", "'abc'", e(), "m | map(attribute='role')", "d | dictsort"])
            extra = self.pick(["", "", f" if {e()}"])
            middle = self.pick(["", "{{ loop.index }}", "{{ loop.last }}{{ loop.nextitem }}", "{{ loop.revindex }}{{ loop.length }}", t("break"), t("continue"),
                                "{{ loop.cycle('p', 'q') }}{{ loop.previtem is defined }}", "{{ loop.changed(x) }}", t("if loop.first") + t("continue") + t("endif")])
            return t(f"for {target} in {items}{extra}") + space() + "{{ x }}" + middle + inner() + self.pick(["", t("else") + inner()]) + t("endfor") + space()
        if roll == 10:
            return t(f"macro {self.pick(['f', 'g'])}(x, y={e()}, z=x)") + space() + "{{ x }}" + inner() + self.pick(["", "{{ varargs }}{{ kwargs }}", "{{ caller() if caller else '' }}"]) + t("endmacro") + space()
        if roll == 11:
            return "{{ " + self.pick(["f", "g"]) + "(" + self.pick([e(), e() + ", " + e(), "x=" + e(), "", "y=" + e(), e() + ", 1, 2, 3"]) + ") }}" + space()
        if roll == 12:
            return t(f"set {name}{self.pick(['', ' | upper', ' | trim'])}") + inner() + t("endset") + space()
        if roll == 13:
            return t("set ns = namespace(a=1, b='x')") + t(f"set ns.a = {e()}") + "{{ ns.a }}{{ ns.zz is defined }}" + space()
        if roll == 14:
            return self.pick([t(f"with v = {e()}, w = v") + inner() + t("endwith"), t("filter " + self.pick(["upper", "trim", "indent(2)", "replace('a', 'b')"])) + inner() + t("endfilter"),
                              t("generation") + inner() + t("endgeneration"), t(f"call{self.pick(['', '(q)'])} f({e()})") + inner() + t("endcall")])
        if roll == 15:
            return self.pick(["{{ raise_exception(" + e() + ") }}", t("raw") + "{{ x }}" + t("endraw"), "{{ strftime_now('%d %B %Y %H:%M') }}", "{{ dict(a=1, **{'b': 2}) }}",
                              t("autoescape true") + inner() + t("endautoescape"), "{{ [*l] }}", "{{ joiner('-')() }}{{ cycler(1, 2).next() }}"])
        return space() + self.pick(["text", "a b", "{", "}}", "%", "é\n"])

    def body(self, depth=0):
        return "".join(self.block(depth) for _ in range(self.random.randrange(1, 4 if depth else 7)))

    def template(self):
        # Most templates are short: an error hides whatever comes behind it.
        roll = self.random.random()
        if roll < 0.6:
            return "{{ " + self.expression(self.random.choice([1, 2, 2, 3, 3])) + " }}"
        return self.block() if roll < 0.85 else self.body()

    def schema(self, depth=0):
        """A JSON schema of the kind that tools have."""
        kind = self.pick(["string", "string", "integer", "number", "boolean", "array", "object", "union", "any", "enum"] if depth < 3 else ["string", "integer"])
        out = {"description": self.pick(TEXTS)} if self.random.random() < 0.6 else {}
        if kind == "array": out |= {"type": "array"} | ({"items": self.schema(depth + 1)} if self.random.random() < 0.8 else {})
        elif kind == "object": out |= {"type": "object"} | ({"properties": {n: self.schema(depth + 1) for n in self.some(["a", "b", "type", "items"])}, "required": ["a"]} if self.random.random() < 0.7 else {})
        elif kind == "union": out |= self.pick([{"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, {"oneOf": [self.schema(depth + 1), {"type": "integer", "default": 3}]}])
        elif kind == "enum": out |= {"type": "string", "enum": ["c", self.pick(TEXTS)], "default": "c"}
        elif kind != "any": out |= {"type": kind} | ({"default": self.pick([0, 1.5, "x", None, True, [1]]), "nullable": True} if self.random.random() < 0.2 else {})
        return out

    def some(self, items):
        return self.random.sample(items, self.random.randrange(len(items) + 1))

    def tool(self, name):
        function = {"name": name, "description": self.pick(TEXTS)}
        if self.random.random() < 0.9:
            function["parameters"] = {"type": "object", "properties": {n: self.schema() for n in self.some(["city", "unit", "days", "n", "é", "$x"])}}
            if self.random.random() < 0.7: function["parameters"]["required"] = self.some(["city", "unit", "n"])
        if self.random.random() < 0.1: function["strict"] = True
        if self.random.random() < 0.1: function["return"] = {"type": "string", "description": "r"}
        return {"type": "function", "function": function}

    def calls(self, turn, names, as_text):
        out = []
        for n in range(self.random.randrange(1, 3)):
            arguments = {"city": self.pick(TEXTS), "days": [1, 2.5, None, True], "n": {"x": self.pick(TEXTS), "y": [[], {}]}, "unit": self.pick([None, 7, 1e-7, "c", True])}
            arguments = {k: arguments[k] for k in self.some(list(arguments))}
            call = {"type": "function", "function": {"name": self.pick(names), "arguments": json.dumps(arguments) if as_text else arguments}}
            if self.random.random() < 0.9: call = {"id": f"call{turn}{n:04}", **call}
            out.append(call)
        return out

    def tool_conversation(self):
        """A conversation of the kind real templates are written for; one in three breaks the rules that many of them check."""
        text = lambda: self.pick(TEXTS)
        wild = self.random.random() < 0.35
        parts = lambda: [{"type": "text", "text": text()}] + ([self.pick([{"type": "image"}, {"type": "text", "text": text()}, {"type": "image_url", "image_url": {"url": "u"}}])] if self.random.random() < 0.5 else [])
        names, as_text, tools = ["get_weather", "f"], self.random.random() < 0.3, self.random.random() < 0.5
        messages = [{"role": "system", "content": text()}] if self.random.random() < 0.5 else []
        for turn in range(self.random.randrange(1, 5)):
            role = self.pick(["user"] * 8 + ["developer", "function", "system", "assistant"]) if wild else "user"
            messages.append({"role": role, "content": parts() if self.random.random() < 0.1 else text()})
            answer = {"role": "assistant", "content": self.pick([text(), text(), text() or "x", "<think>" + text() + "</think>" + text(), "<think>\n" + text() + "\n</think>\n\n" + text()] + [None, parts()] * wild)}
            if self.random.random() < 0.4: answer[self.pick(["reasoning_content", "reasoning", "thinking"])] = text()
            if self.random.random() < 0.4 and (tools or wild):
                answer["tool_calls"] = self.calls(turn, names, as_text)
                if self.random.random() < 0.5: answer["content"] = self.pick(["", None])
                messages.append(answer)
                for call in answer["tool_calls"]:
                    messages.append({"role": "tool", "tool_call_id": call.get("id", "x"), "name": call["function"]["name"],
                                     "content": self.pick([text(), json.dumps({"t": 3}), text()] + [{"t": [1.0, text()]}, parts()] * wild)})
                if self.random.random() < 0.5: messages.append({"role": "assistant", "content": text()})
                elif not wild and turn < 3: break
                continue
            if self.random.random() < 0.85: messages.append(answer)
            elif not wild: break
        kwargs = {"bos_token": "<s>", "eos_token": "</s>"}
        for name, values in {"enable_thinking": [True, False], "thinking": [True, False], "reasoning_effort": ["low", "medium", "high", "none"], "documents": [[{"title": "t", "text": text()}]],
                             "thinking_budget": [0, 512], "preserve_thinking": [True], "date_string": ["21 Nov 2026"], "tools_in_user_message": [False], "model_identity": [text()],
                             "builtin_tools": [["browser", "python"], ["web_search"]], "add_vision_id": [True], "custom_tools": [[self.tool("g")]], "keep_past_thinking": [True], "citations": ["on"]}.items():
            if self.random.random() < 0.12: kwargs[name] = self.pick(values)
        return {"messages": hf._alias_reasoning_fields(messages), "tools": [self.tool(n) for n in names[:self.random.randrange(1, 3)]] if tools else None,
                "add_generation_prompt": self.random.random() < 0.7, "kwargs": kwargs}

    def conversation(self):
        roles = ["system", "user", "assistant", "user", "tool"]
        messages = [{"role": r, "content": self.pick(TEXTS)} for r in roles[self.random.randrange(2) : self.random.randrange(2, 6)]]
        if self.random.random() < 0.3:
            messages.append({"role": "assistant", "reasoning": "r", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5, None]}}}]})
        kwargs = {"s": self.pick(TEXTS), "t": True, "i": self.pick([0, 7, -3, 2**63 + 5]), "f": self.pick([2.5, -0.0, 1e100, 3.0]), "l": self.pick([[3, 1, 2, 1], ["b", "A", "a"], [], [1, "a", None]]),
                  "d": {"b": 1, "a": [1, {"x": None}], "items": "shadow", "zz": "é"}, "m": [{"role": "user", "n": 2, "a": "x"}, {"role": "bot", "n": 1}], "n": None, "b": False,
                  "e": "", "u": self.pick(TEXTS), "big": [self.pick(TEXTS) for _ in range(3)]}
        return {"messages": messages, "tools": None, "add_generation_prompt": self.random.random() < 0.5, "kwargs": kwargs}


def kind_of(error):
    if type(error) is jinja2.exceptions.TemplateError:
        return "raise_exception"
    for kind, cls in [("syntax", jinja2.TemplateSyntaxError), ("undefined", jinja2.UndefinedError), ("security", jinja2.exceptions.SecurityError)]:
        if isinstance(error, cls):
            return kind
    return "value"


def reference(template, row):
    try:
        text, _ = hf.render_jinja_template([row["messages"]], tools=row["tools"], chat_template=template, add_generation_prompt=row["add_generation_prompt"], **row["kwargs"])
        text[0].encode()
        return {"rendered": text[0]}
    except Exception as error:
        return {"error": {"kind": kind_of(error), "message": str(error)}}


def ours(program, template, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".jinja", encoding="utf-8", newline="", delete=False) as file:
        file.write(template)
    try:
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        run = subprocess.run([program, "render", "--template", file.name, "--jsonl", "--now", NOW.isoformat(), "-"], input=lines, stdout=subprocess.PIPE, check=True)
        return [json.loads(line) for line in run.stdout.split(b"\n") if line]
    finally:
        os.unlink(file.name)


def same(want, got):
    if "power is complex" in got.get("error", {}).get("message", ""):
        return True  # the one kind of number refused
    if "rendered" in want or "rendered" in got:
        # Addresses of objects differ from run to run.
        return want.get("rendered") == got.get("rendered") or " at 0x" in want.get("rendered", "")
    a, b = want["error"], got["error"]
    return a["kind"] == b["kind"] and (a["kind"] != "raise_exception" or a["message"] == b["message"] or " at 0x" in a["message"])


def cases(options):
    """(name, template, conversations), generated or from a folder."""
    if options.templates:
        for n, file in enumerate(sorted(f for f in os.listdir(options.templates) if f.endswith(".jinja"))):
            with open(os.path.join(options.templates, file), encoding="utf-8", newline="") as handle:
                generator = Generator(options.seed * 1_000_003 + n)
                yield file, handle.read(), [generator.tool_conversation() for _ in range(options.conversations)]
        return
    for n in range(options.count):
        generator = Generator(options.seed * 1_000_003 + n)
        template = generator.template()
        yield f"{n}: {template!r}", template, [generator.conversation() for _ in range(options.conversations)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=3)
    parser.add_argument("--templates")
    options = parser.parse_args()
    differences = compared = failed = 0
    for name, template, rows in cases(options):
        for row, got in zip(rows, ours(options.program, template, rows), strict=True):
            want = reference(template, row)
            compared += 1
            failed += "error" in want
            if not same(want, got):
                differences += 1
                print(f"--- {name}\n    variables   {json.dumps(row, ensure_ascii=False)}\n    transformers {want}\n    nemotron     {got}", flush=True)
                break
    print(f"{compared} renderings compared ({failed} of them errors), {differences} templates differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
