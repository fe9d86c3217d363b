"""bench/compare.py with programs that are made up: order, ratios and their spread, and what it says when one fails."""

import contextlib
import io
import json
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / 'bench' / 'compare.py'
sys.path.insert(0, str(SCRIPT.parent))
import compare

# Each program appends its name to `log` and answers with rates from a file of its own, one number a call.
COMMON = '''#!/usr/bin/env python3
import json, os, sys
here, a = os.path.dirname(os.path.abspath(sys.argv[0])), sys.argv[1:]
name = os.path.basename(sys.argv[0])
with open(os.path.join(here, 'log'), 'a') as f:
    f.write(name + ' ' + ' '.join(a) + '\\n')
def value(option):
    return [int(n) for n in a[a.index(option) + 1].split(',')]
rates = json.load(open(os.path.join(here, name + '.rates')))
calls = sum(line.startswith(name + ' ') for line in open(os.path.join(here, 'log')))
rate = rates[(calls - 1) % len(rates)]
'''
OURS = COMMON + '''
tests = []
for batch in value('--batch') if '--batch' in a else [1]:
    for depth in value('--depth') if '--depth' in a else [0]:
        for threads in value('--threads'):
            for kind, option in ('prompt', '--prompt'), ('gen', '--gen'):
                for tokens in value(option):
                    if tokens:
                        tests.append(dict(kind=kind, tokens=tokens, depth=depth, threads=threads, batch=batch,
                                          tokens_per_second=rate, percent_of_bandwidth=81.0, percent_of_compute=33.0))
limits = [dict(threads=t, bytes_per_second=2e10, f32_per_second=1e11, int8_per_second=4e11) for t in value('--threads')]
print(json.dumps(dict(version='0', cpu='A cpu', target='AVX2', formats='NVFP4', weight_bytes=7, kv='F32', state='F32',
                      startup_seconds=0.5, limits=limits, tests=tests)))
'''
RIVAL = COMMON + '''
rows = []
for depth in value('-d') if '-d' in a else [0]:
    for threads in value('-t'):
        for p, n in [(p, 0) for p in value('-p')] + [(0, n) for n in value('-n')]:
            rows.append(dict(n_prompt=p, n_gen=n, n_depth=depth, n_threads=threads, avg_ts=rate, build_commit='abc123',
                             build_number=9, model_type='nemotron Q4_0', model_size=8, type_k='f16'))
print(json.dumps(rows))
'''
BATCHED = COMMON + '''
print('some words before')
for pl in value('-npl'):
    for tg in value('-ntg'):
        print(json.dumps(dict(pp=value('-npp')[0], tg=tg, pl=pl, speed_pp=rate, speed_tg=rate)))
'''


class Compare(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.root = Path(self.temporary.name)
        self.program('ours', OURS, [100.0])
        self.program('rival', RIVAL, [50.0])
        self.program('batched', BATCHED, [25.0])
        (self.root / 'folder').mkdir()
        (self.root / 'file.gguf').touch()

    def program(self, name, text, rates=()):
        path = self.root / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        (self.root / (name + '.rates')).write_text(json.dumps(list(rates)))

    def arguments(self, *more):
        at = lambda name: str(self.root / name)
        return ['--ours', at('ours'), '--rival', at('rival'), '--folder', at('folder'), '--gguf', at('file.gguf'),
                '--threads', '1', '--prompt', '8', '--gen', '4', *more]

    def run_compare(self, *more):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = compare.main(self.arguments(*more))
        return code, out.getvalue(), err.getvalue()

    def result(self, *more):
        """The rows of a run that must succeed."""
        path = self.root / 'result.json'
        code, _, err = self.run_compare('--out', str(path), *more)
        self.assertEqual(code, 0, err)
        return json.loads(path.read_text())

    def test_a_ratio_is_that_of_one_round(self):
        self.program('ours', OURS, [100, 200, 90])
        self.program('rival', RIVAL, [50, 50, 60])
        rows = self.result('--rounds', '3')['rows']
        self.assertEqual([r['test'] for r in rows], ['pp8', 'tg4'])
        for row in rows:
            self.assertEqual((row['ours'], row['rival']), (100, 50))
            self.assertEqual((row['ratio'], row['ratio_least'], row['ratio_greatest']), (2, 1.5, 4))
        self.assertEqual([r['ours_percent_of_limit'] for r in rows], [33, 81])

    def test_turns_are_swapped_every_round(self):
        self.result('--rounds', '3')
        order = [line.split()[0] for line in (self.root / 'log').read_text().splitlines()]
        self.assertEqual(order, ['ours', 'rival', 'rival', 'ours', 'ours', 'rival'])

    def test_every_shape_has_a_row(self):
        rows = self.result('--rounds', '1', '--threads', '1,2', '--depth', '0,64', '--batch', '4', '--rival-batched',
                           str(self.root / 'batched'), '--pair', f'{self.root}/folder={self.root}/file.gguf')['rows']
        shapes = {(r['test'], r['threads'], r['batch']) for r in rows}
        singles = {(test, threads, 1) for test in ('pp8', 'tg4', 'pp8 @ d64', 'tg4 @ d64') for threads in (1, 2)}
        batched = {(test, threads, 4) for test in ('pp32', 'tg4 @ d32') for threads in (1, 2)}
        self.assertEqual(shapes, singles | batched)
        self.assertEqual({r['ratio'] for r in rows if r['batch'] == 4}, {4})

    def test_a_result_says_what_it_stands_beside_and_no_path(self):
        path = self.root / 'result.md'
        code, out, err = self.run_compare('--rounds', '2', '--out', str(path))
        self.assertEqual(code, 0, err)
        self.assertEqual(path.read_text(), out)
        for part in ('A cpu', 'AVX2', 'abc123 (9)', 'nemotron Q4_0', '20.0 GB/s', 'medians of 2 rounds',
                     '| folder | file.gguf | tg4 | 1 | 1 | 100.0 | 81 % | 50.0 | 2.00 (2.00 to 2.00) |'):
            self.assertIn(part, out)
        self.assertNotIn(str(self.root), out)

    def assert_fails(self, *words, timeout='60'):
        code, out, err = self.run_compare('--rounds', '1', '--timeout', timeout)
        self.assertEqual((code, out), (1, ''))
        for word in words:
            self.assertIn(word, err)

    def test_what_a_program_does_wrong_is_said(self):
        self.program('rival', '#!/bin/sh\necho last words >&2\nexit 3\n')
        self.assert_fails('rival: died with exit code 3', 'last words')
        self.program('rival', '#!/bin/sh\nkill -9 $$\n')
        self.assert_fails('signal 9')
        self.program('rival', '#!/bin/sh\necho hello there\n')
        self.assert_fails('rival: printed no JSON: found hello there')
        self.program('rival', '#!/bin/sh\n')
        self.assert_fails('printed no JSON: found nothing')
        self.program('rival', '#!/bin/sh\necho "[{}]"\n')
        self.assert_fails('not that of llama-bench')
        self.program('rival', '#!/bin/sh\necho "[]"\n')
        self.assert_fails('no row for pp8, tg4')
        self.program('rival', '#!/bin/sh\nexec sleep 90\n')
        self.assert_fails('not done after 3 s', timeout='3')
        (self.root / 'rival').unlink()
        self.assert_fails('--rival: no such program')

    def test_options_that_make_no_sense_are_refused(self):
        for more in (['--threads', '1,,2'], ['--threads', '0'], ['--rounds', '0'], ['--pair', 'x'], ['--batch', '4'],
                     ['--out', 'x.txt']):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                compare.main(self.arguments(*more))

    def test_an_interrupt_prints_the_rounds_that_are_done(self):
        process = subprocess.Popen([sys.executable, str(SCRIPT), *self.arguments('--rounds', '1000')],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(400):
            log = self.root / 'log'
            if log.exists() and len(log.read_text().splitlines()) >= 4:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn('| tg4 |', out)
        self.assertIn('interrupted', err)


if __name__ == '__main__':
    unittest.main()
