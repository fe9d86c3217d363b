"""Compares `nemotron parse` with a reference parser on generated outputs.

    python3 tools/compare_parser.py PROGRAM REFERENCE.py [--count 100000] [--seed 1] [--cases FILE.jsonl --tools FILE.json]
    python3 tools/compare_parser.py PROGRAM REFERENCE.py --count 400 --write tests/data/text/parser/generated.jsonl

REFERENCE.py has parse(text, thinking, tools, force_nonempty_content), which returns {reasoning, content, tool_calls}. The
outputs are tag soup, well-formed ones that were damaged, and values of every type; each is parsed whole, and in pieces of a
random length with the deltas applied as a client would. Prints the smallest text of each kind of difference and exits with 1 if
there is any. --cases also compares the lines of a file with what they expect (`tools` there names a list in the other file). --write
keeps the generated outputs, with what the reference expects, for the tests, which know no numbers beyond 64 bits and doubles.
"""
import argparse, importlib.util, json, random, re, subprocess, sys

NAMES = ["f", "g", "get_weather", "run", "ping", "x.y-z/v2", "nobody", " f ", "ü", "", "a b", "f=g"]
KEYS = ["a", "b", "c", "code", "path", "none", " a ", "é", ""]
TYPES = ["string", "integer", "number", "boolean", "array", "object", "null", "str", "Int32", "FLOAT", "dict[str, int]", "List", "bool", " string ",
         "\u00a0int", "enum", "unknown", "None", "uint8", "long", "short", "varchar(9)", "text", "double", "", "numeric", "listing", "char", "unsigned"]
WORDS = ["x", "hello", "a < b", "é中🙂", "\u2028", "=", ">", "<", "</", "<t", "\u00a0", "\x0b", "\x00", "'", "\"", "{", "}", "[1, 2]", "5", "null", "True"]
BLANKS = ["\n", "\n", "\n", " ", "\t", "\r\n", "\n\n", "  ", "\r"]
CUT = ["<tool_call", "</tool_call", "<function=", "<function=f", "<parameter=", "<parameter=a", "</parameter", "</function", "</think", "<think", "<function=f\n>",
       "<function=f<", "<tool_call >", "</ think>", "<TOOL_CALL>", "<parameter=a\n"]
NUMBERS = ["0", "5", "-7", "+5", "007", "5.0", "5.5", "1e3", "1E-7", "1_000", ".5", "5.", "-.5e1", "+.e1", "1e", "1e+", "0x10", "1,5", "nan", "inf", "-Infinity", "1e308",
           "1e309", "-1e400", "1e-400", "2.5e-324", "1e-99999999999999999999", "0e99999999999999999999", "0.000e400", "9007199254740991", "9007199254740992.0", "9007199254740993.0",
           "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809",
           "123456789012345678901234567890", "1" + "0" * 400, "-0", "-0.0", "0.1", "٣", "1.7976931348623159e308", "179769313486231580793e289", "0." + "0" * 330 + "1",
           "123456789.123456789123456789", "4.9e-324", "2.4703282292062327e-324"]


def random_json(r, depth=0):
    pick = r.randrange(9 if depth < 3 else 7)
    if pick == 0: return r.choice(NUMBERS)
    if pick == 1: return str(r.randint(-10**r.randint(1, 25), 10**r.randint(1, 25)))
    if pick == 2: return repr(r.uniform(-1, 1) * 10.0 ** r.randint(-30, 30))
    if pick == 3: return r.choice(["true", "false", "null", "True", "False", "None", "NaN", "Infinity", "-Infinity", "TRUE", "undefined"])
    if pick < 7:
        quote = r.choice("\"\"\"'")
        return quote + "".join(r.choice(["a", "é", "🙂", " ", "\\n", "\\\"", "\\'", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude42", "\\ud800", "\\udc00", "\\ud800\\u0041", "\\uD83Dx",
                                        "\\x", "\n", "\t", "\x01", "\x7f", "'", "\\b\\f\\r\\t", "\\u12", "\\uzzzz", "</parameter>", "\\u0000"] if r.random() < 0.4 else ["a", "b c", "é"])
                               for _ in range(r.randint(0, 4))) + quote
    space = r.choice(["", "", " ", "\n", "\r\n\t"])
    items = [random_json(r, depth + 1) for _ in range(r.randint(0, 3))]
    if pick == 8: items = [r.choice(["\"a\"", "'a'", "\"b\"", "\"é\"", "a", "\"\\ud800\"", "1"]) + space + r.choice([":", ":", ":", ": ", ""]) + i for i in items]
    text = ("[", "{")[pick - 7] + space + ("," + space).join(items) + space + r.choice(["", "", "", ",", ", ", ",,"]) + ("]", "}")[pick - 7]
    return text if r.random() < 0.95 else text[: r.randint(0, len(text))]


def random_value(r):
    pick = r.randrange(6)
    if pick == 0: return r.choice(NUMBERS)
    if pick == 1: return r.choice(["true", "false", "True", "FALSE", " true ", "null", "None", "NULL", "yes", "", " ", "\n", "tRuE", "ſtrue"])
    if pick == 2: return "".join(r.choice(WORDS + BLANKS) for _ in range(r.randint(0, 5)))
    if pick == 3: return soup(r, r.randint(0, 6))
    return r.choice(["", "", " ", "\n"]) + random_json(r) + r.choice(["", "", " ", "\n", " x"])


def random_schema(r, depth=0):
    pick = r.randrange(8)
    if pick == 0: return r.choice([{}, True, None, "string", [], {"enum": ["a"]}, {"$ref": "#/x"}, {"description": "d"}, {"type": None}, {"type": 5}, {"type": {"a": 1}}, {"anyOf": None}, {"oneOf": {}}])
    if pick == 1: return {"type": [r.choice(TYPES + [None, 1, True, ["int"]]) for _ in range(r.randint(0, 3))]}
    if pick == 2 and depth < 3: return {r.choice(["anyOf", "oneOf"]): [random_schema(r, depth + 1) for _ in range(r.randint(0, 3))]}
    if pick == 3 and depth < 3: return {"type": r.choice(TYPES), "anyOf": [random_schema(r, depth + 1)], "oneOf": [random_schema(r, depth + 1)]}
    return {"type": r.choice(TYPES[:7] if r.random() < 0.7 else TYPES)}


def random_tools(r):
    if r.random() < 0.12: return None if r.random() < 0.7 else []
    tools = []
    for name in r.sample(NAMES, r.randint(1, 4)):
        f = {"name": name}
        if r.random() < 0.85: f["parameters"] = {"type": "object", "properties": {k: random_schema(r) for k in r.sample(KEYS, r.randint(0, 5))}}
        elif r.random() < 0.5: f["parameters"] = r.choice([None, [], "x", {}, {"properties": []}, {"properties": None}])
        tools.append(f if r.random() < 0.3 else {"type": "function", "function": f})
    return tools


def tag(r):
    return r.choice(["<tool_call>", "</tool_call>", "<function=%s>" % r.choice(NAMES), "<function=f>", "</function>", "<parameter=%s>" % r.choice(KEYS), "<parameter=a>",
                     "</parameter>", "</parameter>"])


def soup(r, count):
    """Tags of calls, with newlines between them more often than not."""
    out = ""
    for _ in range(count):
        pick = r.random()
        if pick < 0.62: out += tag(r)
        elif pick < 0.80: out += r.choice(WORDS)
        elif pick < 0.85: out += r.choice(CUT)
        elif pick < 0.88: out += r.choice(["</think>", "<think>"])
        if r.random() < 0.55: out += r.choice(BLANKS)
    return out


def nested(r, count):
    """Calls within calls, few of them closed as they should be: many places where a call may begin, and few names."""
    gap = r.choice([["\n"], ["\n", "\n", ""], ["", " ", "\n"], ["\n", "\nx", "x", "\n "]])
    names, keys = r.choice([["f", "nobody"], ["f", "g", "nobody"], ["nobody"]]), r.choice([["a"], ["a", "b"], ["a", "b", "c", "code", ""]])
    out = ""
    def function(): return "<function=%s>" % r.choice(names)
    def parameter(): return "<parameter=%s>" % r.choice(keys)
    for _ in range(count):
        pick = r.randrange(12)
        if pick < 3: out += "<tool_call>" + r.choice(gap + [""]) + function() + r.choice(gap) + r.choice(["", parameter(), parameter() + r.choice(["", "", " "]) + tag(r)])
        elif pick < 5: out += parameter() + r.choice(["", "", parameter(), tag(r)])
        elif pick < 8: out += r.choice(["</parameter>", "</parameter>", "</function>", "</tool_call>"])
        elif pick < 9: out += r.choice(["</function>", "</tool_call>"]) + r.choice(gap) + r.choice(["</tool_call>", function(), "<tool_call>"])
        elif pick < 10: out += "</parameter>" + r.choice(["", "</function>", "</tool_call>", "</tool_call>" + function(), parameter()])
        else: out += r.choice(["x", "<tool_call>", "<function=f>", "</parameter>x", "\n\n"])
        out += r.choice(gap)
    return out


def call(r, tools):
    names = [t.get("function", t)["name"] for t in tools or []]
    body = "".join("<parameter=%s>\n%s\n</parameter>\n" % (r.choice(KEYS), random_value(r)) for _ in range(r.randint(0, 3)))
    return "<tool_call>\n<function=%s>\n%s</function>\n</tool_call>" % (r.choice(names if names and r.random() < 0.9 else NAMES), body)


def damage(r, text):
    at, other = sorted((r.randint(0, len(text)), r.randint(0, len(text))))
    pick = r.randrange(8)
    if pick == 0: return text[:other]
    if pick == 1: return text[:at] + text[min(other, at + r.randint(1, 30)):]
    if pick == 2: return text[:at] + r.choice([tag(r), r.choice(CUT), r.choice(BLANKS), "\n" + tag(r) + "\n", "</think>", "<"]) + text[at:]
    if pick == 3: return text.replace("\n", r.choice(["", " ", "\r\n", "\n "]))
    if pick == 4: return text[:at] + text[at:other] * 2 + text[other:]
    closing = r.choice(["</parameter>\n", "</function>\n", "</tool_call>", "<tool_call>\n", "</parameter>", "</think>", "\n"])
    hits = [i for i in range(len(text)) if text.startswith(closing, i)]
    i = r.choice(hits) if hits else 0
    return text[:i] + text[i + len(closing):] if hits else text


def random_case(r):
    tools, thinking = random_tools(r), r.choice(["open", "closed"])
    pick = r.random()
    if pick < 0.35:
        text = soup(r, r.randint(0, r.choice([4, 12, 30])))
    elif pick < 0.55:
        text = r.choice(["", "thought\n"]) + nested(r, r.randint(2, r.choice([8, 25])))
        if tools and r.random() < 0.7: tools = [{"name": "f", "parameters": {"properties": {k: {} for k in r.sample(KEYS[:5], r.randint(0, 3))}}}, {"name": "g"}][: r.randint(1, 2)]
        if r.random() < 0.8: thinking = "open"
    elif pick < 0.65:  # a thought that is not closed, or late
        text = "\n".join(r.choice([soup(r, r.randint(1, 5)), call(r, tools), r.choice(WORDS)]) for _ in range(r.randint(1, 4)))
        if r.random() < 0.3: text += r.choice(["</think>", "\n</think>\n"]) + r.choice(["", " ", "\n\n", "x", call(r, tools)])
    else:
        parts = [r.choice([call(r, tools), call(r, tools), r.choice(WORDS) * r.randint(1, 2)]) for _ in range(r.randint(1, 3))]
        text = r.choice(["\n", "\n", "", "\n\n", " "]).join(parts)
        if thinking == "open" and r.random() < 0.8: text = r.choice(["", "thought", "é\n", soup(r, 2)]) + r.choice(["\n</think>\n", "</think>", "\n</think>\n\n"]) + text
        for _ in range(r.choice([0, 0, 1, 1, 2, 3])): text = damage(r, text)
    if r.random() < 0.06: text = r.choice(["", " ", "\n"]) + "<think>" + r.choice(["", "\n"]) + text
    return dict(text=text, thinking=thinking, tools=tools, force_nonempty_content=r.random() < 0.2)


def same(a, b):
    """Equal, keys in the same order, and numbers of one kind."""
    if type(a) is not type(b): return False
    if isinstance(a, dict): return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list): return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def apply(lines):
    """What a client has after the deltas of one output; checks the protocol on the way."""
    reasoning, content, calls = "", "", []
    for d in lines:
        (kind, value), = d.items()
        if kind == "restart": reasoning, content, calls = "", "", []
        elif kind == "reasoning": assert value; reasoning += value
        elif kind == "content": assert value; content += value
        elif "arguments" not in value:
            assert value["index"] == len(calls) and (not calls or calls[-1] is not None), "a call begins out of order"
            calls.append(None); name = value["name"]
        else:
            assert value["index"] == len(calls) - 1 and calls[-1] is None and value["name"] == name, "a call ends that did not begin"
            calls[-1] = {k: v for k, v in value.items() if k != "index"}
    return dict(reasoning=reasoning or None, content=content or None, tool_calls=calls)


def run(program, cases, *options):
    lines = "".join(json.dumps(c) + "\n" for c in cases)
    done = subprocess.run([program, "parse", "--jsonl", *options], input=lines.encode(), capture_output=True)
    if done.returncode: sys.exit("%s: exit code %d: %s" % (program, done.returncode, done.stderr.decode()))
    return [json.loads(l) for l in done.stdout.decode().split("\n") if l]


def run_deltas(program, cases, size):
    outputs, lines = [], []
    for line in run(program, cases, "--deltas", "--stream", str(size)):
        if line.pop("end", False):
            outputs.append((line, apply(lines))); lines = []
        elif "error" in line:
            outputs.append((line, line)); lines = []
        else: lines.append(line)
    return outputs


def compare(program, cases, expected, r, found):
    sizes = sorted({1, 2, 3, r.randint(4, 12), r.randint(13, 60)})
    ways = [("whole", [(a, a) for a in run(program, cases)])]
    size = r.choice(sizes)
    ways.append(("--stream %d" % size, run_deltas(program, cases, size)))
    for way, answers in ways:
        assert len(answers) == len(cases), (way, len(answers), len(cases))
        for case, wanted, (answer, applied) in zip(cases, expected, answers):
            for kind, got in (("answer", answer), ("deltas applied", applied)):
                if not same(got, wanted):
                    key = (way.split()[0], kind)
                    if key not in found or len(found[key][0]["text"]) > len(case["text"]): found[key] = case, wanted, got, way


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program"); p.add_argument("reference")
    p.add_argument("--count", type=int, default=100000); p.add_argument("--seed", type=int, default=1)
    p.add_argument("--cases"); p.add_argument("--tools"); p.add_argument("--write")
    a = p.parse_args()
    spec = importlib.util.spec_from_file_location("reference", a.reference)
    reference = importlib.util.module_from_spec(spec); spec.loader.exec_module(reference)
    r, found, done, undefined, batch = random.Random(a.seed), {}, 0, 0, 10000
    if a.cases:
        tools = json.load(open(a.tools, encoding="utf-8")) if a.tools else {}
        rows = [json.loads(l) for l in open(a.cases, encoding="utf-8").read().split("\n") if l]
        cases = [dict(text=x["text"], thinking=x["thinking"], tools=tools[x["tools"]] if x["tools"] else None, force_nonempty_content=x["force_nonempty_content"]) for x in rows]
        compare(a.program, cases, [json.loads(json.dumps(x["expected"])) for x in rows], r, found)
        print(len(rows), "cases of", a.cases)
    while done < a.count:
        cases, expected = [], []
        while len(cases) < min(batch, a.count - done):
            case = random_case(r)
            try: wanted = reference.parse(**case)
            except (ValueError, TypeError, RecursionError): undefined += 1; continue
            cases.append(case); expected.append(wanted)
        compare(a.program, cases, expected, r, found)
        done += len(cases)
        if a.write:
            with open(a.write, "w", encoding="utf-8") as f:
                for case, wanted in zip(cases, expected):
                    line = json.dumps(dict(case, expected=wanted), ensure_ascii=False)
                    if "Infinity" not in line and not re.search(r"\d{19}", line) and len(line) < 2000: f.write(line + "\n")
    print("%d generated outputs compared, whole and in pieces (seed %d); on %d more the reference fails" % (done, a.seed, undefined))
    for (way, kind), (case, wanted, got, how) in found.items():
        print("DIFFERENCE in the %s, %s\n  case      %s\n  reference %s\n  program   %s" % (kind, how, json.dumps(case, ensure_ascii=False), json.dumps(wanted, ensure_ascii=False), json.dumps(got, ensure_ascii=False)))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
