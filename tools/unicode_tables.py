"""Writes src/text/jinja/unicode_tables.inc: what Python's str methods know and utf8proc does not.

    python3 tools/unicode_tables.py > src/text/jinja/unicode_tables.inc

Run it with the Python whose behaviour is the reference (3.11, Unicode 14.0).
"""
import sys
import unicodedata

EVERY = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]


def ranges(members):
    out = []
    for c in members:
        if out and c == out[-1][1] + 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def print_ranges(name, comment, members):
    print(f"\n// {comment}\nconstexpr CodePointRange {name}[] = {{")
    pairs = [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(members)]
    for i in range(0, len(pairs), 6):
        print("    " + ", ".join(pairs[i : i + 6]) + ",")
    print("};")


def category(c):
    return unicodedata.category(chr(c))


def final_sigma(text):
    return text.lower().endswith("\u03c2")


def print_mapping(name, comment, method):
    print(f"\n// {comment}\nconstexpr SpecialCasing {name}[] = {{")
    for c in EVERY:
        mapped = method(chr(c))
        if len(mapped) > 1:
            code_points = ", ".join(f"0x{ord(x):X}" for x in mapped)
            print(f"    {{0x{c:X}, {{{code_points}}}}},")
    print("};")


print(f"// Tables of Unicode {unicodedata.unidata_version}, written by tools/unicode_tables.py; do not edit.")
print_mapping("kUpperSpecial", "str.upper() of one character where it gives several.", str.upper)
print_mapping("kTitleSpecial", "str.title() of one character where it gives several.", str.title)
print_mapping("kLowerSpecial", "str.lower() of one character where it gives several.", str.lower)
print_ranges("kUnassigned", "General category Cn.", [c for c in EVERY if category(c) == "Cn"])
print_ranges("kOtherUpper", "Uppercase but not Lu.", [c for c in EVERY if chr(c).isupper() and category(c) != "Lu"])
print_ranges("kOtherLower", "Lowercase but not Ll.", [c for c in EVERY if chr(c).islower() and category(c) != "Ll"])
print_ranges("kDigit", "str.isdigit() but not Nd.", [c for c in EVERY if chr(c).isdigit() and category(c) != "Nd"])
print_ranges("kNumeric", "str.isnumeric() but neither Nd, Nl nor No.",
             [c for c in EVERY if chr(c).isnumeric() and category(c) not in ("Nd", "Nl", "No")])
print_ranges("kCaseIgnorable", "Skipped when looking for the letters around a capital sigma.",
             [c for c in EVERY if final_sigma("A" + chr(c) + "\u03a3") and not final_sigma(chr(c) + "\u03a3")])
