"""Writes tests/data/text/{regexes,normal_forms,pipelines}.json: what the `tokenizers` package (0.23.3) answers.

    python tools/make_tokenizer_tests.py

regexes       [{pattern, text, matches}]: the texts of the matches that are not empty, in order
normal_forms  [[text, NFC, NFD, NFKC, NFKD]]
pipelines     [{name, pre_tokenizer, normalizer, added_tokens, cases: [[text, ids]]}] on the vocabulary of tekken_form
"""
import json, os, random
import compare_tokenizer as compare
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data", "text")
TEXTS = ["", "The year 2024, aren't we 3.5x FASTER?  \n\n Yes.\r\n", "a_b-c d  e\t\n", "aab abb ab b 12345 x86_64", "Straße ſ K k S s ½² ٣٤ Ⅷ",
         "中文カナ한국어 नमस्ते e\u0301 👩‍👩‍👧", "\u180e\u200b\u00a0\u3000\u2028\x85 x", "line one\nline two\n\nlast\n", "\U00031350\U0002ebf0\U0001fae9\u1c89\ua7cb", "{a{1} [b] (c)*"]
MORE = [r"\d{1,3}", r"[^\s]+", r"\p{L}\p{M}*", r"(?i:'s|'t|'re)|\w+", r"\W+", r"\S\s", r"a{2}", r"a{,2}b", r"{a", r"\{|\}|\[|\]|\(|\)|\*", r"[\]\[]+",
        r"[^\W\d]+", r"\p{Nl}|\p{No}", r"\p{Lowercase_Letter}+", r"\p{lowercase letter}{2}", r"[\p{Lu}\p{Ll}]+", r"[a-z&&[^b]]+", r"(?:a|b)+?b", r"(a)(b)",
        r"(?<!a)b", r"(?<=a)b(?!b)", r"[\t\n\r\x20]+", r"(?-i:a)b", r"[\x{4e00}-\x{9fff}]+", r"(?#comment)a+b", r"a|b|", r"\A\w+", r"\w+\z", r"^\w+$",
        r"\p{Han}+|\p{Hiragana}|\p{Katakana}+", r"[\p{L}&&[^\p{Han}]]+", r"\p{^Latin}+", r"\p{Space}\p{Punct}?", r"\p{Word}+", r"\p{Graph}+?\p{Blank}",
        r"[[:digit:]_]+|[[:punct:]]", r"[[:^space:]]+", r"[[:word:]]+", r"[[:graph:]]+", r"[[:print:]]{2}", r"[[:xdigit:]]+|[^[:ascii:]]", r"\G\d", r"\G..|\w+",
        r"\G\s|x", r"(?:\G|a)b?", r"(?!\G)\w\w", r"\A\p{Nd}{1,2}(?=\p{Nd}{3}+\z)|\A\p{Nd}{3}|\G\p{Nd}{3}", r"(?i:l['’]|中|[«»½٣])\w*",
        r"(?<=ab|c|\d\d\d)d?\w", r"\d{1,3}(?=(?:\d{3})*\b)", r"\p{Nd}{1,5}(?=(?>\p{Nd}{5})*(?:\P{Nd}|$))|\G\p{Nd}{5}"]


def write(name, rows):
    with open(os.path.join(DATA, name + ".json"), "w", encoding="utf-8", newline="\n") as f:
        f.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows) + "\n]\n")


def main():
    rows = []
    for pattern in compare.RARE + MORE + [compare.LLAMA3, compare.O200K, compare.DEEPSEEK3]:
        split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
        for text in TEXTS[1:]: rows.append(dict(pattern=pattern, text=text, matches=[m for m, _ in split.pre_tokenize_str(text)]))
    write("regexes", rows)

    texts = compare.Texts(11)
    r = texts.r
    forms = [normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD()]
    marks = texts.by_category["Mn"] + texts.by_category["Mc"]
    strings = ["\uac00\u11a7\u11a8\u1100\u1161\u11c2", "a\u0345\u0334\u0301", "\u00c5\u212b\u0041\u030a", "\u1e9b\u0323", "\u2adc\u0958\ufb1d", "\ufdfa", "\u32ff\u0898", "\U00011935\U00011930"]
    strings += ["".join(r.choice([r.choice(marks), texts.text([])[:2], r.choice("aeouAcnz"), chr(0xAC00 + r.randrange(11172)), chr(0x1100 + r.randrange(256))])
                        for _ in range(r.randint(1, 7))) for _ in range(250)]
    write("normal_forms", [[s] + [f.normalize_str(s) for f in forms] for s in strings])

    with open(os.path.join(DATA, "tokenizers", "tekken_form", "tokenizer.json"), encoding="utf-8") as f: doc = json.load(f)
    rows = []
    for name, variant in compare.variants(doc, r):
        theirs = Tokenizer.from_str(json.dumps(variant))
        added = [t["content"] for t in variant["added_tokens"]][:40]
        cases = []
        while len(cases) < 12:
            text = texts.text(added)
            ids = compare.encode(theirs, text, False)
            if ids is not None and len(text) < 80: cases.append([text, ids])
        rows.append(dict(name=name, pre_tokenizer=variant["pre_tokenizer"], normalizer=variant["normalizer"],
                         added_tokens=variant["added_tokens"] if variant["added_tokens"] != doc["added_tokens"] else None, cases=cases))
        if len(rows) == 40: break
    write("pipelines", rows)


if __name__ == "__main__": main()
