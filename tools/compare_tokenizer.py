"""Compares `nemotron tokenize` with the `tokenizers` package on random texts and random ids.

    python tools/compare_tokenizer.py PROGRAM FOLDER... [--seconds S | --strings N] [--seed N] [--variants]

FOLDER holds a tokenizer.json (or a tokenizer.json.gz). --variants also tries each vocabulary under the pre-tokenizers,
normalizers and added-token flags of other published families, and under random ones. Prints one line per tokenizer and
the smallest text of each difference; exits 1 if there is any. Needs `pip install tokenizers`.
"""
import argparse, gzip, json, os, random, subprocess, sys, tempfile, time, unicodedata
os.environ["RUST_BACKTRACE"] = "0"
from tokenizers import Tokenizer

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+")
HAN_APART = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
KIMI = (rf"[\p{{Han}}]+|[^\r\n\p{{L}}\p{{N}}]?{HAN_APART}*{HAN_APART.replace('Lu', 'Ll', 1)}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        rf"[^\r\n\p{{L}}\p{{N}}]?{HAN_APART}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# Digits in threes from the right, in runs of at most 510.
AFMOE = [r"\p{Nd}{1,510}(?=(?>\p{Nd}{510})*(?:\P{Nd}|$))|\G\p{Nd}{510}", r"\A\p{Nd}{1,2}(?=\p{Nd}{3}+\z)", r"\A\p{Nd}{3}|\G\p{Nd}{3}"]
RARE = [r"\s+$", r"^\s*\S", r"\b\w", r"\B.", r"(?<=\s)\S+", r"(?<!\w)\d{2,}?", r"\w++", r"(?>a+|ab)b?", r"[\w&&[^\d_]]+", r"x*", r"\Z",
        r"\p{N}{1,3}+", r"\p{^L}", r"\P{Lu}+", r"(?m:.+)", r".+", r"[a-c[x-z]-]+", r"(?i)[a-k]+", r"\h+", r"[^\x00-\x7F]{2}", r"(?:ab?)+?c|",
        r"a(?i)b|c", r"\d{2}?x?", r"\u4e2d|\x{1F44D}", r"(?<word>\w+)\W", r"(?=[A-Z])", r"$", r"^", r"\A.", r".\z", r"[\s\S]{3}"]


def split(regex, behavior="Isolated", invert=False):
    return dict(type="Split", pattern=dict(Regex=regex), behavior=behavior, invert=invert)


def byte_level(add_prefix_space=False, use_regex=False):
    return dict(type="ByteLevel", add_prefix_space=add_prefix_space, trim_offsets=True, use_regex=use_regex)


def sequence(*steps):
    return dict(type="Sequence", pretokenizers=list(steps))


def published():
    digits = dict(type="Digits", individual_digits=True)
    yield "gpt2", byte_level(use_regex=True)
    yield "starcoder", sequence(digits, byte_level(use_regex=True))
    yield "falcon", sequence(dict(type="Punctuation", behavior="Contiguous"), byte_level(use_regex=True), dict(type="Digits", individual_digits=False),
                             split("[0-9][0-9][0-9]"))
    yield "llama3", sequence(split(LLAMA3), byte_level())
    yield "llama3_removed_inverted", sequence(split(LLAMA3, "Removed", True), byte_level())
    yield "o200k", sequence(split(O200K), byte_level())
    yield "deepseek3", sequence(split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK3), byte_level())
    yield "deepseek_llm", sequence(split("[\r\n]"), split(r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-Ⴥ]+"),
                                   split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"), split(r"\s+$"), split("[一-龥ࠀ-一가-\ud7ff]+"), digits, byte_level())
    yield "kimi", sequence(split(KIMI), byte_level())
    yield "afmoe", sequence(*map(split, AFMOE), split(DEEPSEEK3), byte_level())
    yield "command_r", sequence(digits, byte_level(use_regex=True))
    yield "right_to_left", sequence(split(r"\d{1,3}(?=(?:\d{3})*\b)"), split(LLAMA3), byte_level())
    yield "bloom", sequence(split(" ?[^(\\s|[.,!?…。，、।۔،])]+"), byte_level())
    yield "words_joined", sequence(split(LLAMA3.replace(r"\p{L}+", r"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+")), byte_level())
    yield "prefixed_twice", sequence(split(r"\s"), byte_level(True, True), byte_level(True, False))


def random_pretokenizer(r):
    steps = [split(r.choice(RARE + [LLAMA3]), r.choice(["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]), r.random() < 0.4)
             for _ in range(r.randint(1, 2))]
    if r.random() < 0.3:
        steps.insert(r.randrange(len(steps) + 1), dict(type="Split", pattern=dict(String=r.choice(["a", " ", "é", ".", "", "ab", "\n"])),
                     behavior=r.choice(["Isolated", "MergedWithNext", "MergedWithPrevious", "Removed"]), invert=False))
    steps.insert(r.randrange(len(steps) + 1), byte_level(r.random() < 0.3, r.random() < 0.3))
    if r.random() < 0.2: steps.append(dict(type="Punctuation", behavior=r.choice(["Isolated", "MergedWithPrevious"])))
    return sequence(*steps)


def random_added(r, doc):
    vocab, next_id, out = doc["model"]["vocab"], len(doc["model"]["vocab"]), []
    contents = ["<x>", "<x", "xy", "yz", " pre", "post ", "\n\n", "  ", "<é>", "<e\u0301>", "中文", "A\u030a", "ſs", "word", "<|a|>", "1", "\u1161", "'s"]
    chosen = r.sample(contents, r.randint(1, 8))
    if "<é>" in chosen and "<e\u0301>" in chosen: chosen.remove("<é>")  # two that look the same once normalized are refused
    for content in chosen:
        id = vocab.get(content)
        if id is None: id, next_id = next_id, next_id + 1
        out.append(dict(id=id, content=content, **{k: r.random() < 0.35 for k in ("single_word", "lstrip", "rstrip", "normalized", "special")}))
    return out


def variants(doc, r):
    def with_(**change):
        d = dict(doc); d.update(change); return d
    for name, pre in published(): yield name, with_(pre_tokenizer=pre)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield form, with_(normalizer=dict(type=form), added_tokens=random_added(r, doc))
    while True:
        pre = random_pretokenizer(r)
        norm = r.choice([None, None, dict(type="NFC"), dict(type="Sequence", normalizers=[dict(type="NFKD"), dict(type="NFC")])])
        yield "random", with_(pre_tokenizer=pre, normalizer=norm, added_tokens=random_added(r, doc))


class Texts:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.by_category = {}
        for c in range(0x110000):
            if 0xD800 <= c < 0xE000: continue
            k = unicodedata.category(chr(c))
            group = self.by_category.setdefault(k, [])
            if len(group) < 40000: group.append(chr(c))
        self.categories = list(self.by_category)
        self.spaces = [" ", " ", " ", "\t", "\n", "\r", "\r\n", "\u00a0", "\u3000", "\u2028", "\x85", "\x0b", "\x0c", "\u180e", "\u200b", "\x1c"]
        self.words = ["can't", "WE'LL", "it's", "I'D", "x'ſ", "'S", "don'T", "naïve", "Straße", "x86", "foo_bar", "HTTPServer", "e\u0301", "नमस्ते", "你好", "カナ", "한국어",
                      "\u1112\u1161\u11ab", "👩‍👩‍👧", "🇫🇷", "1,000.5", "٣٤", "½", "Ⅷ", "//", "...", "<|", "|>", "</", "{}", "#!", "a", "ab", "abc", "x", "xyz", "ǅ", "ʰ", "K"]

    def text(self, added):
        r, out = self.r, []
        for _ in range(r.choice([1, 2, 3, 5, 8, 13, 30])):
            k = r.random()
            if k < 0.2: out.append(r.choice(self.words))
            elif k < 0.4: out.append(r.choice(self.spaces) * r.choice([1, 1, 1, 2, 3, 9]))
            elif k < 0.5 and added:
                token = r.choice(added)
                a, b = (0, len(token)) if r.random() < 0.6 else sorted((r.randint(0, len(token)), r.randint(0, len(token))))
                out.append(token[a:b])
            elif k < 0.6: out.append(chr(r.randrange(0x20, 0x7f)) * r.choice([1, 1, 2, 5]))
            elif k < 0.7: out.append("".join(r.choice("abcXYZ019 .'\n") for _ in range(r.randint(1, 12))))
            elif k < 0.75: out.append(chr(r.choice([r.randrange(0xD800), r.randrange(0xE000, 0x110000)])))
            else: out.append("".join(r.choice(self.by_category[r.choice(self.categories)]) for _ in range(r.randint(1, 4))))
        return "".join(out)


def ask(program, arguments, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    done = subprocess.run([program, "tokenize"] + arguments, input=text.encode(), capture_output=True)
    if done.returncode: raise SystemExit(f"{program} {arguments}: {done.stderr.decode().strip()}")
    return [json.loads(line) for line in done.stdout.decode().split("\n") if line]


def encode(theirs, text, special):
    """None where the package itself panics (white space taken twice by added tokens)."""
    try: return theirs.encode(text, add_special_tokens=special).ids
    except BaseException as e:
        if type(e).__name__ != "PanicException": raise
        return None


def compare(program, doc, texts, count):
    """-> (strings compared, list of (kind, input, theirs, ours))"""
    theirs = Tokenizer.from_str(json.dumps(doc))
    added = [t["content"] for t in doc["added_tokens"]][:64]
    rows = [texts.text(added) for _ in range(count)]
    size = max(list(doc["model"]["vocab"].values()) + [t["id"] for t in doc["added_tokens"]]) + 1
    special_ids = [t["id"] for t in doc["added_tokens"]]
    differences = []

    def check(kind, inputs, expected, got):
        if len(expected) != len(got): raise SystemExit(f"{kind}: {len(got)} answers to {len(expected)} lines")
        differences.extend((kind, i, e, g) for i, e, g in zip(inputs, expected, got) if e != g)

    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/tokenizer.json", "w", encoding="utf-8") as f: json.dump(doc, f, ensure_ascii=False)
        plain = [encode(theirs, t, False) for t in rows]
        rows = [t for t, ids in zip(rows, plain) if ids is not None]
        plain = [ids for ids in plain if ids is not None]
        check("encode", rows, plain, [x["ids"] for x in ask(program, ["--jsonl", folder], [{"text": t} for t in rows])])
        check("encode --special", rows, [encode(theirs, t, True) for t in rows],
              [x["ids"] for x in ask(program, ["--jsonl", "--special", folder], [{"text": t} for t in rows])])
        r = texts.r
        ids = plain[:count // 4] + [[r.choice([r.randrange(size), r.choice(special_ids or [0])]) for _ in range(r.randint(0, 9))] for _ in range(count // 4)]
        for skip in (False, True):
            check(f"decode skip={skip}", ids, [theirs.decode(i, skip_special_tokens=skip) for i in ids],
                  [x["text"] for x in ask(program, ["--decode"] + ["--skip-special"] * skip + [folder], [{"ids": i} for i in ids])])
    return len(rows) * 2 + len(ids) * 2, differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program"); parser.add_argument("folders", nargs="+")
    parser.add_argument("--seconds", type=float, default=20, help="for each tokenizer")
    parser.add_argument("--strings", type=int, help="for each tokenizer, whatever time they take")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variants", action="store_true")
    options = parser.parse_args()
    texts, failed = Texts(options.seed), False
    for folder in options.folders:
        path = folder + "/tokenizer.json"
        with (open(path, encoding="utf-8") if os.path.exists(path) else gzip.open(path + ".gz", "rt", encoding="utf-8")) as f: doc = json.load(f)
        end, total, found = time.time() + options.seconds, 0, []
        documents = variants(doc, texts.r) if options.variants else iter(lambda: ("as it is", doc), None)
        kinds = 0
        strings, at_once = 0, 300 if options.variants else 10000 if options.strings else 2000
        while (strings < options.strings if options.strings else time.time() < end) and len(found) < 20:
            name, variant = next(documents)
            kinds += 1
            count, differences = compare(options.program, variant, texts, at_once)
            strings += at_once
            total += count
            found += [(name, variant, *d) for d in differences]
        print(f"{folder}: {strings} strings, {total} answers compared, {kinds} rounds, {len(found)} differences", flush=True)
        for name, variant, kind, given, expected, got in sorted(found, key=lambda x: len(x[3]))[:5]:
            failed = True
            print(f"  {name}, {kind}: {ascii(given)}\n    theirs {ascii(expected)}\n    ours   {ascii(got)}")
            if options.variants:
                print("    ", json.dumps(variant["pre_tokenizer"])[:600], json.dumps(variant["normalizer"]), ascii(variant["added_tokens"])[:1500])
    return 1 if failed else 0


if __name__ == "__main__": sys.exit(main())
