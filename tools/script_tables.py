"""Writes src/text/scripts.inc: the scripts that patterns may name, as the `tokenizers` package knows them.

    python tools/script_tables.py > src/text/scripts.inc

Needs `pip install tokenizers` (0.23.3, whose tables are those of Unicode 16).
"""
from tokenizers import Regex, pre_tokenizers

SCRIPTS = """Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew Hiragana
Kannada Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Oriya Sinhala Tamil Telugu Thai Tibetan""".split()
EVERY = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(script):
    split, out = pre_tokenizers.Split(Regex(rf"\p{{{script}}}"), "removed", invert=True), []
    for start in range(0, len(EVERY), 1 << 16):
        for match, _ in split.pre_tokenize_str("".join(map(chr, EVERY[start:start + (1 << 16)]))):
            if out and ord(match) == out[-1][1] + 1: out[-1][1] = ord(match)
            else: out.append([ord(match), ord(match)])
    return out


print("// Written by tools/script_tables.py; do not edit.\n\nconst Script kScripts[] = {")
for script in SCRIPTS:
    line = f'    {{"{script.lower()}", {{'
    for first, last in ranges(script):
        item = f"{{0x{first:X}, 0x{last:X}}}, "
        if len(line + item) > 118:
            print(line.rstrip())
            line = "        "
        line += item
    print(line.rstrip(", ") + "}},")
print("};")
