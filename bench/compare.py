#!/usr/bin/env python3
"""Runs a rival beside `nemotron bench`, in turns on the same shapes, and prints the ratios with their spread.

    compare.py --ours build/release/nemotron --rival llama-bench --folder DIR --gguf FILE [FILE ...]
               [--pair DIR=FILE ...] [--rival-batched llama-batched-bench --batch 16]
               [--threads 1,2] [--prompt 512] [--gen 64] [--depth 0] [--rounds 5] [--out FILE.md|FILE.json]

The rival is whatever the user has installed: llama.cpp's llama-bench, or a fork of it with its options and its JSON. A
round runs each program once, as a process of its own with one repetition (each warms up by itself); every other round
runs them in the opposite order, so that a machine that gets slower or faster favours nobody. A ratio is that of two
neighbours in one round: above 1, ours is faster. --batch compares decoding of so many sequences side by side, each with
--batch-depth tokens before, and the prompts that fill them, with llama-batched-bench. Needs Python alone.
"""

import argparse
import collections
import json
import os
import shlex
import statistics
import subprocess
import sys
import time

Test = collections.namedtuple('Test', 'kind tokens depth threads batch')  # kind: 'pp' or 'tg'


class Failure(Exception):
    """What went wrong, in a line or a few."""


# ---- running ----

def run(command, timeout):
    """Standard output of a program that must succeed."""
    name = os.path.basename(command[0])
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, errors='replace')
    except OSError as e:
        raise Failure(f'{command[0]}: cannot be started: {e.strerror}') from e
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as e:
        raise Failure(f'{name}: not done after {timeout:g} s (--timeout): {shlex.join(command)}') from e
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode != 0:
        how = f'signal {-process.returncode}' if process.returncode < 0 else f'exit code {process.returncode}'
        last = '\n'.join('    ' + line for line in (err.strip() or out.strip()).splitlines()[-8:])
        raise Failure(f'{name}: died with {how}: {shlex.join(command)}\n{last}')
    return out


def parse(text, name):
    """The JSON that a program printed."""
    try:
        return json.loads(text)
    except ValueError as e:
        start = text.strip().splitlines()[0][:120] if text.strip() else 'nothing'
        raise Failure(f'{name}: printed no JSON: found {start}') from e


# ---- the programs ----

def ours(o, folder):
    """One round of ours: {Test: tokens a second}, and the reports themselves."""
    def bench(*more):
        command = [o.ours, 'bench', folder, '--threads', join(o.threads), '--repeat', '1', '--format', 'json']
        return parse(run(command + list(more) + o.ours_options, o.timeout), os.path.basename(o.ours))

    reports = [bench('--prompt', join(o.prompt), '--gen', join(o.gen), '--depth', join(o.depth))]
    if o.batch:
        reports.append(bench('--prompt', str(o.batch_depth), '--gen', '0', '--batch', join(o.batch)))
        reports.append(bench('--prompt', '0', '--gen', join(o.gen), '--depth', str(o.batch_depth), '--batch', join(o.batch)))
    rates = {}
    for report in reports:
        for t in report['tests']:
            test = Test('tg' if t['kind'] == 'gen' else 'pp', t['tokens'], t['depth'], t['threads'], t['batch'])
            rates[test] = t['tokens_per_second']
    return rates, reports


def rival(o, gguf):
    """One round of the rival: {Test: tokens a second}, and what it says of itself."""
    rates = {}
    name = os.path.basename(o.rival)
    command = [o.rival, '-m', gguf, '-p', join(o.prompt), '-n', join(o.gen), '-t', join(o.threads), '-r', '1', '-o', 'json']
    if o.depth != [0]:  # some forks do not know it
        command += ['-d', join(o.depth)]
    about = {}
    try:
        for t in parse(run(command + o.rival_options, o.timeout), name):
            about = t
            kind, tokens = ('tg', t['n_gen']) if t['n_gen'] else ('pp', t['n_prompt'])
            rates[Test(kind, tokens, t.get('n_depth', 0), t['n_threads'], 1)] = t['avg_ts']
    except (KeyError, TypeError) as e:
        raise Failure(f'{name}: its JSON is not that of llama-bench: {e!r}') from e
    for threads in o.threads if o.batch else []:
        rates.update(rival_batched(o, gguf, threads))
    return rates, about


def rival_batched(o, gguf, threads):
    name = os.path.basename(o.rival_batched)
    context = max(o.batch) * (o.batch_depth + max(o.gen))
    command = [o.rival_batched, '-m', gguf, '-c', str(context), '-npp', str(o.batch_depth), '-ntg', join(o.gen),
               '-npl', join(o.batch), '-t', str(threads), '-tb', str(threads), '--output-format', 'jsonl']
    out = run(command + o.rival_options, o.timeout)
    lines = [line for line in out.splitlines() if line.startswith('{')]
    if not lines:
        raise Failure(f'{name}: printed no JSON: found {out.strip()[:120] or "nothing"}')
    rates = {}
    for line in lines:
        t = parse(line, name)
        try:
            rates[Test('pp', t['pp'], 0, threads, t['pl'])] = t['speed_pp']
            rates[Test('tg', t['tg'], t['pp'], threads, t['pl'])] = t['speed_tg']
        except KeyError as e:
            raise Failure(f'{name}: its JSON is not that of llama-batched-bench: no {e}') from e
    return rates


# ---- what was measured ----

class Results:
    def __init__(self):
        self.rounds = collections.defaultdict(list)  # (folder, gguf, Test) -> [(ours, theirs)]
        self.reports = collections.defaultdict(list)  # folder -> reports of ours
        self.about = {}  # gguf -> what the rival says of itself

    def add(self, folder, reports, mine, theirs):
        """`theirs`: {gguf: (rates, about)}"""
        self.reports[folder] += reports
        for gguf, (rates, about) in theirs.items():
            self.about[gguf] = about
            missing = [name_of(t) for t in mine if t not in rates]
            if missing:
                raise Failure(f'the rival has no row for {", ".join(missing)}')
            for test, rate in mine.items():
                self.rounds[folder, gguf, test].append((rate, rates[test]))

    def limit(self, folder, test):
        """Our median share of the limit in percent: of bandwidth for decoding, of compute for prompts."""
        key = 'percent_of_bandwidth' if test.kind == 'tg' else 'percent_of_compute'
        shares = [t[key] for report in self.reports[folder] for t in report['tests']
                  if (t['kind'] == 'gen') == (test.kind == 'tg') and
                  (t['tokens'], t['depth'], t['threads'], t['batch']) == test[1:]]
        return statistics.median(shares)

    def rows(self):
        for (folder, gguf, test), pairs in self.rounds.items():
            ratios = [a / b for a, b in pairs]
            yield {'folder': base(folder), 'gguf': base(gguf), 'test': name_of(test), 'threads': test.threads,
                   'batch': test.batch, 'ours': statistics.median(a for a, _ in pairs),
                   'ours_percent_of_limit': self.limit(folder, test),
                   'rival': statistics.median(b for _, b in pairs), 'ratio': statistics.median(ratios),
                   'ratio_least': min(ratios), 'ratio_greatest': max(ratios), 'rounds': len(pairs),
                   'ours_samples': [a for a, _ in pairs], 'rival_samples': [b for _, b in pairs]}


def join(numbers):
    return ','.join(map(str, numbers))


def name_of(test):
    return f'{test.kind}{test.tokens}' + (f' @ d{test.depth}' if test.depth else '')


def base(path):
    return os.path.basename(os.path.normpath(path))


def repeat_command():
    """The command line, its paths without their folders: a result is kept where these mean nothing."""
    def short(word):
        return '='.join(base(part) if os.sep in part else part for part in word.split('='))
    return shlex.join(['bench/compare.py'] + [short(word) for word in sys.argv[1:]])


def limits_of(results):
    """Medians over all our runs: [(threads, GB/s, GFLOP/s, GOP/s)]."""
    found = collections.defaultdict(list)
    for reports in results.reports.values():
        for report in reports:
            for l in report['limits']:
                found[l['threads']].append((l['bytes_per_second'], l['f32_per_second'], l['int8_per_second']))
    return [(threads, *(statistics.median(x) / 1e9 for x in zip(*all))) for threads, all in sorted(found.items())]


def facts(results):
    """What a result must stand beside, as (name, value)."""
    one = next(iter(results.reports.values()))[0]
    yield 'machine', f'{one["cpu"]}, {os.cpu_count()} processors, {one["target"]}'
    for threads, bandwidth, f32, int8 in limits_of(results):
        yield (f'limits, {threads} thread{"s" if threads > 1 else ""}',
               f'{bandwidth:.1f} GB/s, {f32:.0f} GFLOP/s in float32, {int8:.0f} GOP/s in int8')
    for folder, reports in results.reports.items():
        r = reports[0]
        yield f'ours, {base(folder)}', (f'nemotron {r["version"]}, {r["formats"]}, {r["weight_bytes"]:,} bytes; KV {r["kv"]}, '
                                        f'states {r["state"]}, ready in {r["startup_seconds"]:.3f} s')
    for gguf, a in results.about.items():
        yield f'rival, {base(gguf)}', (f'build {a.get("build_commit", "unknown")} ({a.get("build_number", "?")}), '
                                       f'{a.get("model_type", "unknown type")}, {a.get("model_size", 0):,} bytes; '
                                       f'KV {a.get("type_k", "?")}')
    yield 'command', f'`{repeat_command()}`'


def markdown(results):
    lines = [f'* {name}: {value}' for name, value in facts(results)] + ['']
    rounds = max((len(pairs) for pairs in results.rounds.values()), default=0)
    lines += [f'Tokens a second, medians of {rounds} rounds; the ratio of the two in each round: median (least to greatest).',
              'Of limit: of the read bandwidth for tg, of the arithmetic peaks for pp.', '',
              '| ours | rival | test | threads | batch | ours | of limit | rival | ours / rival |',
              '|---|---|---|--:|--:|--:|--:|--:|--:|']
    for r in results.rows():
        lines.append(f'| {r["folder"]} | {r["gguf"]} | {r["test"]} | {r["threads"]} | {r["batch"]} | {r["ours"]:.1f} | '
                     f'{r["ours_percent_of_limit"]:.0f} % | {r["rival"]:.1f} | '
                     f'{r["ratio"]:.2f} ({r["ratio_least"]:.2f} to {r["ratio_greatest"]:.2f}) |')
    return '\n'.join(lines) + '\n'


def as_json(results):
    return json.dumps({'facts': dict(facts(results)), 'rows': list(results.rows())}, indent=1) + '\n'


# ---- options ----

def numbers(least):
    def read(text):
        try:
            values = [int(word) for word in text.split(',')]
        except ValueError:
            values = []
        if not values or min(values) < least:
            raise argparse.ArgumentTypeError(f'expected numbers from {least}, such as 1,2; found {text!r}')
        return values
    return read


def positive(text):
    return numbers(1)(text)[0]


def options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ours', required=True, metavar='PROGRAM', help='nemotron')
    parser.add_argument('--rival', required=True, metavar='PROGRAM', help='llama-bench')
    parser.add_argument('--rival-batched', metavar='PROGRAM', help='llama-batched-bench, for --batch')
    parser.add_argument('--folder', metavar='DIR', help='a checkpoint folder of ours')
    parser.add_argument('--gguf', nargs='+', default=[], metavar='FILE', help="the rival's files of the same shape")
    parser.add_argument('--pair', action='append', default=[], metavar='DIR=FILE', help='another folder and file')
    parser.add_argument('--threads', type=numbers(1), default=[os.cpu_count()], metavar='N,..')
    parser.add_argument('--prompt', type=numbers(1), default=[512], metavar='N,..')
    parser.add_argument('--gen', type=numbers(1), default=[64], metavar='N,..')
    parser.add_argument('--depth', type=numbers(0), default=[0], metavar='N,..')
    parser.add_argument('--batch', type=numbers(1), default=[], metavar='N,..', help='also so many sequences side by side')
    parser.add_argument('--batch-depth', type=positive, default=32, metavar='N', help='their prompts (default 32)')
    parser.add_argument('--rounds', type=positive, default=5, metavar='N')
    parser.add_argument('--timeout', type=float, default=3600, metavar='S', help='of one process (default 3600)')
    parser.add_argument('--ours-options', type=shlex.split, default=[], metavar='TEXT', help='more options for nemotron bench')
    parser.add_argument('--rival-options', type=shlex.split, default=[], metavar='TEXT', help='more options for the rival')
    parser.add_argument('--out', metavar='FILE', help='keep the result: .md or .json')
    o = parser.parse_args(arguments)
    if bool(o.folder) != bool(o.gguf):
        parser.error('--folder and --gguf belong together')
    o.shapes = {o.folder: list(o.gguf)} if o.folder else {}
    for pair in o.pair:
        folder, _, gguf = pair.partition('=')
        if not folder or not gguf:
            parser.error(f'--pair: expected DIR=FILE, found {pair!r}')
        o.shapes.setdefault(folder, []).append(gguf)
    if not o.shapes:
        parser.error('nothing to compare: give --folder and --gguf, or --pair')
    if o.batch and not o.rival_batched:
        parser.error('--batch needs --rival-batched')
    if o.out and not o.out.endswith(('.md', '.json')):
        parser.error(f'--out: expected a name that ends in .md or .json, found {o.out!r}')
    return o


def check(o):
    """Everything that can be wrong before hours of measuring."""
    for option, program in (('--ours', o.ours), ('--rival', o.rival), ('--rival-batched', o.rival_batched)):
        if program and not (os.path.isfile(program) and os.access(program, os.X_OK)):
            raise Failure(f'{option}: no such program: {program}')
    for folder, ggufs in o.shapes.items():
        if not os.path.isdir(folder):
            raise Failure(f'no such folder: {folder}')
        for gguf in ggufs:
            if not os.path.isfile(gguf):
                raise Failure(f'no such file: {gguf}')
    if o.out and not os.path.isdir(os.path.dirname(o.out) or '.'):
        raise Failure(f'--out: no such folder: {os.path.dirname(o.out)}')


def measure(o, results):
    start = time.monotonic()
    for number in range(o.rounds):
        for folder, ggufs in o.shapes.items():
            turns = [lambda f=folder: ('', ours(o, f))] + [lambda g=g: (g, rival(o, g)) for g in ggufs]
            done = dict(turn() for turn in (turns if number % 2 == 0 else reversed(turns)))
            mine, reports = done.pop('')
            results.add(folder, reports, mine, {g: done[g] for g in ggufs})
        passed = time.monotonic() - start
        print(f'round {number + 1} of {o.rounds}, {passed / 60:.1f} min, '
              f'{passed / (number + 1) * (o.rounds - number - 1) / 60:.1f} left', file=sys.stderr, flush=True)


def main(arguments=None):
    o = options(arguments)
    results, code = Results(), 0
    try:
        check(o)
        measure(o, results)
    except Failure as e:
        print(f'compare: {e}', file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print('compare: interrupted; what follows are the rounds that were done', file=sys.stderr)
        code = 130
    if results.rounds:
        text = markdown(results)
        sys.stdout.write(text)
        if o.out:
            with open(o.out, 'w', encoding='utf-8') as file:
                file.write(text if o.out.endswith('.md') else as_json(results))
    return code


if __name__ == '__main__':
    sys.exit(main())
